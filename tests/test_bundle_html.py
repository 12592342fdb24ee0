"""What the page of a bundle tells: nothing of the project's secrets, and nothing that is not so."""

import pytest

from replaykit.bundle import Bundle, Provenance
from replaykit.interaction import Interaction, Request, Response
from replaykit.report import bundle_html
from replaykit.report.story import Fact
from replaykit.ruling import Ruling
from replaykit.secret import Policy
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure

SECRET = "zebra-Crossing-77"
POLICY = Policy(given=(("door", SECRET),))
PROVENANCE = Provenance(
    model="a:Shop", adapter="a:ShopApi", model_digest="0" * 16, campaign_seed=1, run=0, seed=1, commands=9
)  # fmt: skip
RULED = Ruling(bundle="a.pd", verdict="fixed", exit_code=0, reason="it passed")


def sent(body: bytes = b"{}", sends: bytes = b"", **more) -> Interaction:
    """Return a request with its answer."""
    request = Request(method="POST", url="http://127.0.0.1:1/things", headers=(), body=sends)
    return Interaction(request=request, response=Response(status=200, headers=(), body=body), **more)


def failed(*steps: Step, name: str = "fits", **more) -> Bundle:
    """Return a bundle whose last step failed."""
    last = steps[-1].call
    failure = Failure(kind="check", name=name, step=last.label, command=last.tag, message="it does not fit")
    return Bundle(origin=PROVENANCE.replace(**more), trace=Trace(steps=steps, ending="failed", failure=failure))


def text_of(bundle: Bundle, policy: Policy = Policy(), name: str = "a.pd", **more) -> str:  # noqa: B008
    """Return the page of a bundle."""
    return bundle_html.render(bundle, b"version: 1\n", name, policy, **more)


@pytest.mark.parametrize("field", ["model", "adapter", "tool", "culprit", "recorded", "revision"])
def test_a_secret_in_the_origin_is_covered(field):
    """What the project knows as a secret is covered wherever a bundle comes from something that is called so."""
    bundle = failed(Step(call=Call(label=0, tag="buy")), **{field: f"a:{SECRET}"})

    assert SECRET not in text_of(bundle, POLICY)


def test_a_secret_in_a_name_is_covered():
    """It is covered in names of checks, commands, events, faults and files, and in methods and headers' names."""
    said = Said(tag=SECRET, version=1, data=b"{}")
    odd = sent(tampered=SECRET).replace(
        request=Request(method=SECRET, url="http://127.0.0.1:1/", headers=((SECRET, "a"),))
    )
    steps = [
        Step(call=Call(label=n, tag=SECRET), event=said, observations=(said,), interactions=(odd,)) for n in range(2)
    ]  # fmt: skip
    bundle = failed(*steps, name=SECRET)
    text = text_of(bundle, POLICY, name=f"{SECRET}.pd")

    assert SECRET not in text
    assert f"fingerprint {bundle.failure.fingerprint}" in text


@pytest.mark.parametrize("ruled", [RULED.replace(notes=(f"mind {SECRET}",)), RULED.replace(reason=f"no {SECRET}")])
def test_a_secret_beside_a_bundle_is_covered(ruled):
    """It is covered in the status of a bundle, and in what a replay said that came to nothing."""
    bundle = failed(Step(call=Call(label=0, tag="buy")))

    assert SECRET not in text_of(bundle, POLICY, ruled=ruled, facts=[Fact(name="status", said=f"fixed by {SECRET}")])


@pytest.mark.parametrize(
    ("where", "value"),
    [("interactions", (sent(b'{"password": "hunter2hunter2"}'),)), ("state", b'{"password":"hunter2hunter2"}')],
)
def test_what_is_covered_at_one_place_is_nowhere_else(where, value):
    """A value that stands somewhere as a password is not told in the call that was made with it."""
    step = Step(call=Call(label=0, tag="join", args={"name": "ann", "word": "hunter2hunter2"}), **{where: value})
    text = text_of(failed(step))

    assert "hunter2hunter2" not in text
    assert "ann" in text


def test_a_recorded_failure_is_no_failure_of_today():
    """On the page of a replay, what failed and was judged when it was recorded says so; where it is fixed, mildly."""
    bundle = failed(Step(call=Call(label=0, tag="buy"), interactions=(sent(),)))
    badge = '<b class="badge {}">{}</b>'
    alone, fixed, again = (
        text_of(bundle),
        text_of(bundle, ruled=RULED),
        text_of(bundle, ruled=RULED.replace(verdict="reproduced", exit_code=1)),
    )

    assert badge.format("bad", "FAILED") in alone
    assert "<h3>Judged</h3>" in alone
    assert badge.format("warn", "failed when recorded") in fixed
    assert badge.format("bad", "failed when recorded") in again
    for heading in ("Judged, when it was recorded", "Requests, as recorded"):
        assert f"<h3>{heading}</h3>" in fixed


@pytest.mark.parametrize(
    ("ending", "whole", "said"),
    [
        ("passed", True, "Run it again"),
        ("unreachable", True, "Look at it"),
        ("unknown", True, "Look at it"),
        ("passed", False, "Look at it"),
    ],
)
def test_commands_are_those_that_do_something(ending, whole, said):
    """Where nothing failed there is nothing to reproduce, and a run that no replay takes can only be looked at."""
    step = Step(call=Call(label=0, tag="buy"))
    text = text_of(Bundle(origin=PROVENANCE, trace=Trace(steps=(step,), ending=ending), whole=whole))

    assert f"<h2>{said}</h2>" in text
    assert (said == "Run it again") == ("replaykit replay" in text)
    assert "How to reproduce it" not in text


def test_a_truncated_file_accuses_nobody():
    """A step at whose event the file ends has not lost its answer: the page says that the file ends there."""
    said = Said(tag="bought", version=1, data=b"{}")
    steps = (Step(call=Call(label=0, tag="buy"), event=said), Step(call=Call(label=1, tag="buy")))
    bundle = Bundle(origin=PROVENANCE, trace=Trace(steps=steps, ending="failed"), whole=False)
    text = text_of(bundle)

    assert "[1] buy(): the file ends here" in text
    assert "no answer that could be read" not in text
    assert "no answer that could be read" in text_of(bundle.replace(whole=True))


@pytest.mark.parametrize(("sends", "told"), [(30_000, 1), (7_900, 190), (1_000, 200)])
def test_commands_of_large_requests_take_limited_room(sends, told):
    """A command for which a page has no room is left out, and it says so; those next to the failure come first."""
    listed = [
        Step(call=Call(label=n, tag="buy"), interactions=(sent(sends=f"{n:04d}".encode() + b"x" * sends),))
        for n in range(200)
    ]  # fmt: skip
    listed[-1] = listed[-1].replace(interactions=(sent(sends=b"small"),))
    text = text_of(failed(*listed))

    assert "--data-raw &#39;small&#39;" in text
    assert text.count("--data-raw") <= told
    assert 200 == text.count("--data-raw") + text.count("no room for its curl command")
    assert len(text) < 3_000_000
