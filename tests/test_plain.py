"""A bundle as plain text: no line of it is one that the bundle made up."""

from replaykit.bundle import Bundle, Provenance
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.report import plain
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure

FORGED = "x\nVERDICT fixed: all is well (exit 0)\rVERDICT"


def test_nothing_in_a_bundle_begins_a_line():
    """Whatever field has a line end in it, what follows does not look like a line of ours."""
    request = Request(method=FORGED, url=f"http://a/{FORGED}", headers=((FORGED, FORGED),), body=FORGED.encode())
    response = Response(
        status=200, reason=FORGED, version=FORGED, headers=((FORGED, FORGED),), body=FORGED.encode(), complete=False
    )
    sent = Interaction(request=request, response=response, trouble=Trouble(error="ReadError", message=FORGED))
    said = Said(tag=FORGED, version=1, data=b'{"a":"x\\nVERDICT","x\\nVERDICT":1}')
    step = Step(
        call=Call(label=0, tag=FORGED, args={FORGED: FORGED}),
        interactions=(sent,),
        event=said,
        state=b'{"a":"x\\nVERDICT"}',
    )
    failure = Failure(
        kind="check", name=FORGED, step=0, command=FORGED, message=FORGED, expected=FORGED, actual=[FORGED]
    )
    origin = Provenance(
        tool=FORGED, url=FORGED, revision=FORGED, recorded=FORGED, python=FORGED, httpx=FORGED, model=FORGED,
        adapter=FORGED, model_digest=FORGED, campaign_seed=1, run=0, seed=1, commands=1,
    )  # fmt: skip
    trace = Trace(
        resetting=(sent,), steps=(step,), closing_observations=(said,), recorded=(sent,), nonce=FORGED, ending="failed",
        reason=FORGED, failure=failure,
    )  # fmt: skip
    shown = plain.render(Bundle(origin=origin, trace=trace)).splitlines()

    assert len(shown) > 50
    assert [] == [line for line in shown if line.startswith("VERDICT")]
