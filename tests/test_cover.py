"""What is shown of a fresh run: its secrets are covered as they are in a bundle."""

from replaykit.cover import Cover
from replaykit.interaction import Interaction, Request, Response
from replaykit.report import steps
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Judgment

SECRET = "f3a9c1d27b6e4085f3a9"


def test_a_secret_of_a_header_is_covered_wherever_it_comes_again():
    """The token of a login is shown neither in headers nor in bodies, events, states or judgments."""
    request = Request(method="GET", url="http://127.0.0.1/a", headers=(("Authorization", f"Bearer {SECRET}"),))
    response = Response(status=200, headers=(("X-Shop", "7"),), body=f'{{"echo":"{SECRET}"}}'.encode())
    step = Step(
        call=Call(label=0, tag="ask", args={"word": SECRET}),
        interactions=(Interaction(request=request, response=response),),
        event=Said(tag="told", version=1, data=f'{{"word":"{SECRET}"}}'.encode()),
        observations=(Said(tag="seen", version=1, data=f'{{"word":"{SECRET}"}}'.encode()),),
        state=f'{{"word":"{SECRET}"}}'.encode(),
    )
    trace = Trace(resetting=step.interactions, steps=(step,), ending="passed")
    cover = Cover()
    covered, judged = cover.trace(trace), cover.judged([Judgment("check", "words", False, f"no {SECRET}")])
    shown = steps.render(covered, verbose=True, judged={0: judged})

    assert "           < X-Shop: 7" in shown.splitlines()
    assert "✗ check words: no " in shown
    assert "read seen(word=" in shown
    assert SECRET in steps.render(trace, verbose=True)
    assert SECRET not in shown
