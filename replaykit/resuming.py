"""Resuming: a hunt that was stopped is put together again, from its journal and the bundles beside it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from replaykit import project
from replaykit.binding import bound
from replaykit.bundle import Bundle, Shrinking
from replaykit.errors import ReplaykitError, StaleError, UsageError
from replaykit.finding import Finding
from replaykit.journal import FoundLine, Kept, RanLine, ShrunkLine
from replaykit.reader import read
from replaykit.result import Result
from replaykit.shrink import Shrunk, is_cut_short
from replaykit.trace import Trace
from replaykit.verdict import Failure

MOST_FOUND = 10_000


@dataclass(slots=True)
class Past:
    """What a hunt had done when it was stopped, beside what stands in its result again."""

    findings: dict[str, Finding] = field(default_factory=dict)  # by fingerprint, known ones included
    waiting: list[Finding] = field(default_factory=list)  # that were not shrunk yet
    seconds: float = 0.0  # that it had gone on


def restore(journal: Kept, result: Result, corpus: Mapping[str, Path]) -> Past:
    """Count again what the journal says, and read the bundles of what was found.

    Raises JournalError for a line that can't be, UsageError where a bundle is missing, BundleError where one is
    broken.
    """
    past = Past()
    lines: list[FoundLine] = []
    shrunk: dict[str, ShrunkLine] = {}
    own: set[str] = set()
    seen: dict[str, int] = {}
    for number, kind, line in journal.lines(result.coverage):
        if isinstance(line, RanLine):
            if line.run != result.total_runs + 1 or min(line.steps, line.requests, line.forgiven, line.restarts) < 0:
                raise journal.broken(number, f"run {line.run} can't come after run {result.total_runs}")
            if line.fingerprint is not None and line.fingerprint not in seen:
                raise journal.broken(number, f"nothing with the fingerprint {line.fingerprint!r} stands above")
            _count(line, result, seen)
            past.seconds = max(past.seconds, line.at)
        elif isinstance(line, FoundLine):
            told = line.failure
            is_other = told is not None and told.fingerprint != line.fingerprint
            if is_other or line.fingerprint in seen or len(lines) >= MOST_FOUND or line.run < 1 or line.seed < 0:
                raise journal.broken(number, f"{line.fingerprint!r} can't be found here")
            seen[line.fingerprint] = 0
            lines.append(line)
            if kind == "found":
                own.add(line.fingerprint)
            past.seconds = max(past.seconds, line.at)
        elif isinstance(line, ShrunkLine):
            if line.fingerprint not in own or line.restarts < 0:
                raise journal.broken(number, f"nothing with the fingerprint {line.fingerprint!r} is found above")
            result.restarts += line.restarts
            shrunk[line.fingerprint] = line
            past.seconds = max(past.seconds, line.at)
    folder = journal.path.parent
    bundles = {path.stem.rpartition("-")[2]: path for path in folder.glob("*.pd")}
    for line in lines:
        if line.fingerprint in own:
            named = folder / Path(line.bundle).name
            path = named if line.bundle and named.is_file() else bundles.get(line.fingerprint)
            bundle = _bundle(line, path, journal.path)
            finding = _made(line, bundle.failure, bundle.trace, path)
            _shrunk(finding, bundle.provenance.shrinking, shrunk.get(line.fingerprint), past, result)
            result.failures.append(finding)
        else:
            finding = _known(line, corpus.get(line.fingerprint), journal.path)
            result.known.append(finding)
        finding.occurrences = seen[line.fingerprint]
        past.findings[finding.fingerprint] = finding
    result.resumed_after, result.resumed_bugs = result.total_runs, len(result.failures)
    result.resumed_seconds = past.seconds
    return past


def _count(line: RanLine, result: Result, seen: dict[str, int]) -> None:
    result.total_runs += 1
    result.steps += line.steps
    result.requests += line.requests
    result.forgiven += line.forgiven
    result.restarts += line.restarts
    if line.fingerprint is not None:
        result.failed += 1
        seen[line.fingerprint] += 1
    elif line.ending == "passed":
        result.passed += 1
    else:
        result.not_judged += 1
        said = line.reason if line.fault is None else f"{line.fault.title}: {line.fault.message}"
        result.trouble = result.trouble or said
        if line.fault is not None:
            result.faults.setdefault(line.fault.fingerprint, line.fault)


def _known(line: FoundLine, path: Path | None, journal: Path) -> Finding:
    """Return a bug that is only known; one whose bundle is gone by now is counted all the same, if it is told of."""
    if line.failure is None:
        bundle = _bundle(line, path, journal)
        return _made(line, bundle.failure, bundle.trace, path)
    with suppress(ReplaykitError):
        kept = None if path is None else read(path)
        if kept is not None and kept.failure.fingerprint == line.fingerprint:
            return _made(line, kept.failure, kept.trace, path)
    return _made(line, line.failure, Trace(steps=(), ending="failed", failure=line.failure), None)


def _bundle(line: FoundLine, path: Path | None, journal: Path) -> Bundle:
    if path is None or not path.exists():
        raise UsageError(
            f"{journal} speaks of a bug {line.fingerprint!r} whose bundle is not there any more.",
            "Put it back, or begin anew, without --resume.",
        )
    bundle = read(path)
    if bundle.failure.fingerprint != line.fingerprint:
        raise UsageError(
            f"{path} holds another bug than the one that {journal} speaks of.",
            "Put the bundle back, or begin anew, without --resume.",
        )
    return bundle


def _made(line: FoundLine, failure: Failure, trace: Trace, path: Path | None) -> Finding:
    return Finding(
        failure,
        trace,
        line.seed,
        first_seen_run=line.run,
        found_after=line.at,
        run_seconds=line.seconds,
        occurrences=0,
        replaced=line.replaced,
        calls_before=line.calls,
        path=path,
    )


def _shrunk(finding: Finding, said: Shrinking | None, line: ShrunkLine | None, past: Past, result: Result) -> None:
    """Say of a finding how it was shrunk; or let it wait for that, with the values of its secrets."""
    is_shrunk = said is not None and (line is not None or not is_cut_short(said.stopped))
    if said is not None and is_shrunk:
        with suppress(StaleError):  # a value is not known: then nobody looks at it again
            finding.trace = bound(finding.trace, project.policy_here(), os.environ)
        finding.shrunk = _of(said, finding, said.seconds or (0.0 if line is None else line.seconds))
        finding.calls_before = said.calls_before
        finding.sightings = 1 if line is None else line.sightings
        return
    try:
        finding.trace = bound(finding.trace, project.policy_here(), os.environ)
    except StaleError as error:
        result.notes.append(f"{finding.path} is left as it was found. {error.happened} {error.todo}")
        return
    past.waiting.append(finding)


def _of(said: Shrinking, finding: Finding, seconds: float) -> Shrunk:
    return Shrunk(
        sequence=finding.trace.sequence,
        trace=finding.trace,
        executions=said.executions,
        requests=said.requests,
        seconds=seconds,
        runs=said.runs or 0,
        failed=said.failed or 0,
        stopped=said.stopped,
    )
