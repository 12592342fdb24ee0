"""The plan of a script: what it sends, what it carries from an answer to later requests, which answers count.

Theory of operation. Without the model, nobody can say what is right; but the bundle says what the service answered
when it failed, and which answers the failure rests on: those of the failing step, or those that were read to check
it. So a script sends what was sent, as far as these answers. If they are as recorded, the bug is still there; if
one of them is not, it is gone. All that comes before has to be answered with the recorded status, or nothing is
judged.

Faults are put in by replaykit, and a script can't do them. So what was sent from the first one on is sent, with
comments that say what was done there, whatever the service answers; and nothing is judged in the end.

A recording without a failure says what is right, and all its answers count. What of an answer counts is the
business of `claims`, and what is carried that of `carried`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from replaykit.bundle import Bundle
from replaykit.client import require_loopback
from replaykit.errors import ForeignHostError, UnexportableError
from replaykit.export.carried import Carried, Product, Texts
from replaykit.export.claims import Claim, claims_of
from replaykit.export.template import Template
from replaykit.interaction import FIRST_SERVER_ERROR, LOSING, Interaction, Request, in_order
from replaykit.report import faults
from replaykit.trace import Said, Step, Trace
from replaykit.value import JsonData, loads
from replaykit.verdict import Failure

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a method or the name of a header (RFC 9110, section 5.6.2)
URL = re.compile(r"https?://(?:[A-Za-z0-9._~%!$&'()*+,;=:-]*@)?[A-Za-z0-9._~%\[\]:-]+(?:[/?#][!-~]*)?")
BASE = re.compile(r"https?://[A-Za-z0-9._~%\[\]:/-]+")  # it stands in comments of a script, too

MAX_WAIT = 60.0  # seconds

# What the client of a script adds by itself, or what belongs to one connection.
_OWN = {"content-length", "transfer-encoding", "connection", "keep-alive", "te", "upgrade", "expect"}
_USUAL = {("accept", "*/*"), ("user-agent", "replaykit")}


@dataclass(slots=True)
class Ask:
    """One request of a script, and what is done with its answer."""

    what: str
    method: str
    base: int  # which of the plan's bases it is sent to
    target: Template
    headers: list[tuple[str, Template]]
    body: Template
    status: int  # of the recorded answer
    # before: the status has to be the recorded one; counts; fails: it has to be a 5xx; after: a fault, so it may be any
    role: str = "before"
    claims: list[Claim] = field(default_factory=list)
    takings: list[tuple[str, Product]] = field(default_factory=list)  # what later requests need of the answer
    settles: bool = False  # is it asked again until it is answered as recorded, since the service takes its time?
    pause: float = 0.0  # seconds to wait before
    notes: tuple[str, ...] = ()  # what was done meanwhile, for comments: printable ASCII


@dataclass(slots=True)
class Plan:
    """All that a script does."""

    name: str
    story: str  # what failed
    finds_failure: bool  # are the answers that count those of a failure? Else they are right
    asks: list[Ask]
    bases: list[str]
    secrets: dict[str, str]  # by the name of the variable in the script: that in the environment
    uses_nonce: bool
    unable: str = ""  # why nothing can be judged by a script; empty where it can

    def default(self, base: int) -> str | None:
        """Return the recorded base where it is on this machine; others are named by whoever runs the script."""
        try:
            require_loopback(self.bases[base])
        except ForeignHostError:
            return None
        return self.bases[base]


def plan_of(bundle: Bundle) -> Plan:
    """Plan the script of a bundle. Raises UnexportableError for one whose failure no script can show."""
    trace, failure = bundle.trace, bundle.trace.failure
    _require_judgeable(bundle)
    parts = _settled(in_order((part, part.interaction.before) for part in _parts(trace)))
    disturbed = Disturbed(trace)
    parts = disturbed.folded(parts)
    counts = _counting(trace, failure)
    last = max(index for index, part in enumerate(parts) if id(part.interaction) in counts)
    parts = parts[: last + 1]
    for part in parts:
        _require_sayable(part, is_disturbed=disturbed.is_after(part))
    bases = _bases(bundle, parts)
    still = _waited(failure)
    carried = Carried(trace.nonce)
    asks = [_ask(index, part, carried, bases) for index, part in enumerate(parts)]
    for index, (ask, part) in enumerate(zip(asks, parts, strict=True)):
        ask.takings = carried.takings[index]
        response = part.interaction.response
        ask.notes = disturbed.notes(part)
        if disturbed.is_after(part):
            ask.role = "after"
            continue
        if id(part.interaction) in counts and not disturbed.unable:
            ask.role = "fails" if failure is not None and failure.kind == "server_error" else "counts"
        if response is not None and (ask.role == "counts" or part.settles):
            ask.settles = (part.settles or (ask.role == "counts" and _is_read(part))) and not still
            ask.claims = [carried.claim(claim, index) for claim in claims_of(response, part.said)]
            if still and ask.role == "counts":
                ask.pause, still = still, 0.0
    return Plan(
        name="recording" if failure is None else failure.name,
        story="a recording" if failure is None else _harmless(f"{failure.title}: {failure.message}"),
        finds_failure=failure is not None,
        asks=asks,
        bases=bases,
        secrets=carried.secrets,
        uses_nonce=carried.uses_nonce,
        unable=disturbed.unable,
    )


def _harmless(text: str) -> str:
    """Shorten a text, and escape what a terminal or an editor would obey."""
    return ascii(text)[1:-1][:400]


def _ask(index: int, part: "Part", carried: Carried, bases: list[str]) -> Ask:
    request, response = part.interaction.request, part.interaction.response
    base = _base_of(request.url, bases)
    target = request.url.partition("#")[0].removeprefix(bases[base])
    if target == request.url.partition("#")[0]:  # there are credentials in the URL, which do not belong there
        target = re.sub(r"^[a-z]+://[^/?]*", "", target)
    sent = _sent(request)
    texts = Texts(target, sent, request.body.decode("latin-1"), request.headers)
    call = part.step.call if part.step is not None and part.is_command else None
    filled, values, body = carried.request(index, texts, call)
    if response is not None and part.interaction.tampered not in LOSING:
        carried.answer(index, response, target, part.step.call.label if call is not None and part.step else None)
    headers = [(name, value) for (name, _), value in zip(sent, values, strict=True)]
    return Ask(part.what, request.method, base, filled, headers, body, response.status if response is not None else 0)


def _sent(request: Request) -> list[tuple[str, str]]:
    """List the headers that a script sends: without those that its client adds."""
    host = re.sub(r"^[a-z]+://(?:[^/?#]*@)?([^/?#]*).*", r"\1", request.url, flags=re.DOTALL)
    kept = []
    for name, value in request.headers:
        low = name.lower()
        is_usual = (low, value) in _USUAL or (low, value) == ("host", host)
        if low in _OWN or is_usual or (low == "accept-encoding" and value.startswith("gzip, deflate")):
            continue
        kept.append((name, value))
    return kept


def _require_judgeable(bundle: Bundle) -> None:
    trace, failure = bundle.trace, bundle.trace.failure
    why = None
    if failure is None and trace.ending not in {"passed", "recorded"}:
        why = f"The run ended as {trace.ending}, so its answers say neither what is right nor what is wrong."
    elif failure is not None and not failure.is_finding:
        why = f"The {failure.kind} raised in {failure.name}, which says nothing about the service."
    elif failure is not None and failure.kind == "latency":
        why = "The failure is a service that was too slow, and the answers of one run do not show that."
    elif any(step.call.branch or step.call.twice for step in trace.steps):
        why = "The failure shows when calls are sent at the same time, and a script sends one after the other."
    elif _waited(failure) > MAX_WAIT:
        why = f"The failure shows after {_waited(failure):g} seconds, and a script waits {MAX_WAIT:g} at most."
    elif not trace.requests:
        why = "The bundle holds no request."
    if why is not None:
        raise UnexportableError(why, "Replay the bundle itself (replaykit replay); as har or vcr it can be exported.")


def _waited(failure: Failure | None) -> float:
    """Say for how many seconds a check was given the time to hold, as its message tells."""
    found = re.search(r"\(still so after (\d{1,9}(?:\.\d{1,9})?) seconds\)\Z", failure.message) if failure else None
    return float(found[1]) if found else 0.0


class Part(NamedTuple):
    """An interaction with where it belongs: what it is called in a script, its step, what was read of it."""

    interaction: Interaction
    what: str
    step: Step | None
    is_command: bool
    said: list[JsonData]
    settles: bool = False


def _parts(trace: Trace) -> Iterator[Part]:
    for each in trace.resetting:
        yield Part(each, "the reset", None, False, [])
    for step in trace.steps:
        tag = re.sub(r"[^A-Za-z0-9_]", "_", step.call.tag)[:60]
        heard = _data(said for said in (step.event, step.again) if said is not None)
        for each in step.interactions:
            yield Part(each, f"step {step.call.label} ({tag})", step, True, heard)
        seen = _data(step.observations)
        for each in step.observing:
            yield Part(each, f"what is read after step {step.call.label}", step, False, seen)
    seen = _data(trace.closing_observations)
    for each in trace.closing:
        yield Part(each, "what is read at the end", None, False, seen)
    for number, each in enumerate(trace.recorded, 1):
        yield Part(each, f"request {number}", None, False, [])


class Disturbed:
    """Where faults were on in a run, of which a script can only tell."""

    def __init__(self, trace: Trace) -> None:
        labels = [step.call.label for step in trace.steps]
        self._names = faults.names_in(trace)
        self._began = [step.call for step in trace.steps if faults.is_fault(step)]
        first = labels.index(self._began[0].label) + 1 if self._began else len(labels)
        under = [number for number, step in enumerate(trace.steps) if _is_disturbed(step)]
        first = min([first, *under])  # what is not told of as a fault may have been one all the same
        self._is_calm = not self._began and not under
        self._after = set(labels[first:])
        self._closing = set() if self._is_calm else set(map(id, trace.closing))
        self._told: set[int] = set()
        self._order = {label: number for number, label in enumerate(labels)}
        self._times: dict[int, int] = {}  # how often a request was sent in a row, by the identity of the first

    @property
    def unable(self) -> str:
        """Why a script of this run judges nothing; empty where nothing was disturbed."""
        if self._is_calm:
            return ""
        said = ", ".join(faults.name(each) for each in self._began[:5])
        many = f"{len(self._began)} fault{'' if len(self._began) == 1 else 's'} ({said})" if said else "faults"
        return _harmless(f"replaykit put in {many}, which a script can not do: replay the bundle itself")

    def is_after(self, part: Part) -> bool:
        """Say whether a request was sent after the first fault began."""
        is_closing = id(part.interaction) in self._closing
        return is_closing or (part.step is not None and part.step.call.label in self._after)

    def folded(self, parts: list[Part]) -> list[Part]:
        """Leave of the same requests of a command in a row under a fault, as of who finds out what was lost, one."""
        kept: list[Part] = []
        for part in parts:
            last = kept[-1] if kept else None
            is_again = last is not None and part.is_command and part.step is last.step and _is_same(part, last)
            if last is not None and is_again and part.step is not None and part.step.faults:
                self._times[id(last.interaction)] = self._times.get(id(last.interaction), 1) + 1
            else:
                kept.append(part)
        return kept

    def notes(self, part: Part) -> tuple[str, ...]:
        """Say what was done before a request was sent, and while it was."""
        if not self.is_after(part):
            return ()
        here = len(self._order) if part.step is None else self._order[part.step.call.label]
        new = [each for each in self._began if each.label not in self._told and self._order[each.label] < here]
        self._told |= {each.label for each in new}
        said = [f"Here replaykit put in the fault [{each.label}] {faults.told(each)}" for each in new]
        if part.step is not None and part.is_command and part.step.faults:
            lost = part.interaction.response is None or part.interaction.tampered in LOSING
            many = self._times.get(id(part.interaction), 1)
            times = f" {many} times" if many > 1 else ""
            first = " the first time" if many > 1 else ""
            gone = f"; its answer was lost{first}" if lost else ""
            said.append(f"sent{times} {faults.under(part.step, self._names)}{gone}")
        return tuple(map(_harmless, said))


def _is_disturbed(step: Step) -> bool:
    return bool(step.faults) or any(each.tampered for each in step.interactions)


def _is_same(one: Part, other: Part) -> bool:
    asked, before = one.interaction.request, other.interaction.request
    return (asked.method, asked.url, asked.body) == (before.method, before.url, before.body)


def _is_read(part: Part) -> bool:
    """Say whether a request reads what is then checked; such a one can be sent again."""
    return bool(part.said) and not part.is_command and part.interaction.request.method in {"GET", "HEAD"}


def _settled(parts: list[Part]) -> list[Part]:
    """Of the same reads after a step, leave the last; where it was answered otherwise before, the service settled."""
    kept: dict[object, Part] = {}
    for number, part in enumerate(parts):
        request, response = part.interaction.request, part.interaction.response
        key = (part.what, request.method, request.url, request.body) if _is_read(part) else number
        before = kept.pop(key, None)
        if before is not None and response is not None:
            told = before.interaction.response
            part = part._replace(settles=before.settles or told is None or told.body != response.body)  # noqa: PLW2901
        kept[key] = part
    return list(kept.values())


def _data(said: Iterable[Said]) -> list[JsonData]:
    return [loads(each.data) for each in said]


def _counting(trace: Trace, failure: Failure | None) -> set[int]:
    """Find the interactions whose answers the failure rests on, by identity; all of them where nothing failed."""
    if failure is None:
        return set(map(id, trace.interactions()))
    step = next((step for step in trace.steps if step.call.label == failure.step), None)
    if failure.step is None:
        found = trace.closing or (trace.steps[-1].interactions if trace.steps else trace.resetting)
    elif step is None:
        found = trace.resetting
    else:
        reads = failure.kind in {"check", "idempotency", "server_error"} and step.observing
        found = step.observing if reads else step.interactions
        if failure.kind == "server_error":
            found = step.interactions + step.observing
    if failure.kind == "server_error":
        found = tuple([each for each in found if each.response and each.response.status >= FIRST_SERVER_ERROR][:1])
    if not found:
        raise UnexportableError(
            "The failure rests on no answer that the bundle holds.",
            "Replay the bundle itself (replaykit replay); as har or vcr it can be exported.",
        )
    return set(map(id, found))


def _require_sayable(part: Part, *, is_disturbed: bool) -> None:
    """Refuse what no client may send, and what was not answered, but for what was lost to a fault."""
    request, response = part.interaction.request, part.interaction.response
    why = None
    if request.cut is not None:
        why = f"Of the body of {part.what}, only the beginning is kept, so a script can't send it."
    elif is_disturbed:
        pass
    elif response is None or part.interaction.trouble is not None or not response.complete or response.cut is not None:
        why = f"The answer to {part.what} was lost or cut short, so a script can't hold the service to it."
    elif not TOKEN.fullmatch(request.method) or request.method.upper() == "CONNECT":
        why = f"{part.what} has a method that no client sends: {request.method[:40]!a}."
    elif not URL.fullmatch(request.url):
        why = f"{part.what} has a URL with characters that no client sends: {request.url[:80]!a}."
    elif not all(_is_header(name, value) for name, value in request.headers):
        why = f"{part.what} has a header that no client sends."
    if why is not None:
        raise UnexportableError(why, "As har or vcr, the bundle can be exported.")


def _is_header(name: str, value: str) -> bool:
    return bool(TOKEN.fullmatch(name)) and all(" " <= each != "\x7f" or each == "\t" for each in value)


def _bases(bundle: Bundle, parts: list[Part]) -> list[str]:
    """List where requests go to: the recorded URL of the service, and other hosts, in order of appearance."""
    recorded = (bundle.origin.url or "").rstrip("/")
    if not BASE.fullmatch(recorded):
        recorded = ""
    found: dict[str, None] = {}
    for part in parts:
        url = part.interaction.request.url
        inside = bool(recorded) and url.startswith(recorded) and url[len(recorded) :][:1] in {"", "/", "?", "#"}
        found[recorded if inside else _origin_of(url)] = None
    return list(found)


def _base_of(url: str, bases: list[str]) -> int:
    inside = [number for number, base in enumerate(bases) if url.startswith(base)]
    origin = _origin_of(url)
    return max(inside, key=lambda number: len(bases[number])) if inside else bases.index(origin)


def _origin_of(url: str) -> str:
    found = re.match(r"([a-z]+://)(?:[^/?#]*@)?([^/?#]*)", url)
    return found[1] + found[2] if found else ""
