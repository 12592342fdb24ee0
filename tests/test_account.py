"""The account of a campaign: plain records, in which no secret stands."""

import base64
import gzip
import json as data
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from replaykit import Command, Event, Mock, Model, expects
from replaykit.account import MAX_BODY, MAX_REQUESTS, account, bug
from replaykit.finding import Finding
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.redact import Redactor
from replaykit.report import ctrf, github, html, json, junit, markdown
from replaykit.result import Result
from replaykit.secret import Policy
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.value import text_of_data
from replaykit.verdict import Failure

SECRET = 's3cr3t & <"key"> of `the` bank'
PASSWORD = "correct-horse-battery"
POLICY = Policy(given=(("BANK_KEY", SECRET),))


class Ask(Command):
    text: str


class Told(Event):
    text: str


class Asking(Model):
    commands: ClassVar = (Ask,)

    @expects
    def answers(self, cmd: Ask) -> Told:
        return Told(text=cmd.text)


def spoken(body: bytes, answer: bytes = b"{}") -> Interaction:
    """Make an interaction with these bodies."""
    return Interaction(
        request=Request(method="POST", url=f"http://127.0.0.1:1/a?key={quote(SECRET)}", body=body),
        response=Response(status=200, body=answer),
        elapsed=0.5,
    )


def finding(*interactions: Interaction, said: str = "wrong") -> Finding:
    """Make a finding of one step in which these were sent."""
    failure = Failure(
        kind="expectation", name="answers", step=3, command="ask", message=said, expected={"key": said}, actual=[said]
    )
    step = Step(
        call=Call(label=3, tag="ask", args={"text": said}),
        interactions=interactions,
        event=Said(tag="told", version=1, data=text_of_data({"text": said, "password": PASSWORD})),
    )
    return Finding(failure, Trace(steps=(step,), ending="failed", failure=failure), seed=5, first_seen_run=2)


def result(*findings: Finding) -> Result:
    """Make a result in which a secret stands wherever the service or the user may have put one."""
    made = Result(Asking, Mock, ("asking:Asking", "mock"), seed=1, max_runs=3, total_runs=3, passed=2, failed=1)
    made.failures += findings
    made.log = made.died = made.trouble = made.stopped = f"the key is {SECRET}"
    fault = Failure(kind="model", name="told", step=1, command="ask", message=SECRET, traceback=SECRET)
    made.faults[fault.fingerprint] = fault
    made.not_judged = 1
    return made


def test_secrets_of_the_project_are_in_no_report():
    """What the project names is covered in every format, also where a format would have escaped parts of it."""
    body = text_of_data({"token": SECRET, "in": base64.b64encode(SECRET.encode()).decode()})
    told = account(
        result(finding(spoken(body, body), said=f"it said {SECRET}")),
        Redactor(POLICY),
        url=f"http://127.0.0.1:1/?{quote(SECRET)}",
        command=lambda path: f"replay {path} --set key={SECRET}",
    )
    texts = [each.render(told) for each in (json, ctrf, junit, markdown, github, html)]

    assert all("REDACTED.BANK_KEY.1" in text for text in texts)
    for text in texts:
        for part in ("s3cr3t", "battery", base64.b64encode(SECRET.encode()).decode()[4:-4]):
            assert part not in text


def test_secret_by_its_place_is_covered_where_it_stands_elsewhere():
    """What a service sends under the name of a secret is covered in the message and the answers too."""
    found = finding(spoken(text_of_data({"password": PASSWORD})), said=f"not {PASSWORD}")
    told = bug(found, Redactor())

    assert PASSWORD not in str(told)
    assert "REDACTED.password.1" in told.failure_reason


def test_step_of_a_bug_tells_what_was_asked_and_what_came():
    """The call, the event, the request with its bodies, unpacked, and the network's errors."""
    packed = Interaction(
        request=Request(method="GET", url="http://127.0.0.1:1/b"),
        response=Response(status=201, headers=(("content-encoding", "gzip"),), body=gzip.compress(b'{"a":1}', mtime=0)),
    )
    lost = Interaction(
        request=Request(method="GET", url="http://127.0.0.1:1/c"), trouble=Trouble(error="ReadTimeout", message="late")
    )
    binary = Interaction(
        request=Request(method="GET", url="http://127.0.0.1:1/d"), response=Response(status=200, body=b"\xff\xfe\x00")
    )
    told = bug(finding(packed, lost, binary), Redactor())
    [step] = told.steps

    assert ("ask(text='wrong')", "told(text='wrong', password='correct-horse-battery')") == (
        step.call,
        step.event.replace("REDACTED.password.1", PASSWORD) if step.event else "",
    )
    assert [(201, '{"a":1}', None), (None, None, "ReadTimeout: late"), (200, "(3 bytes, not text)", None)] == [
        (each.status, each.answer, each.error) for each in step.requests
    ]
    assert '{"asked":1}' == bug(finding(spoken(b'{"asked":1}')), Redactor()).steps[0].requests[0].body
    assert step.fails
    assert step.call == told.shrunk_sequence


def test_what_is_long_is_cut_and_says_so():
    """A large body is cut, and of many requests the later ones are only counted."""
    told = bug(finding(*[spoken(b"", b"x" * (MAX_BODY + 1))] * (MAX_REQUESTS + 3)), Redactor())
    [step] = told.steps

    assert 3 == told.requests_left_out
    assert MAX_REQUESTS == len(step.requests)
    assert f"x... ({MAX_BODY + 1} bytes)" == str(step.requests[0].answer)[MAX_BODY - 1 :]


def test_bug_that_can_not_be_told_does_not_lose_the_others():
    """Of it, what is sure is told."""
    two = finding(), finding()
    two[0].path = Path("a.pd")
    two[0].trace = two[0].trace.replace(steps=[None])
    first, second = account(result(*two), Redactor()).failures

    assert (two[0].fingerprint, "a.pd", "replaykit replay a.pd") == (first.fingerprint, first.bundle, first.replay)
    assert "can't be told" in first.failure_reason
    assert "wrong" == second.failure_reason


def test_hunt_that_goes_on_ends_when_it_ends():
    """Its duration holds the parts before, and its end is not in the future."""
    made = Result(Asking, Mock, ("asking:Asking", "mock"), seed=1, max_runs=3, total_runs=3, passed=3)
    made.started = datetime(2024, 12, 27, 15, 30, tzinfo=UTC)
    made.resumed_after, made.resumed_bugs, made.resumed_seconds, made.duration = 2, 1, 3600.0, 3605.0
    told = account(made, Redactor())
    times = data.loads(ctrf.render(told))["results"]["summary"]

    assert ("2024-12-27T15:30:05+00:00", 2, 1) == (told.ended, told.resumed_after, told.resumed_bugs)
    assert 5000 == times["stop"] - times["start"]
    assert 'timestamp="2024-12-27T14:30:00"' in junit.render(told)


def test_interrupted_campaign_is_no_success():
    """Nothing was found, and the campaign was interrupted: the exit code is that of the signal."""
    made = Result(Asking, Mock, ("asking:Asking", "mock"), seed=1, max_runs=3, total_runs=3, passed=3)
    whole = account(made, Redactor())
    made.interrupted = KeyboardInterrupt()
    cut = account(made, Redactor())

    assert (True, 0) == (whole.success, whole.exit_code)
    assert (False, 130, True) == (cut.success, cut.exit_code, cut.interrupted)
