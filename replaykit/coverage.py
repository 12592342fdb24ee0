"""Coverage: what of a model and of a service the runs of a campaign exercised.

It is folded from the trace of each run, from what the engine has tallied (checks, labels), and from the ids that
the service gave in that run. Of commands, checks, outcomes and transitions it is known how many there are. Nobody
knows what a service has for endpoints; those are only counted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import unquote, urlsplit

from replaykit.adapter import Adapter
from replaykit.command import Command, Event, Refs, Wait, Waited
from replaykit.dispatch import members_of, signature_of
from replaykit.errors import UsageError
from replaykit.fault import Fault, HttpFault, Injected
from replaykit.generator import spelled_out
from replaykit.interaction import LOSING, Interaction
from replaykit.model import MAX_LABELS, Like, Model
from replaykit.trace import Step, Trace
from replaykit.value import Record, fields_of

K = TypeVar("K")

KINDS = ("commands", "checks", "outcomes", "transitions")  # of which it is known how many there are
USUAL = ("commands", "checks")  # what is meant by a percentage alone
WHOLE = 100.0  # percent
MAX_ENDPOINTS = 500  # kept of a campaign: method, path and status
MAX_CROSSINGS = 2000  # kept of a campaign: fault, method, path and what came of it
MAX_PATH = 200  # characters that are kept of a path
_REFUSALS = {"401", "403", "404"}  # statuses of a service that is not where it is asked, or lets nobody in
NO_FAULT = ""  # stands for a fault in the table of crossings, where none was on

_ID = re.compile(
    r"""-?\d+                                                            # a number
      | [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}                       # a UUID
      | [0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}
      | (?=\D*\d)[0-9a-fA-F]{8,}                                         # hexadecimal
      | (?=\D*\d)(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[A-Za-z0-9_-]{16,}={0,2}  # base64
      | (?=(?:\D*\d){3})[A-Za-z0-9]{20,}                                 # base32, ULID
    """,
    re.VERBOSE,
)


class Crossed(Record):
    """What came of a kind of fault at an endpoint."""

    fault: str  # its tag
    method: str
    path: str
    tried: int  # requests sent while it was on; of a fault of HTTP, those that it did something to
    lost: int  # answers that it cost
    failed: int  # runs with a finding at a step that was sent there while it was on, and could be answered


@dataclass(slots=True)
class Coverage:
    """What a campaign exercised, and how often: of each kind a counter, and where it is known, all that there is."""

    runs: int = 0
    commands: Counter[str] = field(default_factory=Counter)  # steps, by tag
    checks: Counter[tuple[str, str]] = field(default_factory=Counter)  # how often judged, by role and name
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # steps, by the tags of command and event
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)  # steps, by their tag after another one
    endpoints: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by method, path, and status or error
    answers: Counter[str] = field(default_factory=Counter)  # to requests of commands, by status or error
    labels: Counter[str] = field(default_factory=Counter)  # runs
    crossings: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)  # fault, method, path; tried, ...
    unrecovered: Counter[str] = field(default_factory=Counter)  # runs that ended so: nobody found out; by command
    endpoints_left_out: int = 0  # interactions that are not in the table, because it is full
    labels_left_out: int = 0  # runs that named something that is not in the table, because it is full
    crossings_left_out: int = 0  # the same, of requests, answers and findings
    known_commands: tuple[str, ...] = ()
    known_checks: tuple[tuple[str, str], ...] = ()
    known_faults: tuple[str, ...] = ()  # tags
    blinding: frozenset[str] = frozenset()  # tags of the faults under which nobody answers
    tampering: frozenset[str] = frozenset()  # tags of the faults of HTTP
    unaided: tuple[str, ...] = ()  # commands of which nobody finds out what became of them, by tag
    admitted: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)  # outcome -> tags that count for it
    _texts: dict[str, tuple[str, ...]] = field(default_factory=dict)  # arguments of a command that are any text

    @classmethod
    def of(cls, model: type[Model], adapter: type[Adapter[Any]], budgets: Iterable[str] = ()) -> "Coverage":
        """Say what there is to exercise in a model with its adapter and its latency budgets; nothing of it is yet."""
        rules, commands = model.rules, model.commands
        expected = dict.fromkeys(name for command, name in rules.expects.items() if command in commands)
        return cls(
            known_commands=tuple(command.tag for command in commands),
            known_checks=(
                *(("expectation", name) for name in expected),
                *(("invariant", name) for name in rules.invariants),
                *(("check", check.name) for check in rules.checks),
                *(("latency", name) for name in budgets),
            ),
            known_faults=tuple(command.tag for command in commands if issubclass(command, Fault)),
            blinding=frozenset(each.tag for each in commands if issubclass(each, Fault) and each.blinds),
            tampering=frozenset(each.tag for each in commands if issubclass(each, HttpFault)),
            unaided=tuple(
                command.tag for command in commands if command not in adapter.recoverers and not command.idempotent
            ),
            admitted={
                (command.tag, event.tag): frozenset(each.tag for each in _family(event))
                for command in commands
                for event in _events_of(command, model, adapter)
            },
            _texts={command.tag: _texts_of(command) for command in commands},
        )

    def blank(self) -> "Coverage":
        """Return one that knows the same, and has counted nothing."""
        return Coverage(
            known_commands=self.known_commands,
            known_checks=self.known_checks,
            known_faults=self.known_faults,
            blinding=self.blinding,
            tampering=self.tampering,
            unaided=self.unaided,
            admitted=self.admitted,
            _texts=self._texts,
        )

    def merge(self, other: "Coverage") -> None:
        """Count all that another one has counted."""
        self.runs += other.runs
        for name in ("commands", "checks", "outcomes", "transitions", "answers", "unrecovered"):
            getattr(self, name).update(getattr(other, name))
        self.endpoints_left_out += other.endpoints_left_out + _merge(self.endpoints, other.endpoints, MAX_ENDPOINTS)
        self.labels_left_out += other.labels_left_out + _merge(self.labels, other.labels, MAX_LABELS)
        self.crossings_left_out += other.crossings_left_out + _merge(self.crossings, other.crossings, MAX_CROSSINGS)

    def fold(self, trace: Trace, refs: Refs) -> None:
        """Count what happened in a run, or in one of several that it is made of, with what its refs were bound to."""
        self.commands.update(step.call.tag for step in trace.steps)
        self.transitions.update(
            (one.tag, then.tag)
            for one, then in pairwise(trace.sequence)
            if one.branch == then.branch  # else nobody knows which came first
        )
        self.outcomes.update((step.call.tag, step.event.tag) for step in trace.steps if step.event is not None)
        if trace.requests:
            self._visit(trace, _Places(refs))
        last = trace.steps[-1] if trace.steps else None
        if last is not None and last.faults and last.event is None and trace.ending in {"unknown", "unreachable"}:
            self.unrecovered.update(tag for tag in (last.call.tag,) if tag in self.unaided)

    def add(self, tally: Mapping[tuple[str, str], int]) -> None:
        """Count a run, with what the engine tallied in it: checks, and labels, each of which counts once."""
        self.runs += 1
        for (role, name), count in tally.items():
            if role == "label":
                self._name(name)
            elif role != "command":
                self.checks[role, name] += count

    def _name(self, label: str) -> None:
        if label and (label in self.labels or len(self.labels) < MAX_LABELS):
            self.labels[label] += 1
        else:
            self.labels_left_out += 1

    def _visit(self, trace: Trace, places: "_Places") -> None:
        self._count(trace.resetting, places)
        tags = {step.call.label: step.call.tag for step in trace.steps}
        for step in trace.steps:
            places.learn(step, self._texts.get(step.call.tag, ()))
            if self.known_faults or step.faults:
                failure = trace.failure
                fails = failure is not None and failure.is_finding and failure.step == step.call.label
                self._cross(step, [tags[label] for label in step.faults if label in tags], places, fails=fails)
            self.answers.update(map(_said, step.interactions))
            self._count(step.interactions, places)
            self._count(step.observing, places)
        self._count(trace.closing, places)

    def _cross(self, step: Step, faults: list[str], places: "_Places", *, fails: bool) -> None:
        """Count at which endpoints a command went through faults; what was asked after the last loss, nobody knows.

        For who finds out what became of a command does so with the faults at first, and then without them. What they
        ask, after the first loss, is not where the run failed; nor is what nobody could answer.
        """
        sent = step.interactions
        losses = [number for number, each in enumerate(sent) if _is_lost(each)]
        own = losses[0] + 1 if losses else len(sent)  # what the command itself asked
        fails = fails and self.blinding.isdisjoint(faults)
        found: Counter[tuple[str, str, str, str]] = Counter()
        for number, each in enumerate(sent[: losses[-1] + 1] if losses else sent):
            endpoint = (each.request.method, places.path(each.request.url))
            tried = [fault for fault in faults if each.tampered or fault not in self.tampering]
            for fault in tried or [NO_FAULT]:
                found[fault, *endpoint, "tried"] += 1
                found[fault, *endpoint, "lost"] += bool(tried) and _is_lost(each)
                if tried and fails and number < own and not (each.trouble and each.trouble.before_sending):
                    found[fault, *endpoint, "failed"] = 1
        self.crossings_left_out += _merge(self.crossings, +found, MAX_CROSSINGS)

    def _count(self, interactions: Iterable[Interaction], places: "_Places") -> None:
        for each in interactions:
            endpoint = (each.request.method, places.path(each.request.url), _said(each))
            if endpoint in self.endpoints or len(self.endpoints) < MAX_ENDPOINTS:
                self.endpoints[endpoint] += 1
            else:
                self.endpoints_left_out += 1

    @property
    def refusals(self) -> list[str]:
        """The statuses that all requests of commands were answered with, where nothing was let in; else none."""
        return sorted(self.answers) if _REFUSALS.issuperset(self.answers) else []

    # --- faults at endpoints

    @property
    def faults(self) -> list[str]:
        """The tags of all kinds of faults that there are."""
        seen = (fault for fault, *_ in self.crossings if fault != NO_FAULT)
        return list(dict.fromkeys((*self.known_faults, *seen)))

    @property
    def crossed_endpoints(self) -> list[tuple[str, str]]:
        """The endpoints that commands were sent to, with a fault or without one: method and path."""
        return sorted({(method, path) for _, method, path, _ in self.crossings})

    def crossed(self) -> list[Crossed]:
        """List what came of each fault at each endpoint where it was tried."""
        counted = self.crossings
        found = sorted({key[:3] for key in counted if key[0] != NO_FAULT and counted[*key[:3], "tried"]})
        return [
            Crossed(
                fault=fault,
                method=method,
                path=path,
                **{what: counted[fault, method, path, what] for what in ("tried", "lost", "failed")},
            )
            for fault, method, path in found
        ]

    # --- of what there is

    def total(self, kind: str) -> int:
        """How many there are of a kind: commands, checks, outcomes or transitions."""
        return len(self.known_commands) ** 2 if kind == "transitions" else len(self._known(kind))

    def covered(self, kind: str) -> int:
        """How many of them were exercised."""
        return self.total(kind) - len(self.missing(kind))

    def percent(self, kind: str) -> float:
        """How much of a kind was exercised, from 0 to 100; of nothing, all."""
        total = self.total(kind)
        return WHOLE * self.covered(kind) / total if total else WHOLE

    def missing(self, kind: str) -> list[str]:
        """List those of a kind that were never exercised, each as a text."""
        return [" -> ".join(each) if kind in {"outcomes", "transitions"} else " ".join(each)
                for each in self._known(kind) if not self._seen(kind, each)]  # fmt: skip

    def never(self) -> list[str]:
        """List the commands, checks and outcomes that were never exercised; of a command that was not, no outcomes."""
        outcomes = [" -> ".join(each) for each in self.admitted if self.commands[each[0]] and not self._came(each)]
        commands = [f"command {tag}" for tag in self.missing("commands")]
        return [*commands, *self.missing("checks"), *(f"outcome {each}" for each in outcomes)]

    def lacking(self, required: Mapping[str, float]) -> list[str]:
        """Say for each kind of which less was exercised than is required, by how much."""
        return [
            f"coverage of {kind} is {int(self.percent(kind))} %, {wanted:g} % were asked for"
            for kind, wanted in required.items()
            if self.covered(kind) * WHOLE < wanted * self.total(kind)
        ]

    def admits(self, command: str, event: str) -> bool | None:
        """Say whether an outcome is one of those that the model admits; None where it does not say."""
        said = [event in tags for (asked, _), tags in self.admitted.items() if asked == command]
        return any(said) if said else None

    def _known(self, kind: str) -> list[tuple[str, ...]]:
        if kind == "commands":
            return [(tag,) for tag in self.known_commands]
        if kind == "checks":
            return list(self.known_checks)
        if kind == "outcomes":
            return list(self.admitted)
        if kind == "transitions":
            return [(first, then) for first in self.known_commands for then in self.known_commands]
        raise _unknown(kind)

    def _seen(self, kind: str, each: tuple[str, ...]) -> bool:
        if kind == "commands":
            return self.commands[each[0]] > 0
        if kind == "outcomes":
            return self._came((each[0], each[1]))
        counted = self.checks if kind == "checks" else self.transitions
        return counted[each[0], each[1]] > 0

    def _came(self, outcome: tuple[str, str]) -> bool:
        return any(self.outcomes[outcome[0], tag] for tag in self.admitted[outcome])


def _said(interaction: Interaction) -> str:
    """Say how a request was answered: with a status, or with an error."""
    response, trouble = interaction.response, interaction.trouble
    return str(response.status) if response is not None else trouble.error if trouble is not None else "no answer"


def _is_lost(interaction: Interaction) -> bool:
    """Say whether the answer to a request was lost, or is none of the service's."""
    return interaction.response is None or interaction.trouble is not None or interaction.tampered in LOSING


# --- what an annotation admits ------------------------------------------------------------------


def _merge(table: Counter[K], other: Counter[K], most: int) -> int:
    """Add what another table has counted, as far as there is room; return how much was left out."""
    left_out = 0
    for key, counted in other.items():
        if key in table or len(table) < most:
            table[key] += counted
        else:
            left_out += counted
    return left_out


def _events_of(command: type[Command], model: type[Model], adapter: type[Adapter[Any]]) -> list[type[Event]]:
    """List what may come of a command: as the model expects it, else as its handler is annotated."""
    for owner, name in ((model, model.rules.expects.get(command)), (adapter, adapter.handlers.get(command))):
        events = list(_events_in(signature_of(owner, name)[0].get("return"))) if name is not None else []
        if events:
            return list(dict.fromkeys(events))
    return [Waited] if issubclass(command, Wait) else [Injected] if issubclass(command, Fault) else []


def _events_in(annotation: Any) -> Iterator[type[Event]]:
    """List the events that an annotation names; Event itself, and Any, name none."""
    for each in members_of(annotation):
        if get_origin(each) in (tuple, Like):
            for inner in get_args(each):
                yield from _events_in(inner)
        elif isinstance(each, type) and issubclass(each, Event) and each is not Event:
            yield each


def _family(event: type[Event]) -> Iterator[type[Event]]:
    """List an event and all that are derived from it: who admits the one admits the others."""
    yield event
    for each in event.__subclasses__():
        yield from _family(each)


# --- endpoints ----------------------------------------------------------------------------------


def _texts_of(command: type[Command]) -> tuple[str, ...]:
    """List the arguments of a command that may be any text, the last one first."""
    return tuple(name for name, annotation, _, _ in fields_of(command) if str in members_of(annotation))[::-1]


class _Places:
    """What the parts of a path mean in one run."""

    def __init__(self, refs: Refs) -> None:
        self.nonce = refs.nonce
        self.entities: dict[str, list[str]] = {}  # by the service's id
        self.texts: dict[str, str] = {}  # an argument -> its name
        for entity, service_id in refs.bound():
            self.entities.setdefault(str(service_id), []).append(entity)

    def learn(self, step: Step, names: Iterable[str]) -> None:
        """Remember the texts that a command was given: a service may have them in its paths."""
        for name in names:
            text = step.call.args.get(name)
            if text and isinstance(text, str):
                self.texts[spelled_out(text, self.nonce)] = name

    def path(self, url: str) -> str:
        """Return the path of a URL with a placeholder for each id and each argument in it."""
        before, parts = "", []
        for part in urlsplit(url).path.split("/"):
            parts.append(self._part(unquote(part) if "%" in part else part, before) or part if part else "")
            before = part
        return "/".join(parts)[:MAX_PATH] or "/"

    def _part(self, part: str, before: str) -> str:
        """Return the placeholder for a part of a path; an empty text if it is always the same."""
        entities = self.entities.get(part)
        if entities is not None:
            named = next((each for each in entities if _speaks_of(before, each)), None)
            if named is None and len(entities) == 1 and not part.isdecimal():
                named = entities[0]
            return f"{{{named or 'id'}}}"  # the same number may name things of several kinds
        if part in self.texts:
            return f"{{{self.texts[part]}}}"
        return "{id}" if _is_id(part) else ""


@lru_cache(maxsize=4096)
def _is_id(part: str) -> bool:
    return _ID.fullmatch(part) is not None


@lru_cache(maxsize=4096)
def _speaks_of(part: str, entity: str) -> bool:
    """Say whether a part of a path names a kind of thing, in the plural too: accounts, categories, line-items."""
    said = re.sub(r"[^a-z0-9]", "", part.lower())
    return said.startswith(entity.replace("_", "").removesuffix("y"))


# --- what is required ---------------------------------------------------------------------------


def requirements(texts: Iterable[str]) -> dict[str, float]:
    """Read how much must be covered: `100` of commands and checks, `outcomes=90` of one kind. Raises UsageError."""
    required: dict[str, float] = {}
    for text in texts:
        kind, equals, said = text.rpartition("=")
        try:
            percent = float(said.strip().removesuffix("%"))
        except ValueError:
            raise UsageError(
                f"The coverage {text!r} can't be required.",
                "Write a percentage, or a kind with one: 100, outcomes=90. "
                f"The kinds are {', '.join(KINDS)}; a percentage alone is about {' and '.join(USUAL)}.",
            ) from None
        for each in (kind.strip(),) if equals else USUAL:
            if each in required:
                raise UsageError(f"The coverage of {each} is required twice.", "Say it once.")
            required[each] = percent
    return checked(required)


def checked(required: Mapping[str, float]) -> dict[str, float]:
    """Return what is required, by kind, if it can be. Raises UsageError."""
    for kind, percent in required.items():
        if kind not in KINDS:
            raise _unknown(kind)
        if not 0 <= percent <= WHOLE:
            raise UsageError(f"{percent:g} % of {kind} can't be covered.", "A percentage is a number from 0 to 100.")
    return dict(required)


def _unknown(kind: str) -> UsageError:
    return UsageError(f"There is no coverage of {kind!r}.", f"The kinds are {', '.join(KINDS)}.")
