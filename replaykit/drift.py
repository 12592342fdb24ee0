"""Drift: what a service answers now, held against what was recorded.

Values are compared first, and only what differs is looked into. What a user names as noise is not counted,
but followed: a new id in the place of an ignored one may stand wherever the recorded one stood, in requests
and in answers, as a whole value or as a whole part of a path. Of headers, only those count that say what an
answer means; `Date` and its kind never do.
"""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from replaykit.cassette import Queues, mismatch
from replaykit.coding import coding_of, decoded
from replaykit.difference import brief, differences
from replaykit.errors import DriftError, UsageError
from replaykit.gist import target
from replaykit.interaction import Headers, Interaction, Request, Response, header
from replaykit.placeholder import MARK, OLD, Bound, is_marked_number, placeholder
from replaykit.tape import tell, whole
from replaykit.value import JsonData

HEADERS = ("content-type", "location")  # that are compared, where nobody says otherwise

_MOST_TOLD = 20  # places that are told


class Comparison:
    """The tape that lets everything through to the service, and compares the answers with the recorded ones."""

    plays = False

    def __init__(self, path: Path, ignore: Sequence[str] = (), headers: Sequence[str] = HEADERS) -> None:
        self.path = path
        bundle = whole(path)
        self.url = bundle.origin.url
        self._recorded = bundle.trace.interactions()
        self._queues = Queues(self._recorded)
        self._ignored = [pattern_of(each) for each in ignore]
        self._headers = tuple(name.lower() for name in headers)
        self._followed: dict[str, str] = {}  # new values by those that were recorded, as JSON
        self._drifts: list[str] = []
        self._lock = threading.Lock()

    def answer(self, request: Request) -> None:
        """Let the request go to the service."""

    def keep(self, interaction: Interaction) -> None:
        """Compare an answer."""
        with self._lock:
            place = self._place(interaction.request)
            if place is None:
                self._drifts.append(f"{target(interaction.request)} is asked and was not recorded")
                return
            recorded = self._queues.take(place)
            found = [*self._asked(recorded.request, interaction.request), *self._answered(recorded, interaction)]
            self._drifts += [f"number {place + 1}, {target(recorded.request)}: {each}" for each in found]

    def check(self) -> None:
        """Raise DriftError with what is otherwise than recorded so far."""
        found = self._found()
        if found is not None:
            raise found

    def drop(self) -> None:
        """Compare nothing: the block did not begin."""

    def finish(self, error: BaseException | None, path: Path | None = None) -> None:
        """Raise DriftError with all that is otherwise than recorded, requests that were not sent again included."""
        del path
        if error is None:
            for place in self._queues.left():
                self._drifts.append(
                    f"number {place + 1}, {target(self._recorded[place].request)}: was recorded and is not asked"
                )
        found = self._found()
        if found is not None:
            tell(error, found)

    def _found(self) -> DriftError | None:
        if not self._drifts:
            return None
        listed = "\n".join(f"  {each}" for each in self._drifts[:_MOST_TOLD])
        more = len(self._drifts) - _MOST_TOLD
        listed += f"\n  and {more} more" if more > 0 else ""
        return DriftError(
            f"The service does not do what {self.path} says, in {len(self._drifts)} places:\n{listed}",
            "Mend the service, record the bundle anew, or name what is noise with ignore (`$.id`).",
        )

    def _place(self, asked: Request) -> int | None:
        """Find what was recorded for a request: the same one, or the next that is like it."""
        place = self._queues.find(asked)
        if place is None and self._followed:
            place = next((each for each in self._queues.left() if not self._differs(each, asked)), None)
        if place is not None:
            return place
        alike = (each for each in self._queues.left() if _shape(self._recorded[each].request) == _shape(asked))
        return next(alike, None)

    def _differs(self, place: int, asked: Request) -> bool:
        return bool(self._asked(self._recorded[place].request, asked))

    def _asked(self, recorded: Request, asked: Request) -> list[str]:
        """Say what of a request differs, apart from values that are followed."""
        why = mismatch(recorded, asked)
        if why is None:
            return []
        before, after = recorded, asked
        url = "/".join(self._renewed(part) for part in urlsplit(before.url).path.split("/"))
        if f"{asked.method} {urlsplit(asked.url).path}" == f"{before.method} {url}":
            before = before.replace(url=urlsplit(before.url)._replace(path=url).geturl())
        data = _json(before.headers, before.body)
        new = _json(after.headers, after.body)
        if data is not None and new is not None:
            before = before.replace(body=json.dumps(self._bound(data, new)).encode())
        why = mismatch(before, after)
        return [] if why is None else [f"the request is another one: {why}"]

    def _renewed(self, text: str) -> str:
        """Return what stands now where a part of a path stood."""
        for key in (json.dumps(text), text):  # an id may be a text or a number
            if key in self._followed:
                return str(json.loads(self._followed[key]))
        return text

    def _answered(self, recorded: Interaction, seen: Interaction) -> list[str]:
        """Say what of an answer differs."""
        before, after = recorded.trouble, seen.trouble
        if (before and before.error) != (after and after.error):
            was, now = (each.error if each else "an answer" for each in (before, after))
            return [f"there was {was} and is {now}"]
        if recorded.response is None or seen.response is None:
            return []
        found = []
        if recorded.response.status != seen.response.status:
            found.append(f"the status was {recorded.response.status} and is {seen.response.status}")
        body = self._body(recorded.response, seen.response)  # first, since it says what headers may be followed
        return [*found, *self._told_in_headers(recorded, seen), *body]

    def _told_in_headers(self, recorded: Interaction, seen: Interaction) -> Iterator[str]:
        for name in self._headers:
            was, now = (_header(each, name) for each in (recorded, seen))
            renewed = was if was is None else "/".join(self._renewed(part) for part in was.split("/"))
            if now not in {was, renewed} and not _covers(was or "", now or ""):
                yield f"the header {name} was {brief(was)} and is {brief(now)}"

    def _body(self, recorded: Response, seen: Response) -> list[str]:
        if recorded.body == seen.body:
            return []
        was, now = (unpacked(each) for each in (recorded, seen))
        before, after = _json(recorded.headers, was), _json(seen.headers, now)
        if before is None or after is None:
            if was == now or _covers(was.decode("latin-1"), now.decode("latin-1")):
                return []
            return [f"the body was {brief(was)} and is {brief(now)}"]
        found = []
        bound = self._bound(before, after)
        listed = differences(bound, after)
        if not listed and json.dumps(bound, sort_keys=True) != json.dumps(after, sort_keys=True):
            return ["the body differs at a number that is written in another way"]  # for ==, true is 1
        for each in listed:
            if any(ignored.match(each.path) for ignored in self._ignored):
                self._follow(_at(before, each.path), _at(after, each.path))
            else:
                found.append(f"the body differs at {each.path}: {each.shown}")
        return found

    def _follow(self, before: JsonData, after: JsonData) -> None:
        """Remember which value stands now where an ignored one stood."""
        if isinstance(before, str | int) and isinstance(after, str | int):
            self._followed[json.dumps(before)] = json.dumps(after)

    def _bound(self, before: JsonData, after: JsonData) -> JsonData:
        """Return what was recorded with the new values in the places of those that are followed or covered."""
        if isinstance(before, dict) and isinstance(after, dict):
            return {key: self._bound(value, after.get(key)) for key, value in before.items()}
        if isinstance(before, list) and isinstance(after, list):
            rest = before[len(after) :]
            return [*(self._bound(*pair) for pair in zip(before, after, strict=False)), *rest]
        if (isinstance(before, str) or is_marked_number(before)) and _covers(before, after):
            return after
        if isinstance(before, str | int) and self._followed.get(json.dumps(before)) == json.dumps(after):
            return after
        return before


def pattern_of(path: str) -> re.Pattern[str]:
    """Return what a place and all below it look like; `[*]` is any item, `.*` any key. Raises UsageError."""
    if not re.fullmatch(r"\$(\.\w+|\.\*|\[\d+\]|\[\*\]|\['[^']*'\])*", path):
        raise UsageError(f"{path!r} is no place in a JSON document.", "Write $.name, $.rows[*].id or $['a-b'].")
    text = re.escape(path).replace(r"\[\*\]", r"\[\d+\]").replace(r"\.\*", r"(\.\w+|\['[^']*'\])")
    return re.compile(rf"{text}(?![^.\[])")


def unpacked(response: Response) -> bytes:
    """Return a body without the gzip or deflate around it; as it is where it has another one, or is broken."""
    try:
        return decoded(coding_of(response.headers, response.body), response.body)
    except ValueError:
        return response.body


def _json(headers: Headers, body: bytes) -> JsonData:
    if "json" not in (header(headers, "content-type") or "json"):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _header(interaction: Interaction, name: str) -> str | None:
    """Return a header of an answer; of the location, only what does not depend on where the service runs."""
    value = None if interaction.response is None else header(interaction.response.headers, name)
    if name == "location" and value is not None:
        own, there = urlsplit(interaction.request.url), urlsplit(value)
        if (own.scheme, own.netloc) == (there.scheme, there.netloc):
            return there._replace(scheme="", netloc="").geturl()
    return value


def _covers(recorded: JsonData, seen: JsonData) -> bool:
    """Say whether a value is the recorded one with something else in the places of covered secrets."""
    if isinstance(recorded, str):
        recorded = recorded.replace(OLD, placeholder("old", 1))
        if isinstance(seen, str) and MARK not in recorded:
            return False
    return Bound().fits_data(recorded, seen)


def _shape(request: Request) -> tuple[str, int, str]:
    """Return what two requests have in common that differ only in an id: the method, and what the path is like."""
    parts = urlsplit(request.url).path.split("/")
    return request.method, len(parts), parts[1] if len(parts) > 1 else ""


def _at(data: JsonData, path: str) -> JsonData:
    """Return what stands at a place of a document, as `differences` writes places; None where there is nothing."""
    for name, index, key in re.findall(r"\.(\w+)|\[(\d+)\]|\['([^']*)'\]", path):
        if index and isinstance(data, list):
            data = data[int(index)] if int(index) < len(data) else None
        elif isinstance(data, dict):
            data = data.get(name or key)
        else:
            return None
    return data
