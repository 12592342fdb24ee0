"""Live replay: all is bound anew, reset and settled as in the run that was recorded; and how often is enough."""

import json
import math
import random
import re
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from matrix import CALLS, LATE, Till, called, written
from mortal import Tally, TallyApi, Untouched

from replaykit import (
    Adapter,
    Command,
    Entity,
    Event,
    Model,
    Observation,
    Ref,
    eventually,
    expects,
    gen,
    handles,
    observes,
    on,
)
from replaykit.adapter import Adapters
from replaykit.attempts import Replayed, odds_of, times_for
from replaykit.bundle import Bundle, Provenance, Shrinking
from replaykit.errors import DefinitionError, UsageError
from replaykit.interaction import Interaction, Request, Response
from replaykit.judging import _rooted
from replaykit.pace import LONGEST, MOST, Paced, is_cut, moments
from replaykit.rate import MOST_TIMES, Odds, percent, rate_at_least
from replaykit.reader import read
from replaykit.replaying import replay
from replaykit.report import verdict
from replaykit.reset import Resets
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.service import Running
from replaykit.trace import Said, Step, Trace
from replaykit.value import text_of_data
from replaykit.verdict import Failure, Verdict, exit_code
from replaykit.writer import save

RUNS = 100  # replays of one bug; tests/benchmarks/flaky.py makes 300, at four rates


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Give a bundle of a bug that showed each time, and was recorded without pauses."""
    return read(written(tmp_path_factory.mktemp("bundle") / "tally.pd"))


def again(bundle: Bundle, how: str, **options: Any) -> Replayed:
    """Replay a bundle against a service that goes wrong in some way."""
    with Till(how) as till:
        options = {"model": Tally, "adapter": TallyApi, "health_check": "/", **options}
        return replay(bundle, base_url=till.url, **options)


def with_shrinking(bundle: Bundle, **changes: Any) -> Bundle:
    """Say otherwise how a bundle came to be."""
    assert bundle.provenance.shrinking is not None
    shrinking = bundle.provenance.shrinking.replace(**changes)
    return bundle.replace(origin=bundle.provenance.replace(shrinking=shrinking))


def paused(bundle: Bundle, *at: float) -> Bundle:
    """Say when the calls were sent."""
    steps = tuple(step.replace(at=moment) for step, moment in zip(bundle.trace.steps, at, strict=True))
    return bundle.replace(trace=bundle.trace.replace(steps=steps))


# --- how often ----------------------------------------------------------------------------------


class Toss(Command):
    pass


class Tossed(Event):
    head: bool


class Coin(Model):
    commands: ClassVar = (Toss,)

    @expects
    def toss(self, _: Toss) -> Tossed:
        return Tossed(head=True)


class CoinApi(Adapter[Coin]):
    """Falls on its tail with a given probability."""

    rate: ClassVar[float] = 0.5
    random: ClassVar = random.Random(1)

    @handles
    def toss(self, _: Toss) -> Tossed:
        return Tossed(head=self.random.random() >= self.rate)


def coin_bundle(failed: int, runs: int) -> Bundle:
    failure = Failure(kind="expectation", name="toss", step=0, command="toss", message="", outcome="tossed -> tossed")
    shrinking = Shrinking(
        calls_before=1, executions=1, requests=0, seconds=0.0, confirmed=failed == runs, runs=runs, failed=failed
    )
    origin = Provenance(
        model="test_replaying:Coin", adapter="test_replaying:CoinApi", model_digest="", campaign_seed=1, run=0, seed=1,
        commands=1, shrinking=shrinking,
    )  # fmt: skip
    adapters = Adapters(Coin, CoinApi, "http://127.0.0.1:9", {})
    trace = execute(Coin, adapters.new(), Fixed((Call(label=0, tag="toss"),)))
    adapters.close()
    return Bundle(origin=origin, trace=trace.replace(ending="failed", failure=failure))


def test_a_bug_that_shows_in_half_of_the_attempts_is_not_called_fixed():
    """Of 100 replays, each of a bundle that says what luck had it in ten runs, at most 1 % end as fixed."""
    CoinApi.rate, CoinApi.random = 0.5, random.Random(3)
    bundles = {failed: coin_bundle(failed, 10) for failed in range(11)}
    verdicts = []
    with Till() as till:
        for _ in range(RUNS):
            failed = sum(CoinApi.random.random() < CoinApi.rate for _ in range(10))
            replayed = replay(bundles[failed], model=Coin, adapter=CoinApi, base_url=till.url, health_check="/")
            verdicts.append(replayed.verdict)

    assert {Verdict.REPRODUCED, Verdict.FIXED, Verdict.UNDECIDED} >= set(verdicts)
    assert RUNS * 0.01 >= verdicts.count(Verdict.FIXED)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_whatever_the_rate_one_in_a_hundred_is_missed_at_most(rate: float):
    """Added up over all that ten runs may have shown: so often all attempts pass, though the bug is there."""
    bundle, missed = coin_bundle(5, 10), 0.0
    for failed in range(11):
        known = with_shrinking(bundle, failed=failed)
        odds, attempts = odds_of(known), times_for(known)
        assert odds is not None
        if odds.needed <= attempts:
            missed += math.comb(10, failed) * rate**failed * (1 - rate) ** (10 - failed) * (1 - rate) ** attempts

    assert 0.01 >= missed


@pytest.mark.parametrize(
    ("failed", "runs", "odds"),
    [(5, 5, (5, 5)), (5, 10, (5, 10)), (0, 5, (1, 6)), (None, None, (2, 2))],
)
def test_what_is_known_of_the_rate(failed: int | None, runs: int | None, odds: tuple[int, int], bundle: Bundle):
    """What never showed again did so in the run that found it; what was confirmed did so twice at least."""
    known = with_shrinking(bundle, failed=failed, runs=runs)
    unshrunk = bundle.replace(origin=bundle.provenance.replace(shrinking=None))

    assert odds == odds_of(known)
    assert (1, 1) == odds_of(unshrunk)
    assert 10 == times_for(unshrunk)


def test_too_few_attempts_are_undecided_and_say_how_many_it_takes(bundle: Bundle):
    """What --times asks for is done, and is not enough; what it says is enough is."""
    flaky = with_shrinking(bundle, failed=7, runs=10)
    few = again(flaky, "well", times=2)
    found = re.search(r"--times (\d+) makes it 95 %", few.reason)
    assert found is not None, few.reason
    enough, less = (again(flaky, "well", times=int(found[1]) - missing) for missing in (0, 1))

    assert (Verdict.UNDECIDED, 2) == (few.verdict, few.attempts)
    assert (Verdict.FIXED, Verdict.UNDECIDED) == (enough.verdict, less.verdict)
    assert enough.confidence is not None
    assert enough.confidence >= 0.95 > (less.confidence or 0)


@pytest.mark.parametrize("runs", [100_000, 10**21])
def test_no_number_is_named_that_nobody_may_ask_for(runs: int, bundle: Bundle):
    """A bug that showed once in very many runs can't be called fixed, and that is said."""
    assert MOST_TIMES < Odds(1, runs).needed
    seldom = again(with_shrinking(bundle, failed=1, runs=runs), "well", times=1)

    assert Verdict.UNDECIDED == seldom.verdict
    assert seldom.reason.endswith("; not even --times 100000 makes it 95 %")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"times": 0}, "Nobody makes 0 attempts"),
        ({"times": -1}, "Nobody makes -1 attempts"),
        ({"times": MOST_TIMES + 1}, "Nobody makes 100001 attempts"),
        ({"pace": "slow"}, "There is no pace 'slow'"),
        ({"fail_on_drift": ("chnged",)}, "'chnged' is no tier of drift"),
        ({"fail_on_drift": "chnged"}, "'chnged' is no tier of drift"),
        ({"fail_on_drift": "changed", "offline": True}, "there is no drift to find"),
    ],
)
def test_keywords_that_mean_nothing_are_wrong_usage(options: dict[str, Any], said: str, bundle: Bundle):
    """What the command line refuses, Python refuses in the same way, before anything is sent."""
    with pytest.raises(UsageError, match=said):
        replay(bundle, model=Tally, adapter=TallyApi, base_url="http://127.0.0.1:9", **options)


def test_an_adapter_that_wants_to_exit_when_it_is_made_is_told(bundle: Bundle):
    """Its constructor is at fault, and the process goes on."""

    class Exiting(TallyApi):
        def __init__(self, *_: object) -> None:
            raise SystemExit(0)

    with pytest.raises(DefinitionError, match="Exiting can't be made: SystemExit: 0"):
        replay(bundle, model=Tally, adapter=Exiting, offline=True)


def test_of_what_is_fixed_it_is_said_how_sure_that_is(bundle: Bundle):
    """In how many attempts, and with what confidence it would have been seen."""
    said = verdict.conclusion(again(bundle, "well"))

    assert (
        "all steps ran, and all checks hold (in each of 4 attempts; a bug that shows in 75.2 % of them would have been "
        "seen with 99.6 % confidence)" == said
    )


def test_flaky_is_said_beside_the_verdict(bundle: Bundle):
    """Once it showed, ten attempts say how often it does; with times, all of them are made."""
    replayed = again(with_shrinking(bundle, failed=3, runs=10), "60")
    all_of_them = again(bundle, "60", times=25)

    assert (Verdict.REPRODUCED, 10) == (replayed.verdict, replayed.attempts)
    assert verdict.conclusion(replayed).endswith(f"(flaky: in {replayed.failed} of 10 attempts)")
    assert 25 == all_of_them.attempts


def test_percent_is_never_certain():
    """It is rounded down, and stays below 100."""
    assert ["99.6 %", "54.9 %", "99.9 %"] == [percent(each) for each in (0.99629, 0.54907, 1.0)]
    assert rate_at_least(5, 5) == pytest.approx(Odds(5, 5).at_least)


# --- in front of, between and behind the attempts ------------------------------------------------


@pytest.mark.parametrize("asked", range(4))
def test_a_service_that_dies_at_any_request_can_not_be_judged(asked: int, bundle: Bundle):
    """In the reset, or in any of the commands: neither fixed nor reproduced."""
    assert Verdict.UNREACHABLE is again(bundle, f"dies at {asked}").verdict


def test_the_service_is_reset_before_each_attempt(bundle: Bundle, tmp_path: Path):
    """By a URL, or by a command; the adapter has no reset of its own."""
    marks = tmp_path / "marks"
    with Till() as till:
        running = Running(till.url, "/", resets=Resets(url="/reset"))
        by_url = replay(bundle, model=Tally, adapter=Untouched, base_url=till.url, running=running)
        resets = till.resets
        running = Running(till.url, "/", resets=Resets(url="/reset", command=f"sh -c 'echo >> {marks}'"))
        by_command = replay(bundle, model=Tally, adapter=Untouched, base_url=till.url, running=running, times=3)

    assert (Verdict.FIXED, 4, 4) == (by_url.verdict, by_url.attempts, resets)
    assert (Verdict.FIXED, 3) == (by_command.verdict, len(marks.read_text().splitlines()))


def test_what_was_seen_before_the_service_died_counts(bundle: Bundle):
    """It reproduced, and the service was healthy then; that it dies in the next attempt does not take it back."""
    flaky = with_shrinking(bundle, failed=7, runs=10)
    with Till("buggy") as till:

        class Dying(TallyApi):
            def reset(self) -> None:
                if till.resets == 1:
                    till.is_dead = True
                super().reset()

        replayed = replay(flaky, model=Tally, adapter=Dying, base_url=till.url, health_check="/")

    assert (Verdict.REPRODUCED, 2, 1) == (replayed.verdict, replayed.attempts, replayed.failed)


def test_a_reset_that_fails_between_two_attempts_can_not_be_judged(bundle: Bundle):
    """What passed before says too little, and is not lost: the second attempt is the last."""
    with Till("dies between") as till:
        running = Running(till.url, "/", resets=Resets(url="/reset"))
        replayed = replay(bundle, model=Tally, adapter=Untouched, base_url=till.url, running=running)

    assert (Verdict.UNREACHABLE, 2) == (replayed.verdict, replayed.attempts)
    assert "The reset failed" in replayed.reason


# --- time ---------------------------------------------------------------------------------------


def test_it_is_recorded_when_each_call_was_sent(bundle: Bundle, tmp_path: Path):
    """In seconds from the first one; a bundle keeps it, and its canonical form does not."""
    from replaykit.canonical import canonical
    from replaykit.reader import read_bytes

    at = [step.at for step in bundle.trace.steps]
    path = tmp_path / "again.pd"
    save(path, bundle.origin, bundle.trace)

    assert 0.0 == at[0]
    assert 0.0 < at[1] < at[2] == bundle.trace.span
    assert at == [step.at for step in read(path).trace.steps]
    assert {None} == {step.at for step in read_bytes(canonical(path.read_bytes())).trace.steps}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("late", "it failed in 1 of 1 attempt with the recorded pauses, and in 0 of 4 attempts as fast as possible"),
        ("hasty", "it failed in 0 of 4 attempts with the recorded pauses, and in 1 of 1 attempt as fast as possible"),
    ],
)
def test_a_bug_that_depends_on_time_is_said_to(how: str, said: str, bundle: Bundle):
    """It reproduces at one pace alone: reproduced, and that is said beside it."""
    replayed = again(paused(bundle, 0.0, 0.01, 2 * LATE), how, pace="recorded")

    assert Verdict.REPRODUCED is replayed.verdict
    assert (f"the bug depends on time: {said}",) == replayed.notes
    assert (1, 5) == (replayed.failed, replayed.attempts)


def test_a_bug_that_is_gone_at_both_paces_is_fixed(bundle: Bundle):
    """Four attempts each; one that shows at both paces is no matter of time."""
    slow = paused(bundle, 0.0, 0.01, 0.02)
    gone, there = again(slow, "well", pace="recorded"), again(slow, "buggy", pace="recorded")

    assert (Verdict.FIXED, 8, ()) == (gone.verdict, gone.attempts, gone.notes)
    assert gone.confidence == Odds(5, 5).confidence(4)
    assert (Verdict.REPRODUCED, 2, ()) == (there.verdict, there.attempts, there.notes)


def test_one_attempt_at_each_pace_may_be_chance(bundle: Bundle):
    """Where too few attempts were asked for, nobody says that the bug depends on time."""
    replayed = again(paused(bundle, 0.0, 0.01, 2 * LATE), "late", pace="recorded", times=1)

    assert Verdict.REPRODUCED is replayed.verdict
    assert replayed.notes[0].endswith("; that may be chance")


def test_a_much_faster_replay_in_which_nothing_shows_says_so(bundle: Bundle):
    """The recorded pauses are worth a try; of what was recorded as fast, nothing is said."""
    slow = again(paused(bundle, 0.0, 0.5, 1.5), "well")

    assert Verdict.FIXED is slow.verdict
    assert "it may show with --pace recorded" in slow.notes[0]
    assert () == again(bundle, "well").notes


def test_pauses_of_a_stranger_are_bounded(bundle: Bundle):
    """No pause is longer than a minute, and all of them are not longer than ten."""
    slow = paused(bundle, 0.0, 1e9, 1e9 + 3)
    calls = [CALLS[0].replace(label=label) for label in range(20)]
    step = bundle.trace.steps[0]
    long = Trace(steps=tuple(step.replace(call=call, at=call.label * LONGEST) for call in calls), ending="passed")

    assert [0.0, LONGEST, LONGEST + 3] == list(moments(slow.trace).values())
    assert is_cut(slow.trace)
    assert MOST == max(moments(long).values())
    assert not is_cut(bundle.trace)


def test_branches_are_sent_when_it_is_time_for_the_first_of_them(bundle: Bundle):
    """Together, as fast as possible from then on."""
    step, calls = bundle.trace.steps[0], [CALLS[0].replace(label=label, branch=label) for label in (0, 1, 2)]
    steps = [step.replace(call=call, at=at) for call, at in zip(calls, (0.0, 9.0, 0.2), strict=True)]
    paced, adapter = Paced(Trace(steps=tuple(steps), ending="passed")), Adapters(Tally, TallyApi, "http://h", {})
    began = time.monotonic()
    first = paced.next(Tally(), adapter.new().refs)
    branches = paced.branches(Tally(), adapter.new().refs)
    adapter.close()

    assert (calls[0], ((calls[1],), (calls[2],))) == (first, branches)
    assert 9.0 > time.monotonic() - began >= 0.2


def test_pauses_need_times_and_a_service(bundle: Bundle):
    """A bundle without times, and a cassette, have none."""
    without = bundle.trace.replace(steps=tuple(step.replace(at=None) for step in bundle.trace.steps))
    with pytest.raises(UsageError, match="does not say when"):
        again(bundle.replace(trace=without), "well", pace="recorded")
    with pytest.raises(UsageError, match="answers at once"):
        replay(bundle, model=Tally, adapter=TallyApi, offline=True, pace="recorded")


# --- bound anew, and settled ----------------------------------------------------------------------


class Account(Entity):
    pass


class Open(Command):
    name: Annotated[str, gen.mint("owner")]


class Opened(Event):
    account: Ref[Account]
    name: str


class Close(Command):
    account: Ref[Account]


class Closed(Event):
    done: bool


class Count(Observation):
    number: int


class Bank(Model):
    """Accounts with ids of the service's own, and a count of them that is right a little later."""

    commands: ClassVar = (Open, Close)
    number: int = 0

    @expects
    def close(self, _: Close) -> Closed:
        return Closed(done=True)

    @on
    def opened(self, _: Opened) -> None:
        self.number += 1

    @on
    def closed(self, _: Closed) -> None:
        self.number -= 1

    @eventually(within=0.3, every=0.01, at="end")
    def counted(self, count: Count) -> None:
        assert count.number == self.number


class BankApi(Adapter[Bank]):
    @handles
    def open(self, cmd: Open) -> Opened:
        answer = self.http.post("/accounts", json={"name": cmd.name})
        return Opened(account=self.ref(Account, answer.json()["id"]), name=cmd.name)

    @handles
    def close(self, cmd: Close) -> Closed:
        return Closed(done=self.http.delete(f"/accounts/{cmd.account.id}").status_code == 200)

    @observes
    def count(self) -> Count:
        return Count(number=self.http.get("/count").json()["number"])


class Ledger(Till):
    """Accounts whose ids and names are never used twice; how many there are, it says after a while."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.RequestHandlerClass = Teller
        self.accounts: dict[int, str] = {}
        self.names: set[str] = set()
        self.before = self.late = 0.0

    @property
    def number(self) -> float:
        """How many there are, of a run that begins with none."""
        return len(self.accounts) if time.monotonic() > self.late else -1


class Teller(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Ledger

    def do_GET(self) -> None:
        self.answer(200, {"number": self.server.number})

    def do_POST(self) -> None:
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["name"]
        if name in self.server.names:
            return self.answer(409, {})
        self.server.names.add(name)
        number = 100 + len(self.server.names)
        self.server.accounts[number] = name
        return self.answer(201, {"id": number})

    def do_DELETE(self) -> None:
        number = int(self.path.rpartition("/")[2])
        known = number in self.server.accounts
        if known and self.server.how != "buggy":
            del self.server.accounts[number]
        self.server.late = time.monotonic() + 0.03
        self.answer(200 if known else 404, {})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_refs_and_minted_names_are_bound_anew_and_the_end_is_waited_for():
    """On a service that is never reset: new ids, new names, and a count at the end that settles, or never does."""
    calls = (
        Call(label=1, tag="open", args={"name": "{owner~1}"}), Call(label=4, tag="close", args={"account": "account@1"})
    )  # fmt: skip
    with Ledger("buggy") as ledger:
        adapters = Adapters(Bank, BankApi, ledger.url, {})
        trace = execute(Bank, adapters.new(), Fixed(calls))
        adapters.close()
        origin = coin_bundle(5, 5).provenance.replace(model="test_replaying:Bank", adapter="test_replaying:BankApi")
        found = Bundle(origin=origin, trace=trace)
        ledger.accounts.clear()
        there = replay(found, model=Bank, adapter=BankApi, base_url=ledger.url, health_check="none")
        ledger.accounts.clear()
        ledger.how = "well"
        gone = replay(found, model=Bank, adapter=BankApi, base_url=ledger.url, health_check="none")

    assert trace.failure is not None
    assert ("check", "counted", None) == (trace.failure.kind, trace.failure.name, trace.failure.step)
    assert (Verdict.REPRODUCED, Verdict.FIXED) == (there.verdict, gone.verdict), (there, gone)
    assert 6 == len(ledger.names)  # in the run that was recorded, in one attempt, and in four
    sent = [each.request.url.rpartition("/")[2] for each in gone.trace.steps[1].interactions]
    assert 101 not in map(int, sent)


# --- what is printed -------------------------------------------------------------------------------


def test_recorded_and_now_stand_side_by_side(bundle: Bundle):
    """Whoever did not write the test reads what failed, in which step, what was recorded, and what is seen now."""
    recorded = """\
  recorded  expectation add in step 7, add(number=8)
            expected Added(total=12), got Added(total=13)
"""
    said = {how: verdict.render(again(bundle, how), bundle.trace) for how in ("buggy", "well", "in front", "dies at 2")}

    assert {
        "buggy": f"{recorded}  now       the same in step 7, add(number=8)",
        "well": f"{recorded}  now       all steps ran, and all checks hold; step 7 was answered added(total=12)",
        "in front": f"{recorded}  now       expectation add in step 2, add(number=1)\n"
        "            expected Added(total=1), got Added(total=-1)",
        "dies at 2": f"{recorded}  now       nothing failed in 1 of 3 commands, where it ended",
    } == said


def test_reproduces_may_be_what_is_expected(tmp_path: Path):
    """--expect reproduces swaps 0 and 1 of each of several bundles, and nothing else; what was expected is said."""
    one, other = written(tmp_path / "one.pd"), written(tmp_path / "other.pd")
    with Till("buggy") as till:
        line = ["replay", str(one), str(other), "--url", till.url, "--health", "/", "--expect", "reproduces"]
        there = called(line)
        till.how = "well"
        gone = called(line)

    assert (0, 1) == (there.code, gone.code)
    assert "VERDICT of all: 2 reproduced (exit 0)" == there.verdict
    assert "got Added(total=13); as expected (exit 0)" in there.out
    assert "VERDICT of all: 2 fixed (exit 1)" == gone.verdict
    assert "confidence); it was expected to reproduce (exit 1)" in gone.out
    assert {Verdict.FIXED, Verdict.REPRODUCED} == {
        each for each in Verdict if exit_code(each) != exit_code(each, "reproduces")
    }


def answered(label: int, status: int) -> Step:
    """Make a step that was answered so."""
    request = Request(method="POST", url="http://127.0.0.1:1/customers", headers=(), body=b"")
    response = Response(status=status, reason="", version="HTTP/1.1", headers=(), body=b"")
    sent = Interaction(request=request, response=response, elapsed=0.0)
    event = Said(tag="made", version=1, data=text_of_data({}))
    return Step(call=Call(label=label, tag="make"), event=event, interactions=(sent,))


def test_a_stale_run_says_which_step_was_answered_otherwise():
    """Where a call names what was not made, the step that made it when it was recorded is told with both statuses."""
    needing = Step(call=Call(label=2, tag="ship", args={"customer": "customer@0"}))
    recorded = Trace(steps=(answered(0, 201), answered(1, 200), needing), ending="failed")
    seen = Trace(steps=(answered(0, 404), answered(1, 404)), ending="stale", reason="step 2: not made.")
    same = seen.replace(steps=recorded.steps[:2])

    said = "step 0, which it builds on, was answered 404 now, and 201 when it was recorded"
    assert f"step 2: not made; {said}" == _rooted(seen, recorded)
    assert "step 2: not made." == _rooted(same, recorded)
