"""Looking closely: what is heard of a replay's judgments, and how it is stopped."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from conftest import ROOT

from examples.leaderboard import Leaderboard
from examples.leaderboard.model import CreatePlayer
from replaykit import Adapter, Command, Event, Model, Observation, eventually, handles, observes, replay, same
from replaykit.adapter import Adapters
from replaykit.errors import UsageError
from replaykit.looking import Broken, Look, Stop
from replaykit.reader import read
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.trace import Step
from replaykit.verdict import Failure, Judgment, Verdict

DUPLICATE = ROOT / "tests" / "bundles" / "format-1.pd"  # steps 0 and 13; the second is not as expected
ORDER = ROOT / "tests" / "bundles" / "format-0.pd"  # steps 34 and 37; a check fails after the second

HELD = [Judgment("invariant", "scores_are_never_negative", True, ""), Judgment("check", "board_matches", True, "")]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def created(name: str, *, holds: bool = True) -> Judgment:
    """Return what is expected of a new player."""
    said = f"PlayerCreated(name={name!r})" if holds else "PlayerRejected(status=400)"
    return Judgment("expectation", "create", holds, said)


@contextmanager
def impatient() -> Iterator[tuple[str, Counter[str]]]:
    """Give a leaderboard with the bug, which closes connections after a moment, and count what it is asked."""
    asked: Counter[str] = Counter()
    players: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 0.2

        def do_GET(handler) -> None:  # noqa: N805
            handler.answer(200, players)

        def do_POST(handler) -> None:  # noqa: N805
            asked[handler.path] += 1
            body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])) or b"{}")
            if handler.path == "/reset":
                players.clear()
                handler.answer(200, {})
                return
            player = {"name": body["name"], "score": 0}
            players[:] = [player]
            handler.answer(201, player)

        def answer(handler, status: int, said: Any) -> None:  # noqa: N805
            body = json.dumps(said).encode()
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        def log_message(handler, *_: object) -> None:  # noqa: N805
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_all_that_is_judged_is_heard():
    """Of each step it is known what was expected, and which invariants and checks were judged, and did they hold."""
    look = Look()
    replayed = replay(ORDER, offline=True, look=look)
    judged = look.judged_in(replayed.trace)
    [*held, last] = judged[37]

    assert [created("b"), *HELD] == judged[34]
    assert [created("a"), HELD[0]] == held
    assert ("check", "board_matches", False) == last[:3]
    assert replayed.trace.failure is not None
    assert replayed.trace.failure.message == last.said


def test_what_is_not_as_expected_is_heard():
    """An expectation that is not met is heard of, and nothing else of that step is judged."""
    look = Look()
    replayed = replay(DUPLICATE, offline=True, look=look)

    assert {0: [created("a"), *HELD], 13: [created("a", holds=False)]} == look.judged_in(replayed.trace)


def test_a_stopped_replay_is_no_verdict():
    """After the step that was named, it ends as undecided, and the trace holds what was done until there."""
    replayed = replay(DUPLICATE, offline=True, until=0)

    assert Verdict.UNDECIDED is replayed.verdict
    assert "stopped after step 0, as asked; nothing failed until there" == replayed.reason
    assert [0] == [step.call.label for step in replayed.trace.steps]
    assert b'{"scores":{"a":0}}' == replayed.trace.steps[-1].state


def test_what_fails_before_the_stop_is_judged():
    """A failure goes before the stop: the step is taken, and fails as recorded."""
    replayed = replay(DUPLICATE, offline=True, until=13)

    assert Verdict.REPRODUCED is replayed.verdict


def test_stopping_needs_a_step_that_comes_alone():
    """A label that is none, or one of a call that is sent at the same time as others, is refused, and why."""
    branches = (Call(label=0, tag="a"), Call(label=1, tag="a", branch=1), Call(label=2, tag="a", branch=2))
    with pytest.raises(UsageError) as unknown:
        replay(DUPLICATE, offline=True, until=5)
    with pytest.raises(UsageError) as at_once:
        Look(until=2).require(branches)

    assert "There is no step 5 to stop after." == unknown.value.happened
    assert unknown.value.todo.endswith(": 0, 13.")
    assert at_once.value.happened.startswith("Step 2 is sent at the same time as others")
    assert at_once.value.todo.endswith(": 0.")


def test_each_step_is_asked_about_and_told():
    """Before each step somebody sees the call and the state, and after it, what came of it."""
    stops: list[tuple[list[int], dict[str, int]]] = []
    steps: list[tuple[int, int]] = []

    def before(stop: Stop) -> bool:
        assert isinstance(stop.state, Leaderboard)
        stops.append(([call.label for call in stop.calls], dict(stop.state.scores)))
        return True

    def after(step: Step, judged: list[Judgment]) -> None:
        steps.append((step.call.label, len(judged)))

    replayed = replay(ORDER, offline=True, look=Look(before=before, after=after))

    assert Verdict.REPRODUCED is replayed.verdict
    assert [([34], {}), ([37], {"b": 0})] == stops
    assert [(34, 3), (37, 3)] == steps


@pytest.mark.parametrize(("stop_at", "place"), [(0, "step 0"), (1, "step 13")])
def test_who_is_asked_may_end_it(stop_at: int, place: str):
    """Whoever says no ends the run before the step: it is no verdict."""
    asked: list[Stop] = []

    def before(stop: Stop) -> bool:
        asked.append(stop)
        return len(asked) <= stop_at

    replayed = replay(DUPLICATE, offline=True, look=Look(before=before))

    assert Verdict.UNDECIDED is replayed.verdict
    assert f"stopped before {place}, as asked; nothing failed until there" == replayed.reason


def test_the_end_and_branches_are_stopped_at_once():
    """Calls that are sent at the same time are one stop, and so are the checks at the end."""
    calls = (Call(label=1, tag="a", branch=1), Call(label=2, tag="a", branch=2))

    assert "steps 1, 2" == Stop(calls, Leaderboard()).place
    assert "the checks at the end" == Stop((), Leaderboard()).place


def test_of_an_expectation_the_case_is_kept():
    """The state before the event, the command, the event and the prediction are there to look at, once."""
    told: list[Broken] = []
    replayed = replay(DUPLICATE, offline=True, look=Look(failed=told.append))
    [broken] = told
    assert broken.case is not None

    assert replayed.trace.failure == broken.failure
    assert broken.error is None
    assert {"a": 0} == broken.case.state.scores
    assert CreatePlayer(name="a") == broken.case.command
    assert "PlayerRejected(status=400)" == str(broken.case.expected)


def test_of_a_check_the_exception_is_kept():
    """What the check raised is there with its frames, and what held before it is forgotten."""
    told: list[Broken] = []
    replay(ORDER, offline=True, look=Look(failed=told.append))
    [broken] = told
    assert broken.error is not None

    assert str(broken.error) == broken.failure.message
    assert broken.error.__traceback__ is not None


def test_only_the_first_failing_attempt_is_told():
    """Of ten attempts that fail, one is looked at."""
    told: list[Broken] = []
    with impatient() as (url, _):
        replayed = replay(DUPLICATE, url=url, health_check="/players", times=3, look=Look(failed=told.append))

    assert (Verdict.REPRODUCED, 3, 3) == (replayed.verdict, replayed.attempts, replayed.failed)
    assert 1 == len(told)


def test_a_long_look_is_not_taken_for_a_service_that_hangs_up():
    """A service may close its connection while somebody looks: no second run is needed to confirm what was seen."""

    def before(stop: Stop) -> bool:
        time.sleep(0.5 if stop.calls[0].label else 0)
        return True

    with impatient() as (url, asked):
        replayed = replay(DUPLICATE, url=url, health_check="/players", look=Look(before=before))

    assert Verdict.REPRODUCED is replayed.verdict
    assert {"/reset": 1, "/players": 2} == asked


def test_what_was_judged_is_known_of_the_attempt_that_is_told():
    """Of runs that ended alike, the first is kept; of a trace from elsewhere, nothing is known."""
    look = Look()
    replay(ORDER, offline=True, look=look)

    assert {} == look.judged_in(read(ORDER).trace)


class Ask(Command):
    """Asks for nothing."""


class Told(Event):
    """The answer."""


class Count(Observation):
    """How often it was looked."""

    looks: int


class Patience(Model):
    """What settles at the third look, and what never does."""

    commands: ClassVar = (Ask,)

    @eventually(within=0.05, every=0.001)
    def settles(self, count: Count) -> None:
        same(count.looks >= 3, True)

    @eventually(within=0.02, every=0.001)
    def never(self, count: Count) -> None:
        same(count.looks < 0, True)


class Looks(Adapter[Patience]):
    """Counts its looks, and asks nobody."""

    looks = 0

    @handles
    def ask(self, cmd: Ask) -> Told:
        return Told()

    @observes
    def count(self) -> Count:
        self.looks += 1
        return Count(looks=self.looks)


def test_what_settles_later_is_heard_once():
    """Of a check that looks again and again, what became of it is heard, and not each look."""
    told: list[Broken] = []
    look = Look(failed=told.append)
    adapters = Adapters(Patience, Looks, "http://127.0.0.1:9", {})
    trace = execute(Patience, adapters.new(), Fixed((Call(label=0, tag="ask"),)), witness=look)
    adapters.close()
    judged = [(each.name, each.holds, each.said) for each in look.judged_in(trace)[0]]

    assert [
        ("settles", True, ""),
        ("never", False, "expected -> seen: $: True -> False (still so after 0.02 seconds)"),
    ] == judged
    assert [("never", "expected -> seen: $: True -> False")] == [(each.failure.name, str(each.error)) for each in told]


def test_a_secret_is_covered_in_what_was_judged_too(capsys: pytest.CaptureFixture[str]):
    """What the requests of a run show to be secret is covered in the judgments that are printed below them."""
    from replaykit.attempts import Replayed
    from replaykit.cli.looking import say_trace
    from replaykit.interaction import Interaction, Request, Response
    from replaykit.trace import Trace

    secret = "f3a9c1d27b6e4085f3a9"
    request = Request(method="GET", url="http://127.0.0.1/a", headers=(("Authorization", f"Bearer {secret}"),))
    asked = Interaction(request=request, response=Response(status=200))
    trace = Trace(steps=(Step(call=Call(label=0, tag="ask"), interactions=(asked,)),), ending="passed")
    look = Look()
    failure = Failure(kind="check", name="words", step=0, command="ask", message=f"no {secret}")
    look.judged("check", "words", failure, step=0)
    look.over(trace)
    say_trace(Replayed(Verdict.PASSED, "", None, trace), look, {"verbose": True, "until": None, "step": False})

    out = capsys.readouterr().out
    assert "check words: no REDACTED.authorization.1" in out
    assert secret not in out
