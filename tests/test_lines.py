"""The lines of a bundle: rewritten, nothing is lost that nobody knew."""

from pathlib import Path

import pytest

from replaykit.errors import CorruptBundleError, TruncatedBundleError
from replaykit.lines import EMPTY, FIRST, Line, Lines, bundled
from replaykit.reader import read_bytes

GOLDEN = (Path(__file__).parent / "bundles" / "format-1.pd").read_bytes()


def with_unknown() -> bytes:
    """Return a bundle with a record, and with keys in all places, that this version does not know."""
    lines = []
    for line in Lines(GOLDEN):
        data = {**line.data, "mood": "good"} if line.kind != "end" else line.data
        if line.is_item:
            data = {**data, "replaykit": {**data["replaykit"], "colour": "red"}}
        lines += [line._replace(data=data), Line(0, {"k": "weather", "rain": [1, 2.5, None, "\U0001f600"]})]
    return bundled(lines[:-1])


def test_bundled_again_it_has_the_same_bytes():
    """The lines of a bundle, put together again, are that bundle."""
    assert GOLDEN == bundled(Lines(GOLDEN))


def test_unknown_records_and_keys_stay_in_their_places():
    """What this version does not know is passed over by the reader, and is kept by who rewrites."""
    content = with_unknown()

    assert read_bytes(GOLDEN) == read_bytes(content)
    assert content == bundled(Lines(content))
    assert 14 - 1 == content.count(b'"mood":"good"') == content.count(b'{"k":"weather"')


def test_a_bundle_without_items_has_an_empty_list():
    """Where there is no interaction, the list of the cassette is written as empty."""
    lines = [line for line in Lines(GOLDEN) if line.kind in ("bundle", "end")]
    content = bundled(lines)

    assert content.splitlines(keepends=True)[2] == EMPTY
    assert [FIRST] == content.splitlines(keepends=True)[:1]
    assert read_bytes(content).whole


def test_without_an_end_there_is_nothing_to_put_together():
    """Lines that do not come to an end make no bundle."""
    with pytest.raises(TruncatedBundleError, match="repair"):
        bundled(list(Lines(GOLDEN))[:-1])


def test_half_a_character_in_an_unknown_key_is_told_with_its_line():
    """What YAML could not say is an error, and no traceback, when a bundle is rewritten."""
    lines = list(Lines(GOLDEN))
    odd = lines[3]._replace(data={**lines[3].data, "mood": "\ud800"})
    with pytest.raises(CorruptBundleError, match="line 6: a text has half a character"):
        bundled([*lines[:3], odd, *lines[4:]])
