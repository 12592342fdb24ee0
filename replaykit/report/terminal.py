"""A campaign as text for the terminal."""

from collections.abc import Callable
from pathlib import Path

from replaykit.finding import Finding
from replaykit.report import discovery, steps
from replaykit.report.failure import compared
from replaykit.report.steps import count
from replaykit.result import Result

LAST = 24  # lines that are shown of a run that could not be judged
_LEFT_OUT = "=..."  # of a setting, in a command


def render(result: Result, command: Callable[[Path], str] | None = None) -> str:
    """Show what was found, and what was never looked at; `command` writes what replays a bundle."""
    lines: list[str] = []
    for finding in result.failures:
        lines += ["", *_finding(finding, command)]
    lines += discovery.known(result, command)
    for fault in result.faults.values():
        lines += ["", f"FAULT OF THE TEST CODE, not of the service: {fault.title}", f"  {fault.message}"]
        if fault.traceback:
            lines += [f"  {line}" for line in fault.traceback.rstrip().splitlines()]
    if result.unjudged is not None and (result.unjudged.steps or not result.died):
        lines += ["", f"NOT JUDGED: {result.unjudged.reason}", *steps.render(result.unjudged).splitlines()[-LAST:]]
    if result.died:
        lines += ["", f"NOTHING MORE COULD BE RUN: {result.died}"]
        lines += ["  the last lines of the service:", result.log] if result.log else []
    lines += discovery.curve(result)
    lines += _unrecovered(result)
    refused = _refused(result)
    lines += ["", f"Warning: {refused}"] if refused else []
    never = result.never_exercised()
    if never and result.total_runs:
        lines += ["", f"Warning: never exercised: {', '.join(never)}."]
    return "\n".join(lines).lstrip("\n")


def _unrecovered(result: Result) -> list[str]:
    """Say of which commands nobody found out what became of them after a fault, and what to write."""
    found = result.unrecovered()
    if not found:
        return []
    runs = count(sum(each.runs for each in found), "run")
    lines = ["", f"Warning: {runs} ended early, since nobody finds out what became of a command after a fault:"]
    return [*lines, *(f"  {count(each.runs, 'run')}: {each.command}; {each.advice}" for each in found)]


def summary(result: Result) -> str:
    """Say in one line what was run."""
    rate = result.requests / result.duration if result.duration else 0.0
    parts = [
        f"{result.total_runs} of {result.max_runs} runs" if result.max_runs else count(result.total_runs, "run"),
        f"{result.passed} passed",
        f"{result.failed} failed",
        *([f"{result.not_judged} not judged"] if result.not_judged else []),
        *([f"{count(result.forgiven, 'slow answer')} forgiven"] if result.forgiven else []),
        *([f"{count(result.restarts, 'restart')} of the service"] if result.restarts else []),
        f"{result.steps} steps",
        f"{result.requests} requests in {result.duration:.1f} s ({rate:.0f}/s)",
        *([f"resumed after {count(result.resumed_after, 'run')}"] if result.resumed_after else []),
        f"seed {result.seed}",
    ]
    return ", ".join(parts)


def verdict(result: Result) -> str:
    """Say in words what the campaign came to, and what ended it, where it was a hunt."""
    refused = _refused(result)
    said = f"{_outcome(result)}; {refused}" if refused else _outcome(result)
    return f"{said}; {result.stopped}" if result.stopped and result.terms.is_hunt else said


def _refused(result: Result) -> str:
    """Say that the service let no command in, where it did not: then hardly anything was tested."""
    statuses = result.coverage.refusals
    if not statuses:
        return ""
    advice = "is the base path missing?" if "404" in statuses else "are the credentials missing?"
    return f"every request was answered {' or '.join(statuses)}: {advice}"


def _outcome(result: Result) -> str:
    known = count(len(result.known), "known bug")
    if result.interrupted is not None:
        found = f"after {count(result.total_runs, 'run')}, {count(len(result.failures), 'distinct failure')} found"
        return f"{found}, and {known} seen again" if result.known else found
    if result.failures:
        gone = ", then the service was gone" if result.died else ""
        found = f"found {count(len(result.failures), 'distinct failure')} in {count(result.total_runs, 'run')}{gone}"
        return f"{found}, and {known} again" if result.known else found
    if result.known:
        return f"saw {known} again in {count(result.total_runs, 'run')}, and found nothing new"
    if result.died:
        last = result.log.rpartition("\n")[2].removeprefix("  | ").strip()
        said = result.died.partition("\n")[0].rstrip(".")
        return f"{said}{f'; it printed last: {last}' if last else ''}"
    if result.not_judged:
        return f"{result.not_judged} of {result.total_runs} runs say nothing of the service; {result.trouble}"
    lacking = result.coverage.lacking(result.required)
    if lacking:
        return "; ".join(lacking)
    return f"{count(result.total_runs, 'run')}, nothing found"


def _finding(finding: Finding, command: Callable[[Path], str] | None) -> list[str]:
    failure, shrunk = finding.failure, finding.shrunk
    seen = f"first in run {finding.first_seen_run}, seen in {count(finding.occurrences, 'run')}"
    if not finding.occurrences:
        seen = f"met while another failure of run {finding.first_seen_run} was shrunk"
    lines = [
        f"FAILURE {failure.title}  (fingerprint {finding.fingerprint}, {seen})",
        f"  {failure.message}",
        *compared(failure),
        steps.render(finding.trace),
    ]
    if shrunk is not None:
        confirmed = steps.confirmation(shrunk.runs, shrunk.failed)
        lines.append(
            f"  shrunk from {finding.calls_before} to {count(len(finding.trace.steps), 'command')} "
            f"in {shrunk.executions} executions ({shrunk.requests} requests, {shrunk.seconds:.1f} s), {confirmed}"
        )
        if shrunk.stopped:
            lines.append(f"  shrinking was ended early: {shrunk.stopped}")
    if finding.gone_after:
        lines.append(
            f"  gone: not seen in the last {count(finding.gone_after, 'run')}; the service changed while it was tested"
        )
    if finding.path is not None:
        lines.append(f"  {_saved(finding)}")
        lines += [*steps.times(finding.timed), *steps.evidence(finding.covered)]
        if command is not None:
            written = command(finding.path)
            lines.append(f"  replay it: {written}")
            lines += ["    (... stands for a value that is not shown; put it in)"] if _LEFT_OUT in written else []
    return lines


def _saved(finding: Finding) -> str:
    """Say where the bundle of a finding lies, and what was there before."""
    if finding.same:
        return f"saved before, with the same commands: {finding.path}"
    if finding.beside:
        return f"saved as {finding.path}, beside an earlier bundle with the same fingerprint and other commands"
    return f"saved as {finding.path}{', in place of an earlier bundle that was not shrunk' if finding.replaced else ''}"
