"""Latency: what the answers of a service may take, and when a slow one is a finding.

Theory of operation. A budget is what all requests of a handler may take together for one command
(`@within`), or what each request to an endpoint may take, whoever asks (`--latency`). Nothing is measured
while a run goes on: each interaction of a trace says how long it took, so a slow step is a fold of a trace
that is over. So it ends no run, and whatever else fails goes first. Waiting on purpose takes no part in it,
and neither does what is sent at the same time: such requests wait for each other.

A single slow answer says little of a service on a busy machine. So the same sequence is executed several
times, and only what is slow in the majority of these executions is a failure: `decide` is the one place
that says so, for a campaign, for a shrink candidate, and for a live replay. An offline replay has one
execution, the recorded one.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from replaykit.adapter import Adapter, Mock
from replaykit.command import Wait
from replaykit.dispatch import budget_of, is_budget
from replaykit.errors import BundleError, UsageError
from replaykit.fault import Fault
from replaykit.interaction import Interaction
from replaykit.model import Model
from replaykit.trace import Trace
from replaykit.verdict import Failure

RUNS = 5  # executions of a sequence in which something was slow, at most
SHORT = 0.01  # seconds that are said to the microsecond
CANDIDATE = 3  # the same of a shrink candidate

_ENDPOINT = re.compile(r"([A-Z]+) (/[^\s?#]*)")


# --- endpoints ----------------------------------------------------------------------------------


class Endpoint(NamedTuple):
    """A method and the parts of a path; None is any one part."""

    method: str
    parts: tuple[str | None, ...]

    def fits(self, method: str, parts: list[str]) -> bool:
        """Say whether a request goes there."""
        return (
            method == self.method
            and len(parts) == len(self.parts)
            and all(part if wanted is None else part == wanted for wanted, part in zip(self.parts, parts, strict=True))
        )


def endpoint_of(name: str) -> Endpoint:
    """Read an endpoint: `POST /accounts/{id}/credit`. Raises UsageError."""
    found = _ENDPOINT.fullmatch(name)
    parts = found[2].split("/") if found else []
    if found is None or any(
        "{" in part[1:] or "}" in part[:-1] or part.count("{") != part.count("}") for part in parts
    ):
        raise UsageError(
            f"{name!r} is not an endpoint.",
            "Write a method and a path, without a query: 'POST /accounts/{id}/credit'; {...} is any one part of it.",
        )
    return Endpoint(found[1], tuple(None if part.startswith("{") else unquote(part) for part in parts))


def _endpoint_in(name: str) -> Endpoint | None:
    """Read the name of a recorded failure; None where it is that of a handler."""
    with suppress(UsageError):
        return endpoint_of(name)
    return None


def _concreteness(endpoint: Endpoint) -> list[bool]:
    return [part is None for part in endpoint.parts]


# --- budgets ------------------------------------------------------------------------------------


class Budget(NamedTuple):
    """What is allowed, under the name of the handler or of the endpoint as it was written."""

    name: str
    seconds: float


class Measured(NamedTuple):
    """What was measured against a budget, and where."""

    budget: Budget
    step: int | None  # label; None at the end of the run
    command: str | None  # tag; None for an endpoint, which is the same whatever was asked before
    seconds: float

    @property
    def is_slow(self) -> bool:
        """Whether it took longer than allowed."""
        return self.seconds > self.budget.seconds

    def failure(self) -> Failure:
        """Say it as the failure of a run."""
        name, allowed = self.budget
        said = f"{self.seconds:.3f}"
        if float(said) <= allowed or self.seconds < SHORT:
            said = f"{self.seconds:.6f}"
        return Failure(
            kind="latency",
            name=name,
            step=self.step,
            command=self.command,
            message=f"{name} took {said} s, {allowed:g} s are allowed",
            expected=allowed,
            actual=self.seconds,
        )


@dataclass(frozen=True, slots=True)
class Budgets:
    """The budgets of a campaign or a replay; of several endpoints that a request goes to, the most concrete counts."""

    handlers: Mapping[str, Budget]  # by the tag of the command
    endpoints: Mapping[Endpoint, Budget]
    waits: frozenset[str] = frozenset()  # tags of commands that wait on purpose

    @property
    def names(self) -> list[str]:
        """The names of all that has a budget."""
        return list(dict.fromkeys(budget.name for budget in (*self.handlers.values(), *self.endpoints.values())))

    def measure(self, trace: Trace) -> Iterator[Measured]:
        """List all that a trace says of what has a budget, in the order in which it happened."""
        if not (self.handlers or self.endpoints):
            return
        for step in trace.steps:
            call = step.call
            label, tag = call.label, call.tag
            alone = () if call.branch or call.twice or tag in self.waits or step.faults else step.interactions
            handler = self.handlers.get(tag)
            if handler is not None and alone:
                yield Measured(handler, label, tag, _seconds(*alone))
            yield from self._endpoints_of((*alone, *step.observing), label)
        if not any(step.call.branch for step in trace.steps):
            yield from self._endpoints_of(trace.closing, None)

    def _endpoints_of(self, interactions: tuple[Interaction, ...], step: int | None) -> Iterator[Measured]:
        for each in interactions if self.endpoints else ():
            parts = _parts_of(each.request.url)
            budget = next((it for known, it in self.endpoints.items() if known.fits(each.request.method, parts)), None)
            if budget is not None:
                yield Measured(budget, step, None, _seconds(each))

    def slow(self, trace: Trace) -> list[Failure]:
        """List what took too long in a run, each budget once for each step."""
        found: dict[tuple[int | None, str], Failure] = {}
        for each in self.measure(trace):
            if each.is_slow and (each.step, each.budget.name) not in found:
                found[each.step, each.budget.name] = each.failure()
        return list(found.values())

    def recorded(self, failure: Failure) -> "Budgets":
        """Return the one budget that a recorded failure is about: today's seconds, else the recorded ones.

        Raises BundleError where nobody says them.
        """
        name, tag = failure.name, failure.command or ""
        endpoint = _endpoint_in(name)
        given = self.handlers.get(tag) if endpoint is None else self.endpoints.get(endpoint)
        seconds = failure.expected if given is None else given.seconds
        if not is_budget(seconds):
            raise BundleError(
                f"The bundle says that {name} was too slow, and {seconds!r} is no budget.",
                "Give one: @within, --latency.",
            )
        budget = Budget(name, seconds)
        if endpoint is None:
            return replace(self, handlers={tag: budget}, endpoints={})
        return replace(self, handlers={}, endpoints={endpoint: budget})


def read_endpoints(given: Mapping[str, float]) -> dict[Endpoint, Budget]:
    """Read budgets of endpoints, the most concrete first; a later one of the same counts. Raises UsageError."""
    read: dict[Endpoint, Budget] = {}
    for name, seconds in given.items():
        endpoint = endpoint_of(name)
        if not is_budget(seconds):
            raise UsageError(f"{name} can't have a budget of {seconds!r}.", "Give it seconds, more than 0.")
        read[endpoint] = Budget(name, float(seconds))
    return dict(sorted(read.items(), key=lambda item: _concreteness(item[0])))


def budgets_of(model: type[Model], adapter: type[Adapter[Any]], given: Mapping[str, float]) -> Budgets:
    """Collect the budgets of an adapter's handlers, and those given for endpoints. Raises UsageError."""
    endpoints = read_endpoints(given)
    if adapter is Mock:
        return Budgets({}, {})  # it asks nobody
    handlers: dict[str, Budget] = {}
    for tag, command in model.rules.by_tag.items():
        name = adapter.handlers.get(command)
        seconds = None if name is None else budget_of(adapter, name)
        if name is not None and seconds is not None and not issubclass(command, Wait | Fault):
            handlers[tag] = Budget(name, seconds)
    waits = frozenset(tag for tag, command in model.rules.by_tag.items() if issubclass(command, Wait))
    return Budgets(handlers, endpoints, waits)


def _seconds(*interactions: Interaction) -> float:
    """Add up what interactions took, as exactly as bundles say it."""
    return round(sum(round(each.elapsed, 6) for each in interactions), 6)


@lru_cache(maxsize=4096)
def _parts_of(url: str) -> list[str]:
    return [unquote(part) for part in (urlsplit(url).path or "/").split("/")]


# --- the tolerance ------------------------------------------------------------------------------


class Decided(NamedTuple):
    """What several executions of one sequence come to."""

    trace: Trace  # one that counts for all: with the failure where something is slow in the majority of them
    executions: int
    requests: int
    slow: int  # answers that were slow: those of the failure, else those that are forgiven


def decide(
    slow: Callable[[Trace], list[Failure]], again: Callable[[], Trace], most: int, first: Trace | None = None
) -> Decided:
    """Execute a sequence up to `most` times, and find what is slow in more than half of the executions.

    It ends as soon as that is known. An execution that ends in another way than by passing is taken for what it
    says: whatever else fails goes before what is slow. `first` is an execution that was made already.
    """
    seen: dict[tuple[int | None, str], list[Trace]] = {}
    executions = requests = 0
    while True:
        trace = again() if executions or first is None else first
        executions, requests = executions + 1, requests + trace.requests
        if trace.ending != "passed":
            return Decided(trace, executions, requests, 0)
        for failure in slow(trace):
            seen.setdefault((failure.step, failure.name), []).append(trace.replace(ending="failed", failure=failure))
        most_seen = max(seen.values(), key=len, default=[])
        if 2 * len(most_seen) > most:
            return Decided(most_seen[-1], executions, requests, len(most_seen))
        if 2 * (len(most_seen) + most - executions) <= most:
            return Decided(trace, executions, requests, sum(map(len, seen.values())))
