"""Where recorded and observed, or expected and actual, are not alike; the door to deepdiff.

Comparing two equal documents with deepdiff costs a thousand times what `==` costs, so it is asked only
about documents that are known to differ, and imported only then.
"""

import re
from typing import Any

from replaykit.value import JsonData, Record, jsonable


class Difference(Record):
    """One place where two documents are not alike. A side that is not there is left out of `shown`."""

    path: str
    shown: str


def same(actual: Any, expected: Any) -> None:
    """Hold that two values are alike; raise NotSameError with the places where they are not.

    Tuples and lists of the same items are alike, as they are in JSON. Meant for `@check` methods.
    """
    if actual == expected:
        return
    seen, wanted = jsonable(actual), jsonable(expected)
    if seen == wanted:
        return
    raise NotSameError(seen, wanted)


class NotSameError(AssertionError):
    """Two values that a check holds to be alike are not."""

    def __init__(self, actual: JsonData, expected: JsonData) -> None:
        super().__init__(actual, expected)
        self.actual = actual
        self.expected = expected

    def __str__(self) -> str:
        """Tell the first places; that takes milliseconds, and nobody asks where the check is only looked at again."""
        found = differences(self.expected, self.actual)
        listed = "; ".join(f"{each.path}: {each.shown}" for each in found[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004
        return f"expected -> seen: {listed}{more}"


def differences(before: JsonData, after: JsonData, *, aligned: bool = True) -> list[Difference]:
    """List the places where two JSON documents differ, in the order of their paths.

    A path is written as in Python, from `$`: `$.rows[0].name`. Lists of plain values are `aligned`, so that one that
    was put in is the only difference; that takes minutes for thousands of them. Else each is held against the one with
    its number, which takes time as their number does.
    """
    if before == after:
        return []
    from deepdiff import DeepDiff

    found = DeepDiff(
        before, after, verbose_level=2, threshold_to_diff_deeper=0, view="text", zip_ordered_iterables=not aligned
    )
    listed: list[Difference] = []
    for kind, items in found.items():
        for path, item in items.items():
            listed.append(Difference(path=_path(path), shown=_shown(kind, item)))
    return sorted(listed, key=_order)


def _order(difference: Difference) -> list[tuple[int, str]]:
    """Order paths by their parts, numbers as numbers: $[2] stands before $[10]."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", difference.path)]


def _shown(kind: str, item: Any) -> str:
    if kind.endswith("_added"):
        return f"nothing -> {_in_json(item)}"
    if kind.endswith("_removed"):
        return f"{_in_json(item)} -> nothing"
    return f"{_in_json(item['old_value'])} -> {_in_json(item['new_value'])}"


def _in_json(value: JsonData) -> str:
    return brief(value) if value is not None else "null"


def _path(path: str) -> str:
    return re.sub(r"\['([A-Za-z_][A-Za-z0-9_]*)'\]", r".\1", "$" + path.removeprefix("root"))


def brief(value: Any, width: int = 120) -> str:
    """Show a value in one line of limited width, with nothing in it that a terminal would obey."""
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."
