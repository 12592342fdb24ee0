"""Chaos: what a lost answer means, how a client finds out, and that a fault that does nothing never passes silently."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from jar import Coins, Empty, Jar, JarApi, Look, Piggy, Seen, Take, Taken

from replaykit import (
    Adapter,
    Command,
    Model,
    Verdict,
    check,
    eventually,
    fault,
    handles,
    invariant,
    on,
    recheck,
    recovers,
    replay,
    same,
)
from replaykit.adapter import Adapters
from replaykit.bundle import Bundle, Provenance
from replaykit.cassette import Player
from replaykit.cli.show import show
from replaykit.errors import DefinitionError, UsageError
from replaykit.run import execute
from replaykit.sequence import Call, Fixed, Sequence
from replaykit.trace import Trace
from replaykit.writer import save

NETWORK = {"steps": 1, "stream": "downstream", "share": 1.0}
TIMEOUT = {**NETWORK, "milliseconds": 10}
REPLACED = {"steps": 1, "share": 1.0, "status": 503, "reached": True}


class Shaky(Piggy):
    """The jar with all that is done in the client: no proxy is needed."""

    commands: ClassVar[tuple[type[Command], ...]] = (
        *Piggy.commands, fault.ErrorStatus, fault.Truncated, fault.Corrupted, fault.Duplicated,
    )  # fmt: skip


class Wired(Piggy):
    """The jar with all that a proxy does."""

    commands: ClassVar[tuple[type[Command], ...]] = (
        *Piggy.commands, fault.Timeout, fault.Down, fault.Latency, fault.LimitData, fault.ResetPeer,
    )  # fmt: skip


@pytest.fixture(scope="module")
def jar() -> Iterator[Jar]:
    """Give the service of the tests of this module."""
    with Jar() as served:
        yield served


@pytest.fixture(scope="module")
def wired(jar: Jar) -> Iterator[Adapters]:
    """Give what makes adapters behind one proxy."""
    with closing(Adapters(Wired, JarApi, jar.url, {})) as adapters:
        yield adapters


@contextmanager
def closing(adapters: Adapters) -> Iterator[Adapters]:
    try:
        yield adapters
    finally:
        adapters.close()


def calls(*said: tuple[str, dict[str, Any]]) -> Sequence:
    """Write a sequence as tags and arguments."""
    return tuple(Call(label=label, tag=tag, args=args) for label, (tag, args) in enumerate(said))


def put(amount: int = 1) -> tuple[str, dict[str, Any]]:
    return "put", {"key": f"k{amount}", "amount": amount}


TAKE = ("take", {"key": "t"})
LOOK: tuple[str, dict[str, Any]] = ("look", {})
BROKEN = ("fault_error_status", REPLACED)


def ran(
    jar: Jar, *said: tuple[str, dict[str, Any]], model: type[Model] = Shaky, adapter: type[Adapter[Any]] = JarApi
) -> Trace:
    """Run a sequence against the jar, whose bugs are over afterwards."""
    with closing(Adapters(model, adapter, jar.url, {})) as adapters:
        return through(adapters, *said)


def through(adapters: Adapters, *said: tuple[str, dict[str, Any]]) -> Trace:
    return execute(adapters.model, adapters.new(), Fixed(calls(*said)))


def events(trace: Trace) -> list[str]:
    """List the tags of the answers."""
    return ["" if step.event is None else step.event.tag for step in trace.steps]


def sent(trace: Trace, step: int) -> list[str]:
    """List what was sent for a step."""
    return [f"{each.request.method} {urlsplit(each.request.url).path}" for each in trace.steps[step].interactions]


def tampered(trace: Trace, step: int) -> list[str]:
    return [each.tampered for each in trace.steps[step].interactions]


# --- finding out --------------------------------------------------------------------------------


def test_what_may_be_sent_again_is_sent_again_while_the_fault_lasts_and_then_without_it(jar: Jar):
    """An idempotent command needs nobody who finds out: its answer is the one that came in the end."""
    trace = ran(jar, BROKEN, put(4), LOOK)

    assert ("passed", "") == (trace.ending, trace.reason)
    assert ["injected", "put_in", "seen"] == events(trace)
    assert ["status", "status", ""] == tampered(trace, 1)
    assert [(), (0,), ()] == [step.faults for step in trace.steps]
    assert [4] == jar.coins


def test_a_bug_that_needs_a_retry_is_found(jar: Jar):
    """What is done once for each request, and not for each key, is seen when the fault is over."""
    jar.bugs = {"forgetful"}
    try:
        trace = ran(jar, BROKEN, put(4))
        plain = ran(jar, put(4))
    finally:
        jar.bugs = set()

    assert trace.failure is not None
    assert ("failed", "check", "coins_match", 1) == (
        trace.ending, trace.failure.kind, trace.failure.name, trace.failure.step
    )  # fmt: skip
    assert "passed" == plain.ending


def test_the_adapter_finds_out_what_became_of_a_command(wired: Adapters, jar: Jar):
    """What was done though its answer was lost is folded into the state as if it had been answered."""
    trace = through(wired, put(4), ("fault_timeout", TIMEOUT), TAKE, LOOK)

    assert "passed" == trace.ending
    assert ["put_in", "injected", "taken", "seen"] == events(trace)
    assert ["POST /taken", "GET /taken/t", "GET /taken/t"] == sent(trace, 2)
    assert ["RemoteProtocolError", "RemoteProtocolError", None] == [
        None if each.trouble is None else each.trouble.error for each in trace.steps[2].interactions
    ]
    assert [] == jar.coins


def test_the_adapter_finds_out_that_nothing_was_done(wired: Adapters, jar: Jar):
    """None is believed when nothing was seen for as long as `within` says, and the answer is lost, no more."""
    trace = through(wired, put(4), ("fault_timeout", {**TIMEOUT, "stream": "upstream"}), TAKE, LOOK)

    assert "passed" == trace.ending
    assert ["put_in", "injected", "lost", "seen"] == events(trace)
    assert b'{"command":"take","sent":true}' == trace.steps[2].event.data.replace(b" ", b"")  # type: ignore[union-attr]
    assert 2 + 3 == len(sent(trace, 2))
    assert [4] == jar.coins


def test_a_service_that_is_still_at_it_is_waited_for(wired: Adapters, jar: Jar):
    """What is done a moment after the client hung up is found, as `within` of @recovers allows."""
    jar.delay = 0.08
    try:
        trace = through(wired, put(4), ("fault_timeout", TIMEOUT), TAKE, LOOK)
    finally:
        jar.delay = 0.0

    assert ("passed", "taken") == (trace.ending, events(trace)[2])


def test_where_nobody_can_find_out_the_run_ends_as_unknown(jar: Jar):
    """Neither sent again nor looked up: what is true from now on can't be said, and that does not pass."""

    class Helpless(Adapter[Piggy]):
        reset, put, take, look, coins = JarApi.reset, JarApi.put, JarApi.take, JarApi.look, JarApi.coins

    trace = ran(jar, put(4), BROKEN, TAKE, adapter=Helpless)

    assert "unknown" == trace.ending
    assert "POST /taken" in trace.reason
    assert trace.reason.endswith("(status); nobody finds out what became of it: no @recovers for Take")


def test_what_only_reads_needs_no_finding_out(wired: Adapters):
    """A GET changes nothing, whatever became of it: nothing more is sent, and the expectation is not judged."""
    trace = through(wired, put(4), ("fault_timeout", TIMEOUT), LOOK, LOOK)

    assert ("passed", ["put_in", "injected", "lost", "seen"]) == (trace.ending, events(trace))
    assert ["GET /coins"] == sent(trace, 2)


def test_what_never_reached_the_service_needs_no_finding_out(wired: Adapters, jar: Jar):
    """Where nobody listens, nothing was done, and the service itself is not taken for one that is gone."""
    trace = through(wired, put(4), ("fault_down", {"steps": 2}), TAKE, put(2), LOOK)

    assert ("passed", ["put_in", "injected", "lost", "lost", "seen"]) == (trace.ending, events(trace))
    assert b'{"command":"take","sent":false}' == trace.steps[2].event.data.replace(b" ", b"")  # type: ignore[union-attr]
    assert ["POST /taken"] == sent(trace, 2)
    assert ["POST /coins", "GET /coins"] == [each for each in jar.asked if "GET" not in each] + sent(trace, 4)


def test_a_refusal_that_is_lost_is_found_out_too(jar: Jar):
    """The service may decide later, when what it was asked for would not be refused any more."""
    trace = ran(jar, BROKEN, TAKE, put(4), LOOK)

    assert ("passed", ["injected", "lost", "put_in", "seen"]) == (trace.ending, events(trace))
    assert ["POST /taken", "GET /taken/t"] == sent(trace, 1)[:2]
    assert len(sent(trace, 1)) > 2


def test_a_lost_answer_without_a_fault_still_ends_the_run(jar: Jar):
    """When the fault is over, a service that does not answer is unreachable or unknown as ever."""

    class Dropping(JarApi):
        @handles
        def look(self, cmd: Look) -> Seen:
            self.http.get("http://127.0.0.1:9/", timeout=0.5)
            raise AssertionError

    trace = ran(jar, BROKEN, put(1), LOOK, adapter=Dropping)

    assert ("unreachable", 2) == (trace.ending, len(trace.steps) - 1)


# --- nothing passes silently --------------------------------------------------------------------


def test_a_handler_that_swallows_what_the_fault_does_is_not_believed(jar: Jar):
    """Whatever a handler makes of a lost answer, the engine has seen that it was lost."""

    class Sure(JarApi):
        @handles
        def take(self, cmd: Take) -> Taken | Empty:
            try:
                return super().take(cmd)
            except Exception:
                return Taken(amount=4)

        @recovers(within=0.1)
        def was_taken(self, cmd: Take) -> Taken | None:
            return super().was_taken(cmd)

    never = ("fault_error_status", {**REPLACED, "reached": False})
    trace = ran(jar, put(4), never, TAKE, LOOK, adapter=Sure)

    assert ("passed", ["put_in", "injected", "lost", "seen"]) == (trace.ending, events(trace))
    assert [4] == jar.coins


def test_an_error_of_the_fault_is_no_server_error(jar: Jar):
    """The service did not give the 503, so that nothing is found, and no expectation is judged by it."""
    trace = ran(jar, BROKEN, put(4), LOOK)

    assert (None, 503) == (trace.failure, trace.steps[1].interactions[0].response.status)  # type: ignore[union-attr]


def test_a_command_of_several_requests_of_which_one_is_lost_is_not_believed(jar: Jar):
    """Where the first request is answered and the second is not, what became of it is asked."""

    class Twofold(JarApi):
        @handles
        def take(self, cmd: Take) -> Taken | Empty:
            self.http.get("/coins")
            return super().take(cmd)

        @recovers(within=0.1)
        def was_taken(self, cmd: Take) -> Taken | None:
            return super().was_taken(cmd)

    half, seen = ("fault_error_status", {**REPLACED, "share": 0.5, "steps": 3}), set()
    with closing(Adapters(Shaky, Twofold, jar.url, {})) as adapters:
        for number in range(8):  # who is hit follows from the step
            trace = through(adapters, *[LOOK] * number, put(4), half, TAKE, LOOK)
            seen.add(tuple(tampered(trace, number + 2)[:2]))

            assert ("passed", "taken", []) == (trace.ending, events(trace)[number + 2], jar.coins)

    assert {("status", ""), ("", "status")} <= seen


def test_a_recovery_that_is_wrong_is_found_by_what_is_checked(jar: Jar):
    """Who says that nothing was done, though it was, is contradicted by the next look."""

    class Blind(JarApi):
        @recovers(within=0.05)
        def was_taken(self, cmd: Take) -> Taken | None:
            return None

    trace = ran(jar, put(4), BROKEN, TAKE, adapter=Blind)

    assert trace.failure is not None
    assert ("failed", "coins_match", "lost") == (trace.ending, trace.failure.name, events(trace)[2])


def test_a_recovery_that_finds_what_the_model_does_not_expect_is_no_answer(jar: Jar):
    """What was there before is taken for nothing, so that the state stays as it was."""

    class Confused(JarApi):
        @recovers(within=0.05)
        def was_taken(self, cmd: Take) -> Taken | None:
            return Taken(amount=99)

    never = ("fault_error_status", {**REPLACED, "reached": False})
    trace = ran(jar, put(4), never, TAKE, LOOK, adapter=Confused)

    assert ("passed", ["put_in", "injected", "lost", "seen"]) == (trace.ending, events(trace))


@pytest.mark.parametrize(("said", "told"), [(ValueError("odd"), "ValueError: odd"), ("taken", "which is no Event")])
def test_a_recovery_that_raises_is_a_fault_of_the_adapter(jar: Jar, said: Any, told: str):
    """What the user's code raises, or returns against its word, is told as such."""

    class Odd(JarApi):
        @recovers
        def was_taken(self, cmd: Take) -> Taken | None:
            if isinstance(said, Exception):
                raise said
            return said  # type: ignore[no-any-return]

    trace = ran(jar, put(4), BROKEN, TAKE, adapter=Odd)

    assert trace.failure is not None
    assert ("failed", "adapter") == (trace.ending, trace.failure.kind)
    assert told in trace.failure.message


def test_a_fault_that_nothing_can_do_is_an_error(jar: Jar):
    """An adapter that was made without an injector sends everything straight, so that is said, and does not pass."""
    with closing(Adapters(Piggy, JarApi, jar.url, {})) as adapters, pytest.raises(DefinitionError) as raised:
        execute(Shaky, adapters.new(), Fixed(calls(BROKEN, put(1))))

    assert raised.value.happened.startswith("The fault fault_error_status can't be done: nothing is between")


def test_a_model_with_faults_and_other_clients_is_an_error(jar: Jar):
    """What other clients send goes past all faults."""

    class Others(JarApi, other_clients=True):
        pass

    with pytest.raises(DefinitionError, match=r"Shaky has faults, and Others sends with other clients\."):
        Adapters(Shaky, Others, jar.url, {})


def test_a_process_that_was_not_started_here_gets_no_process_faults(jar: Jar):
    """Nobody kills what he has not started."""

    class Killed(Piggy):
        commands: ClassVar = (*Piggy.commands, fault.Kill)

    with (
        closing(Adapters(Killed, JarApi, jar.url, {})) as adapters,
        pytest.raises(UsageError, match=r"Kill needs a service that is started here\."),
    ):
        execute(Killed, adapters.new(), Fixed((Call(label=0, tag="fault_kill", args={"steps": 1}),)))


@pytest.mark.parametrize(
    ("tag", "more"),
    [
        ("fault_timeout", {"stream": "sideways"}),
        ("fault_timeout", {"milliseconds": 2**70}),
        ("fault_timeout", {"milliseconds": "x"}),
        ("fault_timeout", {"steps": None}),
        ("fault_timeout", {"steps": 0}),
        ("fault_timeout", {"steps": -1}),
        ("fault_timeout", {"share": 2.0}),
        ("fault_timeout", {"share": -1.0}),
        ("fault_timeout", {"share": "NaN"}),
    ],
)
def test_a_fault_that_can_t_be_is_stale(wired: Adapters, tag: str, more: dict[str, Any]):
    """What a bundle from a stranger asks for is checked before anything is done."""
    trace = through(wired, (tag, {**TIMEOUT, **more}), LOOK)

    assert "stale" == trace.ending
    assert trace.reason.startswith("step 0: ")


@pytest.mark.parametrize("more", [{"share": 1.5}, {"share": -0.1}, {"status": 200}, {"steps": 0}])
def test_a_tampering_that_can_t_be_is_stale(jar: Jar, more: dict[str, Any]):
    """The same, where the client does it."""
    trace = ran(jar, ("fault_error_status", {**REPLACED, **more}), LOOK)

    assert ("stale", 0) == (trace.ending, len(trace.steps[1:]))


def test_a_fault_for_no_connection_at_all_hits_none(jar: Jar):
    """A share of 0 is what it says."""
    trace = ran(jar, ("fault_error_status", {**REPLACED, "share": 0.0}), put(1), LOOK)

    assert ("passed", [""]) == (trace.ending, tampered(trace, 1))


def test_a_share_hits_the_same_requests_in_each_run(jar: Jar):
    """What is hit follows from the sequence, and not from what was run before: else a replay would be another run."""
    half = ("fault_error_status", {**REPLACED, "share": 0.5, "steps": 8})
    said = [half, *(put(number) for number in range(1, 9))]
    with closing(Adapters(Shaky, JarApi, jar.url, {})) as adapters:
        hits = [[tampered(trace, step) for step in range(1, 9)] for trace in (through(adapters, *said) for _ in "12")]

    assert hits[0] == hits[1]
    assert {"status", ""} == {each[0] for each in hits[0]}


# --- more than one fault ------------------------------------------------------------------------


def test_two_faults_at_once_both_act(wired: Adapters):
    """By hand, one may begin while another lasts; each lasts as long as it says."""
    slow = ("fault_latency", {**NETWORK, "steps": 2, "milliseconds": 60, "jitter": 0})
    trace = through(wired, put(1), slow, ("fault_timeout", {**TIMEOUT, "milliseconds": 200}), LOOK, LOOK, LOOK)

    assert ("passed", ["put_in", "injected", "injected", "lost", "seen", "seen"]) == (trace.ending, events(trace))
    assert [(), (), (1,), (1, 2), (1,), ()] == [step.faults for step in trace.steps]
    first, second = (trace.steps[step].interactions[0].elapsed for step in (4, 5))
    assert second < 0.05 < first


def test_twice_down_is_up_when_both_are_over(wired: Adapters):
    """The first one that is over does not end the other."""
    trace = through(wired, ("fault_down", {"steps": 1}), ("fault_down", {"steps": 2}), LOOK, LOOK, LOOK)

    assert ("passed", ["injected", "injected", "lost", "lost", "seen"]) == (trace.ending, events(trace))


def test_two_faults_of_http_at_once_can_t_be(jar: Jar):
    """Only one of them would be done, so that is said."""
    trace = ran(jar, BROKEN, ("fault_truncated", {"steps": 2, "share": 1.0, "keep": 0.5}), LOOK)

    assert "stale" == trace.ending
    assert trace.reason.startswith("step 1: ")


def test_a_fault_as_the_last_call_is_begun_and_taken_back(wired: Adapters):
    """There is nothing that it could disturb, and the next run is without it."""
    trace = through(wired, put(4), ("fault_down", {"steps": 4}))
    after = through(wired, put(4), LOOK)

    assert ("passed", ["put_in", "injected"]) == (trace.ending, events(trace))
    assert 1 == len(trace.closing_observations)
    assert ("passed", ["put_in", "seen"]) == (after.ending, events(after))


def test_a_run_that_fails_under_a_fault_leaves_none_for_the_next(wired: Adapters, jar: Jar):
    """Whatever ends a run, its faults are taken back."""
    jar.bugs = {"forgetful"}
    try:
        failed = through(wired, ("fault_timeout", {**TIMEOUT, "steps": 4}), put(4), LOOK)
    finally:
        jar.bugs = set()
    after = through(wired, put(4), LOOK)

    assert "failed" == failed.ending
    assert ("passed", [()] * 2) == (after.ending, [step.faults for step in after.steps])


def test_branches_are_sent_without_faults(wired: Adapters):
    """A fault in front of branches is over when they begin."""
    sequence = (
        *calls(("fault_down", {"steps": 4})),
        Call(label=1, tag="put", args={"key": "a", "amount": 1}, branch=1),
        Call(label=2, tag="put", args={"key": "b", "amount": 2}, branch=2),
    )
    trace = execute(wired.model, wired.new(), Fixed(sequence))

    assert ("passed", ["injected", "put_in", "put_in"]) == (trace.ending, events(trace))
    assert [()] * 3 == [step.faults for step in trace.steps]


def test_what_is_sent_twice_at_once_goes_through_no_fault_so_it_can_t_be_under_one(jar: Jar):
    """A fault that would not be applied is told."""
    twice = Call(label=1, tag="put", args={"key": "a", "amount": 1}, twice=True)
    with closing(Adapters(Shaky, JarApi, jar.url, {})) as adapters:
        trace = execute(Shaky, adapters.new(), Fixed((*calls(BROKEN), twice)))

    assert "stale" == trace.ending
    assert trace.reason.startswith("step 1: ")


def test_a_repetition_goes_through_the_fault_too(jar: Jar):
    """A command that is sent again while a fault is on is found out about as any other."""
    again = Call(label=2, tag="put", repeats=0)
    with closing(Adapters(Shaky, JarApi, jar.url, {})) as adapters:
        trace = execute(Shaky, adapters.new(), Fixed((*calls(put(1), BROKEN), again)))

    assert ("passed", ["status", "status", ""]) == (trace.ending, tampered(trace, 2))
    assert [1] == jar.coins


# --- what holds ---------------------------------------------------------------------------------


class Watched(Shaky):
    """The jar with checks for each time, which write down when they looked."""

    looked: ClassVar[list[str]] = []
    steps: int = 0

    @invariant
    def always(self) -> None:
        self.looked.append("invariant")

    @check(during=fault.Duplicated)
    def meanwhile(self) -> None:
        self.looked.append("during")

    @check(during=fault.Truncated)
    def never(self) -> None:
        self.looked.append("never")

    @check(relax=fault.HttpFault)
    def relaxed(self) -> None:
        self.looked.append("relaxed")

    @check(relax=fault.NetworkFault)
    def steadfast(self) -> None:
        self.looked.append("steadfast")

    @eventually(within=0.2, every=0.02)
    def settles(self, seen: Coins) -> None:
        self.looked.append("eventually")


def test_checks_look_when_they_are_meant_to(jar: Jar):
    """Before a fault the steady state, during it what is meant for it, and after it the steady state again."""
    Watched.looked.clear()
    trace = ran(jar, ("fault_duplicated", {"steps": 1, "share": 1.0}), put(1), LOOK, model=Watched)
    before = ["invariant", "relaxed", "steadfast", "eventually"]
    during = ["invariant", "during", "steadfast"]
    after = ["relaxed", "steadfast", "eventually"]

    assert ("passed", "duplicated") == (trace.ending, *tampered(trace, 1))
    assert [*before, *during, *after, "invariant", *after] == Watched.looked


def test_the_steady_state_is_looked_at_before_a_fault_begins(jar: Jar):
    """What was wrong before is not blamed on the fault, which does not even begin."""

    class Never(Shaky):
        @check(relax=fault.Fault)
        def holds(self) -> None:
            assert not self.coins

    class Rare(Shaky):
        @check(every=100)
        def holds(self) -> None:
            assert not self.coins

    trace = ran(jar, BROKEN, LOOK, put(1), model=Never)
    rare = ran(jar, put(1), BROKEN, LOOK, model=Rare)

    assert (2, 1) == (trace.failure.step, rare.failure.step)  # type: ignore[union-attr]
    assert ["injected"] == events(rare)[1:]


def test_what_does_not_recover_is_found_when_the_fault_is_over(jar: Jar):
    """@eventually is looked at when the last fault is over, though nothing is sent any more."""

    class Slow(Shaky):
        @eventually(within=0.1, every=0.02)
        def recovers(self, seen: Coins) -> None:
            same(seen.coins, [])

    trace = ran(jar, ("fault_error_status", {**REPLACED, "steps": 3}), put(1), model=Slow)

    assert trace.failure is not None
    assert ("recovers", 1) == (trace.failure.name, trace.failure.step)
    assert "still so after 0.1 seconds" in trace.failure.message


def test_what_checks_read_goes_straight_to_the_service(wired: Adapters):
    """Whoever watches an experiment has a line of his own."""
    trace = through(wired, ("fault_down", {"steps": 2}), LOOK, LOOK)

    assert ["lost", "lost"] == events(trace)[1:]
    assert [200, 200] == [each.response.status for step in trace.steps[1:] for each in step.observing[:1]]  # type: ignore[union-attr]


def test_a_model_may_say_what_a_fault_does_to_it(jar: Jar):
    """Injected and Lost are events as others are."""

    class Told(Shaky):
        begun: list[str] = []  # noqa: RUF012
        lost: list[str] = []  # noqa: RUF012

        @on
        def injected(self, event: fault.Injected) -> None:
            self.begun.append(event.fault)

        @on
        def gone(self, event: fault.Lost) -> None:
            self.lost.append(event.command)

    trace = ran(jar, BROKEN, LOOK, model=Told)

    assert b'"begun":["fault_error_status"]' in trace.steps[0].state.replace(b" ", b"")
    assert b'"lost":["look"]' in trace.steps[1].state.replace(b" ", b"")


# --- without a service --------------------------------------------------------------------------


def test_a_cassette_plays_what_was_found_out(wired: Adapters, jar: Jar):
    """Nothing is disturbed offline: what was lost is lost again, and what was found out is read from the tape."""
    said = [put(4), ("fault_timeout", TIMEOUT), TAKE, ("fault_timeout", {**TIMEOUT, "stream": "upstream"}), TAKE, LOOK]
    said[4] = ("take", {"key": "u"})
    trace = through(wired, put(9), *said[:3], put(5), *said[3:])
    before = len(jar.asked)
    played = execute(wired.model, wired.new(), Fixed(trace.sequence), cassette=Player(trace.interactions()))

    assert ("passed", "passed") == (trace.ending, played.ending)
    assert events(trace) == events(played)
    assert before == len(jar.asked)


def test_a_request_that_goes_past_a_fault_of_the_network_is_an_error(wired: Adapters, jar: Jar):
    """Only what is sent to the service goes through its proxy; what an adapter sends elsewhere does not, unsaid."""

    class Elsewhere(JarApi):
        @handles
        def look(self, cmd: Look) -> Seen:
            return Seen(coins=self.http.get(f"{other.url}/coins").json())

    with Jar() as other:
        said = (("fault_timeout", TIMEOUT), LOOK)
        with pytest.raises(DefinitionError) as raised:
            ran(jar, *said, model=Wired, adapter=Elsewhere)
        trace = ran(jar, *said[1:], model=Wired, adapter=Elsewhere)

    assert raised.value.happened == f"A fault was on, and a request went past it, to {other.url}/coins."
    assert "passed" == trace.ending


def test_a_check_that_a_fault_was_in_front_of_is_looked_at_when_it_is_over(jar: Jar):
    """A check for some commands alone is owed, and no other fault makes it look before its time."""
    looked = []

    class Owed(Shaky):
        @check(on=Look, relax=fault.Fault)
        def after_a_look(self) -> None:
            looked.append(len(self.coins))

    ran(jar, ("fault_duplicated", {"steps": 3, "share": 1.0}), LOOK, put(1), put(2), put(3), model=Owed)
    ran(jar, ("fault_duplicated", {"steps": 1, "share": 1.0}), put(1), put(2), model=Owed)

    assert [2] == looked


def recorded(jar: Jar, *said: tuple[str, dict[str, Any]], bug: str = "forgetful") -> Bundle:
    """Run a sequence against a jar with a bug, and give what was recorded."""
    jar.bugs = {bug}
    try:
        trace = ran(jar, *said)
    finally:
        jar.bugs = set()
    names = {"model": "test_chaos:Shaky", "adapter": "jar:JarApi", "model_digest": "0", "url": jar.url}
    return Bundle(origin=Provenance(**names, campaign_seed=1, run=0, seed=1, commands=9), trace=trace)


class Never(JarApi):
    """An adapter that is never asked, since what was recorded says all."""

    def __init__(self, *arguments: Any) -> None:
        raise AssertionError


def test_what_was_recorded_under_faults_is_rechecked(jar: Jar):
    """Lost answers stay unjudged, and what the recorded looks say is judged by the model as it is."""

    class Lenient(Shaky):
        @check
        def coins_match(self, seen: Coins) -> None:
            assert len(seen.coins) >= len(self.coins)

    bundle = recorded(jar, BROKEN, TAKE, BROKEN, put(4))
    same_model = recheck(bundle, model=Shaky, adapter=Never)
    other = recheck(bundle, model=Lenient, adapter=Never)
    passing = recheck(recorded(jar, BROKEN, TAKE, BROKEN, put(4), LOOK, bug=""), model=Shaky, adapter=Never)

    assert (Verdict.REPRODUCED, 3) == (same_model.verdict, same_model.trace.failure.step)  # type: ignore[union-attr]
    assert ["injected", "lost", "injected", "put_in"] == events(same_model.trace)
    assert Verdict.FIXED == other.verdict
    assert Verdict.PASSED == passing.verdict


@pytest.mark.parametrize("faults", [(77,), (-1,), (10**30,), (1, 1, 1), tuple(range(3000))])
def test_labels_of_faults_that_nobody_has_begun_break_nothing(jar: Jar, faults: tuple[int, ...], tmp_path: Path):
    """A bundle from a stranger may say what it likes: it is played and told as far as it can be."""
    bundle = recorded(jar, BROKEN, put(4))
    steps = tuple(step.replace(faults=faults) for step in bundle.trace.steps)
    path = tmp_path / "odd.pd"
    save(path, bundle.origin, bundle.trace.replace(steps=steps))  # type: ignore[arg-type]
    judged = replay(path, model=Shaky, adapter=JarApi, offline=True)

    assert Verdict.REPRODUCED == judged.verdict
    assert [(), (0,)] == [step.faults for step in judged.trace.steps]
    assert "put(" in CliRunner().invoke(show, [str(path)]).output
