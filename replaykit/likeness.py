"""Likeness: what two answers are held against each other by: some headers, places in JSON, what covered values fit."""

import re
from urllib.parse import urlsplit

from replaykit.errors import UsageError
from replaykit.interaction import Interaction
from replaykit.placeholder import MARK, OLD, Bound, placeholder
from replaykit.value import JsonData

HEADERS = ("content-type", "location")  # that are compared, where nobody says otherwise

_PLACE = re.compile(r"\$(\.\w+|\.\*|\[\d+\]|\[\*\]|\['[^']*'\])*")


def pattern_of(path: str) -> re.Pattern[str]:
    """Return what a place and all below it look like; `[*]` is any item, `.*` any key. Raises UsageError."""
    if not _PLACE.fullmatch(path):
        raise UsageError(f"{path!r} is no place in a JSON document.", "Write $.name, $.rows[*].id or $['a-b'].")
    text = re.escape(path).replace(r"\[\*\]", r"\[\d+\]").replace(r"\.\*", r"(\.\w+|\['[^']*'\])")
    return re.compile(rf"{text}(?![^.\[])")


def header_values(interaction: Interaction, name: str) -> list[str]:
    """List the values of a header of an answer; of the location, what does not depend on where the service runs."""
    if interaction.response is None:
        return []
    values = [value for key, value in interaction.response.headers if key.lower() == name]
    if name != "location":
        return values
    own = urlsplit(interaction.request.url)[:2]
    there = [urlsplit(value) for value in values]
    return [each._replace(scheme="", netloc="").geturl() if each[:2] == own else each.geturl() for each in there]


def covers(recorded: JsonData, seen: JsonData, known: Bound) -> bool:
    """Say whether a value is the recorded one with something else in the places of covered secrets."""
    if isinstance(recorded, str) and OLD in recorded:  # they all looked the same
        return Bound().fits_data(recorded.replace(OLD, placeholder("old", 1)), seen)
    if isinstance(recorded, str) and isinstance(seen, str) and MARK not in recorded:
        return False
    trial = known.trial()
    fits = trial.fits_data(recorded, seen)
    if fits:
        known.take(trial)
    return fits
