"""Reports: a trace as text."""

from replaykit.interaction import Interaction, Request, Response
from replaykit.report import steps
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
