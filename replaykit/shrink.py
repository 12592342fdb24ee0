"""Shrinking: the search for the simplest sequence that still fails in the same way.

Theory of operation. The search is pure: it proposes candidates, and an oracle, which is given to it, runs
each and says whether it failed with the same fingerprint. What costs is requests, not thought, so short
candidates come first, no candidate is tried twice, and what can be known to fail to fit is never run.

0. Calm down: no fault at all, else only one of them.
1. Slice: only what is related to the failing call, by values and refs that they share. What fails at the end
   of a run has no failing call: there, one thing is tried with what was done to it, or else the last call of the
   shortest beginning that fails is taken for it.
2. Drop: all calls of one type at once, then all that mention one value.
3. Remove calls: counter-based delta debugging (Zhang et al., "Deep Dive into Probabilistic Delta Debugging",
   2024, arXiv 2408.04735): chunks of fixed sizes, each smaller by the factor 1 - 1/e, no complements. Whoever
   depends on a removed call goes with it.
4. Simplify values (`simplify`): unify names, give them canonical names, lower numbers, alone and together, then
   one field at a time, inside the generator's domain.
5. Again from 3, until nothing changes; then *donate*: remove a call while its value moves to another one,
   or *exchange*: name an earlier thing, which a call of another type may have made.
6. Confirm: run the result a few times more. Where it does not fail each time, the bug is flaky: measure how
   often it fails, and go on from 1, with as many tries for each candidate as that rate asks for.

Where the sequence ends in branches, which are sent at the same time, whole branches go first, then calls of any
place, and what can be sent before the others is (as in quickcheck-state-machine). Races show now and then, so
that it is measured at once how often, and a candidate counts only if it fails twice: else the search would go from
one to the next rarer one.

Labels survive: what stands in the result has the number that it had in the sequence that was generated.
"""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from replaykit.argument import entity_of, gifts, maker_of, named_otherwise, raw_of, refs_in, texts_in, with_raw
from replaykit.errors import UnreachableError
from replaykit.rate import tries
from replaykit.sequence import Sequence, branches_of, closed, identity, renumbered, replaced, without
from replaykit.simplify import FEW, Generators, Simplification
from replaykit.trace import Trace

FIRST_CHUNK = 9  # calls: -1 / ln(1 - p) for a first guess of p = 0.1 that a call is needed
CHUNK_FACTOR = 1 - 1 / math.e
TRIES = 5  # runs in which a failure has to happen again
CONFIRMING = 5  # runs of the result: a bug that shows in 70 % of the runs shows in all five once in six times
CONFIRMING_SECONDS = 1.0  # that this may take, however small the budget is
MEASURING = 10  # runs that say how often a flaky bug shows
RAREST = 0.2  # how often it has to show, to be shrunk at all
MISSED = 0.02  # how often a candidate that shows it may be taken for one that does not
MOST_TRIES = 15  # of one candidate
RARE = 0.1  # how often a result fails, of which a better one is welcome
RACES = 3  # failures that have to be seen to say how often a race shows
RACING = 60  # runs in which they are looked for
RAREST_RACE = 0.03  # how often it has to show, to be shrunk at all
SURE = 2  # more runs in which a candidate with faults has to fail
SHORT = 40  # calls: up to this length, giving numbers away is tried
INTERRUPTED = "interrupted"
UNREACHABLE = "the service was not reachable any more"
UNCONFIRMED = "interrupted while the result was confirmed"
MOST_DEATHS = 20  # candidates that kill the service, each of which costs a start
THREADS = 12  # things that are tried alone


class Attempt(NamedTuple):
    """What the oracle says of a candidate."""

    same: bool  # did it fail with the fingerprint that we look for?
    sequence: Sequence  # what was executed, up to the failing call
    requests: int
    trace: Trace | None = None  # all that happened
    executions: int = 1  # that it took to say so
    died: bool = False  # did the service die of it? it is there again


Oracle: TypeAlias = Callable[[Sequence], Attempt]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long shrinking may go on."""

    executions: int = 500
    seconds: float = 60.0

    @classmethod
    def for_races(cls) -> "Budget":
        """Return a larger one: each candidate is run several times."""
        return cls(executions=2000)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What came of it."""

    sequence: Sequence
    trace: Trace | None  # of the run that failed with this sequence; None where that is the first one still
    executions: int
    requests: int
    seconds: float
    runs: int  # of the result, when the search was over
    failed: int  # how many of them failed in the same way
    stopped: str | None = None  # what ended it before its time, in words
    error: BaseException | None = None  # what ended it, where the caller has to know
    restarts: int = 0  # how often the service was started again, since a candidate killed it

    @property
    def is_rare(self) -> bool:
        """Whether the result failed so seldom that another sequence with the same failure may show it better."""
        return self.error is None and (not self.failed or self.failed < RARE * self.runs)

    @property
    def confirmed(self) -> bool:
        """Whether the result failed each time that it was run again."""
        return self.error is None and 0 < self.failed == self.runs


def is_cut_short(stopped: str | None) -> bool:
    """Say of what ended a search whether another one would go on: it was interrupted, and not at its own end."""
    return stopped in {INTERRUPTED, UNREACHABLE, UNCONFIRMED}


class _SpentError(Exception):
    """The budget is used up."""


def shrink(
    sequence: Sequence,
    oracle: Oracle,
    generators: Generators,
    *,
    budget: Budget | None = None,
    fits: Callable[[Sequence], bool] = lambda _: True,
    looks: int = TRIES,
    at_end: bool = False,
    faults: frozenset[str] = frozenset(),
) -> Shrunk:
    """Search for the simplest sequence for which the oracle says the same; keep the best found at any stop.

    `sequence` ends with the failing call, and is known to fail. `fits` says, without running anything,
    whether a candidate can be run at all. `looks` is in how many runs the sequence has to fail again. `at_end`
    says that it fails at the end of the run, whatever its last call is. `faults` are the tags of calls that begin a
    fault.
    """
    search = _Search(sequence, oracle, generators, budget or Budget(), fits)
    search.at_end, search.faults = at_end, faults
    stopped: str | None = None
    error: BaseException | None = None
    try:
        if search.is_race:
            search.race()
        else:
            search.start(looks)
            search.go()
            search.confirm()
            if search.failed < search.runs:
                search.go_on_flaky()
    except _SpentError as spent:
        stopped = str(spent)
    except KeyboardInterrupt as interrupt:
        stopped, error = INTERRUPTED, interrupt
    except UnreachableError as unreachable:
        stopped, error = UNREACHABLE, unreachable
    if error is None and search.reproduced:
        try:
            search.confirm(MEASURING if search.is_race else CONFIRMING)
        except (KeyboardInterrupt, UnreachableError) as late:
            stopped, error = UNCONFIRMED, late
    return Shrunk(
        sequence=search.best,
        trace=search.trace,
        executions=search.executions,
        requests=search.requests,
        seconds=time.monotonic() - search.began,
        runs=search.runs,
        failed=search.failed,
        stopped=stopped,
        error=error,
    )


class _Search:
    """One search: the best sequence so far, and what was tried."""

    def __init__(
        self,
        sequence: Sequence,
        oracle: Oracle,
        generators: Generators,
        budget: Budget,
        fits: Callable[[Sequence], bool],
    ) -> None:
        self.best = sequence
        self.trace: Trace | None = None
        self.oracle = oracle
        self.generators = generators
        self.budget = budget
        self.fits = fits
        self.tried = {identity(sequence)}
        self.executions = 0
        self.requests = 0
        self.began = time.monotonic()
        self.reproduced = False
        self.at_end = False  # does it fail at the end of the run, and not in a call?
        self.faults: frozenset[str] = frozenset()  # tags
        self.values = Simplification(self)
        self.tries = 1  # of a candidate
        self.is_race = bool(branches_of(sequence))
        self.runs = self.failed = 0  # of the best, after it was found
        self.deaths = 0  # of the service

    def go(self) -> None:
        """Run the passes until none of them changes anything."""
        self.calm_down()
        if self.at_end and not self.thread():
            self.shorten()
        self.slice()
        self.drop_kinds()
        self.drop_values()
        self.remove()
        while True:
            before = identity(self.best)
            self.values.run()
            self.remove(1)
            if identity(self.best) == before and not self.donate() and not self.exchange():
                return

    def start(self, looks: int) -> None:
        """Run what failed again, until it fails again: what does not can't be made smaller."""
        for number in range(1, looks + 1):
            self._check_budget()
            attempt = self._ask(self.best)
            if attempt.same:
                self._adopt(attempt)
                self.reproduced = True
                self.tries = number
                return
        self.runs = looks
        raise _SpentError(f"it did not fail again in {looks} runs of the same sequence")

    def go_on_flaky(self) -> None:
        """Search again, with as many tries for each candidate as the bug needs to show itself."""
        self.confirm(MEASURING)
        rate = self.failed / self.runs
        if rate < RAREST:
            raise _SpentError(f"it failed in {self.failed} of {self.runs} runs, too seldom to be shrunk")
        self.tries = max(2, tries(rate, MISSED, MOST_TRIES))
        self.tried, self.values = {identity(self.best)}, Simplification(self)
        self.go()
        self.confirm(MEASURING)

    def race(self) -> None:
        """Search where the sequence ends in branches, with as many tries for each candidate as it needs now."""
        while True:
            before = identity(self.best)
            self._measure_race()
            self._drop_branches()
            self._drop_calls()
            self._send_before()
            if identity(self.best) == before:
                break
        self.values.run()
        self._drop_calls()
        self.confirm(MEASURING)

    def _measure_race(self) -> None:
        while self.failed < RACES and self.runs < RACING:
            self._check_budget()
            self.failed += self._ask(self.best).same
            self.runs += 1
        rate = self.failed / self.runs
        self.reproduced = self.reproduced or self.failed > 0
        if rate < RAREST_RACE:
            raise _SpentError(f"it failed in {self.failed} of {self.runs} runs, too seldom to be shrunk")
        self.tries = max(2, tries(rate, MISSED, MOST_TRIES))

    def confirm(self, runs: int = CONFIRMING) -> None:
        """Run the best until it was run so often; the budget does not count, but it may not take as long again."""
        began, limit = time.monotonic(), max(self.budget.seconds, CONFIRMING_SECONDS)
        while self.runs < runs or (self.is_race and not self.failed and self.runs < RACING):
            if self.runs and time.monotonic() - began > limit:
                return
            self.failed += self._ask(self.best).same
            self.runs += 1

    def _adopt(self, attempt: Attempt) -> None:
        """Take a sequence that failed for the best."""
        self.best, self.trace = attempt.sequence, attempt.trace
        self.tried.add(identity(self.best))
        self.runs = self.failed = 0

    def _ask(self, candidate: Sequence) -> Attempt:
        attempt = self.oracle(candidate)
        self.executions += attempt.executions
        self.requests += attempt.requests
        self.deaths += attempt.died
        return attempt

    def _check_budget(self) -> None:
        if self.executions >= self.budget.executions:
            raise _SpentError(f"the budget of {self.budget.executions} executions is used up")
        if time.monotonic() - self.began > self.budget.seconds:
            raise _SpentError(f"the budget of {self.budget.seconds:g} seconds is used up")
        if self.deaths >= MOST_DEATHS:
            raise _SpentError(f"the service died in {self.deaths} of the sequences that were tried")

    def attempt(self, candidate: Sequence) -> bool:
        """Try a candidate; if it fails in the same way, it is the best from now on."""
        candidate = renumbered(candidate)
        if not candidate or (key := identity(candidate)) in self.tried:
            return False
        self.tried.add(key)
        self._check_budget()
        if not self.fits(candidate):
            return False
        seen = self._seen(candidate)
        if seen is not None and self.is_race:
            seen = self._seen(candidate)
        if seen is not None and self.tries == 1 and self._is_milder(candidate):
            again = (self._ask(candidate) for _ in range(SURE))  # milder faults hit now and then, and so are no simpler
            seen = seen if all(each.same for each in again) else None
        if seen is not None:
            self._adopt(seen)
        return seen is not None

    def _is_milder(self, candidate: Sequence) -> bool:
        """Say whether it differs from the best by what a fault is like, or has none any more."""
        here, there = ([call for call in each if call.tag in self.faults] for each in (candidate, self.best))
        return here != there and (not here or len(candidate) == len(self.best))

    def _seen(self, candidate: Sequence) -> Attempt | None:
        """Run a candidate until it fails in the same way, as often as that is worth."""
        for _ in range(self.tries):
            self._check_budget()
            attempt = self._ask(candidate)
            if attempt.same:
                return attempt
        return None

    # --- calls

    def thread(self) -> bool:
        """Keep one thing, what was done to it, and what that needs; the shortest such thread comes first."""
        threads = []
        for call in self.best:
            users = {user.label for user in self.best if call.label in user.needs}
            if len(users) > 1:
                threads.append(closed(self.best, users))
        for labels in sorted(threads, key=len)[:THREADS]:
            if self.attempt(tuple(call for call in self.best if call.label in labels)):
                return True
        return False

    def calm_down(self) -> None:
        """Do without any fault, else with one of them, the last one first."""
        begun = [call.label for call in self.best if call.tag in self.faults]
        kept: set[int]
        for kept in (set(), *({label} for label in reversed(begun))):
            if len(kept) < len(begun) and self.attempt(without(self.best, set(begun) - kept)):
                return

    def shorten(self) -> None:
        """Find the shortest beginning that fails, where any may; the shorter it is, the sooner it is tried.

        Its last call is the one that matters, from which the other passes can go on.
        """
        fine = 0  # calls that do not fail
        while len(self.best) - fine > 1:
            length = min(max(1, 2 * fine), (fine + len(self.best)) // 2)
            if not self.attempt(self.best[:length]):
                fine = length

    def slice(self) -> None:
        """Keep what is related to the failing call: what it needs, what shares a value, what shares with that."""
        last = self.best[-1]
        labels = {last.label, *(call.label for call in self.best if call.tag in self.faults)}
        for _ in range(len(self.best)):
            needed = closed(self.best, labels)
            if self.attempt(tuple(call for call in self.best if call.label in needed)):
                return
            values = set().union(*(texts_in(call.args) for call in self.best if call.label in needed))
            wider = needed | {call.label for call in self.best if texts_in(call.args) & values}
            if wider == labels:  # then what was done to the things that these calls made
                wider = needed | {call.label for call in self.best if call.needs & needed}
            if wider == labels:
                return
            labels = wider

    def drop_kinds(self) -> None:
        """Remove all calls of one type, the most frequent first, but for the failing one."""
        counted = Counter(call.tag for call in self.best[:-1])
        for tag, count in counted.most_common():
            if count > 1:
                self.attempt(self._without(tuple(call for call in self.best[:-1] if call.tag == tag)))

    def drop_values(self) -> None:
        """Remove all calls that mention a value which the failing call does not; a single one is left to `remove`."""
        ours = texts_in(self.best[-1].args)
        said = (value for call in self.best for value in sorted(texts_in(call.args)) if value not in ours)
        for value in dict.fromkeys(said):
            kept = without(self.best, [call.label for call in self.best[:-1] if value in texts_in(call.args)])
            if len(kept) < len(self.best) - 1:
                self.attempt(kept)

    def remove(self, most: int = FIRST_CHUNK) -> None:
        """Remove calls in chunks of falling size, `most` at first, then one by one until none can go."""
        size = float(min(most, max(1, len(self.best) // 2)))
        while size >= 1:
            changed = self._remove_chunks(int(size))
            if int(size) > 1 or not changed:
                size *= CHUNK_FACTOR
        self.attempt(self.best[:-1])  # what fails at the end of a run may not need its last call

    def _remove_chunks(self, size: int) -> bool:
        changed = False
        end = len(self.best) - 1  # the failing call stays
        while end > 0:
            chunk = self.best[max(0, end - size) : end]
            if self.attempt(self._without(chunk)):
                changed = True
            end = min(end - size, len(self.best) - 1)
        return changed

    def _without(self, calls: Sequence) -> Sequence:
        """Remove calls and what depends on them; nothing is left if the failing call is among it."""
        kept = without(self.best, [call.label for call in calls])
        return kept if kept and kept[-1].label == self.best[-1].label else ()

    def donate(self) -> bool:
        """Remove a call while its value moves to a later one, or is added to that one's number."""
        if len(self.best) > SHORT:
            return False
        for giver in self.best[:-1]:
            for name, generator in self.generators(giver).items():
                value = raw_of(giver, name)
                for taker in self.best:
                    if taker.label == giver.label:
                        continue
                    for other, same in self.generators(taker).items():
                        if same.key != generator.key or generator.symbolic:
                            continue
                        if isinstance(value, str) and len(self.best) > FEW:
                            continue
                        for gift in gifts(value, raw_of(taker, other)):
                            if not same.accepts(gift):
                                continue
                            changed = with_raw(taker, other, gift, same)
                            candidate = replaced(self._without((giver,)), {taker.label: changed})
                            if self.attempt(candidate):
                                return True
        return False

    def exchange(self) -> bool:
        """Name what a call of another type made before, where such calls are not known to make other things."""
        if len(self.best) > SHORT:
            return False
        refs = [(call, ref) for call in self.best for ref in refs_in(call)]
        makers = {(entity_of(ref), maker.tag) for _, ref in refs if (maker := maker_of(self.best, ref)) is not None}
        for call, ref in refs:
            entity, maker = entity_of(ref), maker_of(self.best, ref)
            others = {tag for kind, tag in makers if kind != entity}
            for earlier in self.best[: self.best.index(maker)] if maker is not None else ():
                named = named_otherwise(call, ref, f"{entity}@{earlier.label}")
                if earlier.tag not in others and self.attempt(replaced(self.best, {call.label: named})):
                    return True
        return False

    # --- branches

    def _drop_branches(self) -> None:
        """Remove whole branches, as long as two are left."""
        for branch in reversed(branches_of(self.best)):
            if len(branches_of(self.best)) > 2:  # noqa: PLR2004
                self._attempt_race(without(self.best, [call.label for call in branch]))

    def _drop_calls(self) -> None:
        """Remove what the branches do not need, then calls in chunks of falling size, from the last to the first."""
        inside = {call.label for call in self.best if call.branch}
        needed = closed(self.best, inside)
        self._attempt_race(tuple(call for call in self.best if call.label in needed))
        size = max(1, len(self.best) // 2)
        while size:
            end = len(self.best)
            while end > 0:
                chunk = self.best[max(0, end - size) : end]
                self._attempt_race(without(self.best, [call.label for call in chunk]))
                end = min(end - size, len(self.best))
            size //= 2

    def _send_before(self) -> None:
        """Send the first call of a branch before all branches."""
        for branch in branches_of(self.best):
            for call in branch:
                first = [each for each in self.best if not each.branch or each.label == call.label]
                rest = [each for each in self.best if each.branch and each.label != call.label]
                if not self._attempt_race((*(each.replace(branch=0) for each in first), *rest)):
                    break

    def _attempt_race(self, candidate: Sequence) -> bool:
        return len(branches_of(candidate)) > 1 and self.attempt(candidate)
