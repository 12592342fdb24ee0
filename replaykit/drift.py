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
from typing import TypeAlias
from urllib.parse import urlsplit

from replaykit.cassette import Queues, mismatch
from replaykit.coding import unpacked
from replaykit.difference import Difference, brief, differences
from replaykit.errors import DriftError
from replaykit.gist import Gist, is_whole_of, json_of, target
from replaykit.interaction import Interaction, Request, Response
from replaykit.likeness import HEADERS, covers, header_values, pattern_of
from replaykit.placeholder import Bound, is_marked_number
from replaykit.tape import hushed, tell, whole
from replaykit.value import JsonData

_MOST_TOLD = 20  # places that are told


class Comparison:
    """The tape that lets everything through to the service, and compares the answers with the recorded ones."""

    plays = False

    def __init__(self, path: Path, ignore: Sequence[str] = (), headers: Sequence[str] = HEADERS) -> None:
        self.path = path
        bundle = whole(path)
        self.url = bundle.origin.url
        self._recorded = bundle.trace.interactions()
        self._known = Bound()  # what covered values stand for
        self._queues = Queues(self._recorded, self._known)
        self._left: dict[_Shape, dict[int, None]] = {}  # places of what is not asked yet
        for place, each in enumerate(self._recorded):
            self._left.setdefault(_shape(each.request), {})[place] = None
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
                self._tell(f"{target(interaction.request)} is asked and was not recorded", interaction)
                return
            recorded = self._queues.take(place)
            del self._left[_shape(recorded.request)][place]
            found = [*self._asked(place, interaction.request), *self._answered(recorded, interaction)]
            for each in found:
                self._tell(f"number {place + 1}, {target(recorded.request)}: {each}", interaction)

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
        shape = _shape(asked)
        if place is None and self._followed:
            here = Gist(asked)
            near = (each for key, places in self._left.items() if key[:2] == shape[:2] for each in places)
            place = next(
                (each for each in near if self._renewed_gist(each, here).fits(here, self._known.trial())), None
            )
        return next(iter(self._left.get(shape, ())), None) if place is None else place

    def _asked(self, place: int, asked: Request) -> list[str]:
        """Say what of a request differs, apart from values that are followed."""
        here = Gist(asked)
        for there in (self._queues.gist(place), self._renewed_gist(place, here)):
            trial = self._known.trial()
            if there.fits(here, trial):
                self._known.take(trial)
                return []
        return [f"the request is another one: {mismatch(there.request, asked, self._known)}"]

    def _renewed_gist(self, place: int, asked: Gist) -> Gist:
        """Return a recorded request with the new values of what is followed."""
        recorded = self._queues.gist(place)
        if not self._followed:
            return recorded
        before = recorded.request
        url = "/".join(self._renewed(part) for part in urlsplit(before.url).path.split("/"))
        if url != urlsplit(asked.request.url).path:
            return recorded
        before = before.replace(url=urlsplit(before.url)._replace(path=url).geturl())
        if recorded.data is not None and asked.data is not None:
            new = self._bound(recorded.data, asked.data, self._known.trial())
            before = before.replace(body=json.dumps(new).encode(), cut=None)
        return Gist(before)

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
            was, now = (header_values(each, name) for each in (recorded, seen))
            if len(was) != len(now) or not all(map(self._is_header, was, now)):
                yield f"the header {name} was {_brief(was)} and is {_brief(now)}"

    def _is_header(self, was: str, now: str) -> bool:
        renewed = "/".join(self._renewed(part) for part in was.split("/"))
        return now in {was, renewed} or covers(was, now, self._known)

    def _body(self, recorded: Response, seen: Response) -> list[str]:
        if recorded.body == seen.body:
            return []
        if recorded.cut is not None:
            whole = is_whole_of(recorded.cut, seen.body)
            return [] if whole else [f"the body was one of {recorded.cut.size} bytes, and is another one"]
        if not (recorded.complete and seen.complete):  # left by its reader, sooner or later
            size = min(len(recorded.body), len(seen.body))
            if recorded.body[:size] == seen.body[:size]:
                return []
        was, now = (unpacked(each.headers, each.body) for each in (recorded, seen))
        before, after = json_of(recorded.headers, was), json_of(seen.headers, now)
        if before is None or after is None:
            if was == now or covers(was.decode("latin-1"), now.decode("latin-1"), self._known):
                return []
            return [f"the body was {brief(was)} and is {brief(now)}"]
        bound, listed = self._differing(before, after)
        if not listed and json.dumps(bound, sort_keys=True) != json.dumps(after, sort_keys=True):
            return ["the body differs at a number that is written in another way"]  # for ==, true is 1
        return [f"the body differs at {each.path}: {each.shown}" for each in listed if not self._is_noise(each)]

    def _differing(self, before: JsonData, after: JsonData) -> tuple[JsonData, list[Difference]]:
        """List what differs; what is ignored is followed in the same answer too."""
        bound = self._bound(before, after, self._known)
        listed = differences(bound, after)
        known = len(self._followed), *self._followed.values()
        for each in filter(self._is_noise, listed):
            self._follow(_at(before, each.path), _at(after, each.path))
        if known == (len(self._followed), *self._followed.values()):
            return bound, listed
        bound = self._bound(before, after, self._known)
        return bound, differences(bound, after)

    def _is_noise(self, difference: Difference) -> bool:
        return any(ignored.match(difference.path) for ignored in self._ignored)

    def _follow(self, before: JsonData, after: JsonData) -> None:
        """Remember which value stands now where an ignored one stood."""
        if isinstance(before, str | int) and isinstance(after, str | int):
            self._followed[json.dumps(before)] = json.dumps(after)

    def _bound(self, before: JsonData, after: JsonData, known: Bound) -> JsonData:
        """Return what was recorded with the new values in the places of those that are followed or covered."""
        if isinstance(before, dict) and isinstance(after, dict):
            return {key: self._bound(value, after.get(key), known) for key, value in before.items()}
        if isinstance(before, list) and isinstance(after, list):
            rest = before[len(after) :]
            return [*(self._bound(*pair, known) for pair in zip(before, after, strict=False)), *rest]
        if (isinstance(before, str) or is_marked_number(before)) and covers(before, after, known):
            return after
        if isinstance(before, str | int) and self._followed.get(json.dumps(before)) == json.dumps(after):
            return after
        return before

    def _tell(self, text: str, interaction: Interaction) -> None:
        self._drifts.append(hushed(text, interaction) if len(self._drifts) < _MOST_TOLD else "")


def _brief(values: list[str]) -> str:
    return ", ".join(map(brief, values)) or "not there"


_Shape: TypeAlias = tuple[str, int, str]


def _shape(request: Request) -> _Shape:
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
