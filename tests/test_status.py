"""The status of saved bugs."""

from pathlib import Path

import pytest

from replaykit.errors import StatusError
from replaykit.status import FILE, Status, statuses


def test_folder_without_a_file_has_no_statuses(tmp_path: Path):
    """Where nobody has written one, there is no status."""
    assert {} == statuses(tmp_path)


def test_statuses_are_read(tmp_path: Path):
    """Each bundle has its word, its ticket and its note; what is left out is open, and has none."""
    (tmp_path / FILE).write_text('["a.pd"]\nstatus = "fixed"\nticket = "T-1"\nnote = "done"\n["b.pd"]\n')

    assert {"a.pd": Status("fixed", "T-1", "done"), "b.pd": Status("open")} == statuses(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "can't be read"),
        ("a = 1", "no table"),
        ('["a.pd"]\nstatus = "mended"', "the status 'mended'"),
        ('["a.pd"]\nstate = "open"', "unknown key 'state'"),
        ('["a.pd"]\nnote = 3', "a note that is no text"),
        ("#" * (4 * 1024 * 1024 + 1), "too large"),
    ],
)
def test_file_that_is_not_well_made_is_an_error(text: str, said: str, tmp_path: Path):
    """What is wrong in the file is named."""
    (tmp_path / FILE).write_text(text)

    with pytest.raises(StatusError) as raised:
        statuses(tmp_path)

    assert said in str(raised.value)
