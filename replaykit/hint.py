"""Hints: which of the names that there are is meant by one that there is not."""

from collections.abc import Iterable

ALIKE = 0.6  # of 1, as difflib measures it: one letter wrong in three
MOST = 1000  # names that are looked at
LONGEST = 200  # characters of a name for which one is looked for: what is longer was not mistyped


def meant(said: str, known: Iterable[str]) -> str | None:
    """Return the name that is most like what was said; None where none is."""
    from difflib import get_close_matches
    from itertools import islice

    if len(said) > LONGEST:
        return None
    names = {each.casefold(): each for each in islice(known, MOST)}
    found = get_close_matches(said.casefold(), names, n=1, cutoff=ALIKE)
    return names[found[0]] if found else None


def hint(said: str, known: Iterable[str], todo: str = "") -> str:
    """Ask whether the name was meant that is most like what was said, before what is to be done anyway."""
    found = meant(said, known)
    return todo if found is None else f"Did you mean {found}? {todo}".rstrip()
