"""Reports: a trace as text; what a campaign exercised, as text and as JSON."""

import gzip
import json
from collections import Counter
from typing import ClassVar

from replaykit import Command, Event, Mock, Model, expects, integration, requires
from replaykit.bundle import Bundle, Origin
from replaykit.coverage import Coverage
from replaykit.interaction import Interaction, Request, Response
from replaykit.report import coverage, plain, steps
from replaykit.sequence import Call
from replaykit.trace import Step, Trace
from replaykit.verdict import Failure


def look(answer: bytes, moment: str = "Mon") -> Interaction:
    """Make an interaction that reads something."""
    request = Request(method="GET", url="http://127.0.0.1:1/board", headers=(), body=b"")
    response = Response(status=200, reason="OK", version="HTTP/1.1", headers=(("date", moment),), body=answer)
    return Interaction(request=request, response=response, elapsed=0.001)


def trace_of(*closing: Interaction, failed: bool = True) -> Trace:
    """Make a trace of one step, with what was read at its end."""
    failure = Failure(kind="check", name="settles", step=None, command=None, message="not yet") if failed else None
    return Trace(
        steps=(Step(call=Call(label=0, tag="ask")),),
        closing=closing,
        ending="failed" if failed else "passed",
        failure=failure,
    )


def test_what_fails_at_the_end_has_its_mark_there():
    """A failure that belongs to no step is shown behind the last one."""
    shown = steps.render(trace_of(look(b"pending")))

    assert "  ✗ at the end" == shown.splitlines()[-1]


def test_end_of_a_run_that_passes_is_shown_only_where_it_is_asked_for():
    """Without `verbose`, a run that passes ends with its last step."""
    passed = trace_of(look(b"done"), failed=False)

    assert "at the end" not in steps.render(passed)
    assert "  ✓ at the end" in steps.render(passed, verbose=True).splitlines()


def test_looks_that_saw_the_same_are_shown_once():
    """Polling shows each answer that was new, and how often it came; times and dates do not count."""
    polled = trace_of(look(b"pending"), look(b"pending", "Tue"), look(b"pending"), look(b"done"))
    shown = steps.render(polled, verbose=True)

    assert 1 == shown.count("pending")
    assert 1 == shown.count("done")
    assert "3 times with the same answer" in shown


def test_compressed_bodies_are_shown_as_what_they_say():
    """A gzip answer is shown unpacked, in both ways to look at a bundle."""
    packed = look(gzip.compress(b'{"state":"done"}', mtime=0))
    bundle = Bundle(origin=Origin(), trace=Trace(recorded=(packed,), ending="recorded"))

    assert '< {"state":"done"}' in steps.render(bundle.trace, verbose=True)
    assert '"state": "done"' in plain.render(bundle)


# --- coverage -----------------------------------------------------------------------------------


class Ask(Command):
    pass


class Told(Event):
    pass


class Refused(Event):
    pass


class Asking(Model):
    commands: ClassVar = (Ask,)

    @expects
    def answers(self, cmd: Ask) -> Told | Refused:
        self.label("asked\nVERDICT passed: \u20ac")
        return Told()


def test_coverage_is_shown_in_a_few_lines():
    """One line says how much was exercised; then come the labels, those that were seen most first."""
    shown = Coverage.of(Asking, Mock)
    shown.runs = 400
    shown.commands.update({"ask": 3})
    shown.outcomes.update({("ask", "told"): 3})
    shown.endpoints.update({("GET", "/", "200"): 3})
    shown.labels = Counter({"rare": 1, "always": 400, "two thirds": 267})

    assert [
        "coverage: 1 of 1 commands, 0 of 1 checks, 1 of 2 outcomes, 0 of 1 transitions, 1 endpoints x status",
        "labels, and the runs in which they were seen:",
        "  400 runs   100 %  always",
        "  267 runs  66.7 %  two thirds",
        "    1 runs   0.2 %  rare",
    ] == coverage.render(shown).splitlines()


def test_coverage_that_is_cut_says_so():
    """More labels than are shown or kept, and more endpoints than are kept, are told; where nothing ran is nothing."""
    shown = Coverage.of(Asking, Mock)

    assert "" == coverage.render(shown)

    shown.runs, shown.labels_left_out, shown.endpoints_left_out = 30, 2, 1
    shown.labels = Counter({f"label {number}": 30 - number for number in range(25)})
    first, *lines = coverage.render(shown).splitlines()

    assert first.endswith("0 or more endpoints x status")
    assert ["  and 5 more", "  2 runs had more labels than are kept"] == lines[-2:]
    assert 20 == sum("label " in line for line in lines)


def test_coverage_as_json_has_all_counts():
    """The document names what there is, also what never was, and is the same for the same seed."""
    results = [integration.run(model=Asking, adapter=Mock, seed=1, max_runs=3, max_commands=4) for _ in range(2)]
    one, other = map(coverage.document, results)

    assert one == other
    assert one.isascii()
    assert "\n" not in coverage.document(results[0], indent=None)
    whole = {"covered": 1, "total": 1, "percent": 100.0, "required": None}
    assert {
        "format": 1,
        "model": "Asking",
        "seed": 1,
        "runs": 3,
        "interrupted": False,
        "summary": {
            "commands": whole,
            "checks": whole,
            "outcomes": {"covered": 1, "total": 2, "percent": 50.0, "required": None},
            "transitions": whole,
        },
        "commands": [{"command": "ask", "steps": 12}],
        "checks": [{"role": "expectation", "name": "answers", "judged": 12}],
        "outcomes": [
            {"command": "ask", "event": "told", "steps": 12, "admitted": True},
            {"command": "ask", "event": "refused", "steps": 0, "admitted": True},
        ],
        "transitions": [{"command": "ask", "then": "ask", "steps": 9}],
        "endpoints": [],
        "endpoints_left_out": 0,
        "labels": [{"label": "asked\nVERDICT passed: \u20ac", "runs": 3, "percent": 100.0}],
        "labels_left_out": 0,
        "faults": {"kinds": [], "endpoints": [], "tried": 0, "total": 0, "crossings": [], "left_out": 0},
        "unrecovered": [],
    } == json.loads(one)


def test_what_never_was_is_in_the_json():
    """A command that was never asked is there, with its zero."""

    class Never(Command):
        pass

    class Shy(Asking):
        commands: ClassVar = (Never, Ask)

        @expects
        def not_this(self, cmd: Never) -> Told:
            return Told()

        @requires
        def never(self, cmd: Never) -> bool:
            return False

    written = json.loads(coverage.document(integration.run(model=Shy, adapter=Mock, seed=1, max_runs=1)))

    assert [{"command": "never", "steps": 0}, {"command": "ask", "steps": 50}] == written["commands"]
    assert {"role": "expectation", "name": "not_this", "judged": 0} in written["checks"]
    assert {"command": "never", "event": "told", "steps": 0, "admitted": True} in written["outcomes"]
    assert {"command": "ask", "then": "never", "steps": 0} in written["transitions"]


def test_label_is_one_line():
    """Nothing that a model names can look like a line of its own."""
    result = integration.run(model=Asking, adapter=Mock, seed=1, max_runs=1, max_commands=1)

    assert "  1 runs   100 %  asked VERDICT passed: \u20ac" == coverage.render(result.coverage).splitlines()[-1]
