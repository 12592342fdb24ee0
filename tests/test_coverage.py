"""Coverage: what the runs of a campaign exercised, and what was seen in them."""

from collections import Counter
from itertools import product
from typing import Annotated, Any, ClassVar, Literal

import pytest
from vault import Service as VaultService
from vault import Vault, VaultApi

from replaykit import (
    Adapter,
    Command,
    Entity,
    Event,
    Like,
    Mock,
    Model,
    Observation,
    Ref,
    Wait,
    check,
    expects,
    gen,
    handles,
    integration,
    invariant,
    like,
    observes,
    on,
    requires,
)
from replaykit.client import Client
from replaykit.command import Refs
from replaykit.coverage import MAX_ENDPOINTS, MAX_PATH, Coverage, requirements
from replaykit.errors import UsageError
from replaykit.generate import Parallel
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.journal import Entries, RanLine
from replaykit.model import MAX_LABEL, MAX_LABELS
from replaykit.report import terminal
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.trace import Said, Step, Trace

HOST = "http://127.0.0.1:1"


class Account(Entity):
    pass


class LineItem(Entity):
    pass


class Category(Entity):
    pass


class Open(Command):
    owner: str


class Close(Command):
    account: Ref[Account]


class Rename(Command):
    name: Annotated[str, gen.mint("name")]
    other: str | None
    mode: Literal["soft", "hard"]


class Doze(Wait):
    pass


class Opened(Event):
    owner: str


class Closed(Event):
    pass


class Refused(Event):
    pass


class Forbidden(Refused):
    pass


class Renamed(Event):
    pass


class Rows(Observation):
    count: int


class Bank(Model):
    commands: ClassVar = (Open, Close, Rename, Doze)
    accounts: dict[Ref[Account], Account] = {}  # noqa: RUF012

    @expects
    def open(self, cmd: Open) -> Like[Opened] | tuple[Like[Opened] | Refused, ...]:
        return like(Opened, owner=cmd.owner)

    @expects
    def rename(self, cmd: Rename) -> Any:
        return Renamed()

    @invariant
    def sane(self) -> None:
        """Hold."""

    @check
    def rows_match(self, rows: Rows) -> None:
        """Hold."""


class BankApi(Adapter[Bank]):
    @handles
    def open(self, cmd: Open) -> Opened | Closed:
        return Opened(owner=cmd.owner)

    @handles
    def close(self, cmd: Close) -> Closed | Refused:
        return Closed()

    @handles
    def rename(self, cmd: Rename) -> Renamed:
        return Renamed()

    @observes
    def rows(self) -> Rows:
        return Rows(count=0)


def step(label: int, tag: str, event: str | None = None, *interactions: Interaction, branch: int = 0, **args: Any):
    """Make a step: a command, and what came of it."""
    said = None if event is None else Said(tag=event, version=1, data=b"{}")
    return Step(call=Call(label=label, tag=tag, args=args, branch=branch), event=said, interactions=interactions)


def asked(path: str, status: int | None = 200, method: str = "GET", error: str | None = None) -> Interaction:
    """Make a request with its answer, or with the error that came instead."""
    return Interaction(
        request=Request(method=method, url=f"{HOST}{path}"),
        response=None if status is None else Response(status=status),
        trouble=None if error is None else Trouble(error=error),
    )


def covered(*runs: Trace | tuple[Step, ...], tally: dict[tuple[str, str], int] | None = None, refs: Refs | None = None):
    """Count runs of the bank."""
    coverage = Coverage.of(Bank, BankApi)
    for each in runs:
        trace = each if isinstance(each, Trace) else Trace(steps=each, ending="passed")
        coverage.fold(trace, refs or Refs())
        coverage.add(tally or {})
    return coverage


def bound(**ids: Any) -> Refs:
    """Bind what the service made, by the tag of its entity."""
    refs = Refs()
    for tag, service_id in ids.items():
        refs.step = 0
        refs.bind({"account": Account, "line_item": LineItem, "category": Category}[tag], service_id)
    return refs


# --- what there is ------------------------------------------------------------------------------


def test_what_there_is_follows_from_model_and_adapter():
    """Commands and checks are the model's; each command may come after each."""
    coverage = Coverage.of(Bank, BankApi)

    assert [4, 4, 16] == [coverage.total(kind) for kind in ("commands", "checks", "transitions")]
    assert ["expectation open", "expectation rename", "invariant sane", "check rows_match"] == coverage.missing(
        "checks"
    )
    assert ["latency GET /rows"] == Coverage.of(Bank, BankApi, ["GET /rows"]).missing("checks")[4:]


def test_outcomes_are_what_the_model_expects_and_else_what_the_handler_returns():
    """An expectation goes before a handler, but one of Any says nothing; time that goes by has its own event."""
    outcomes = [
        "open -> opened", "open -> refused", "close -> closed", "close -> refused", "rename -> renamed",
        "doze -> waited",
    ]  # fmt: skip

    assert outcomes == Coverage.of(Bank, BankApi).missing("outcomes")


def test_without_an_adapter_outcomes_are_those_that_the_model_expects():
    """A run of the model against itself has no handlers that could say more."""
    assert ["open -> opened", "open -> refused", "doze -> waited"] == Coverage.of(Bank, Mock).missing("outcomes")


# --- what was exercised -------------------------------------------------------------------------


def test_steps_are_counted_by_command_outcome_and_transition():
    """A transition is of two steps in one run; a step without an event has no outcome."""
    coverage = covered(
        (step(0, "open", "opened"), step(1, "close", "refused"), step(2, "open", "opened")),
        (step(0, "close", "closed"), step(1, "open")),
    )

    assert 2 == coverage.runs
    assert {"open": 3, "close": 2} == coverage.commands
    assert {("open", "opened"): 2, ("close", "refused"): 1, ("close", "closed"): 1} == coverage.outcomes
    assert {("open", "close"): 1, ("close", "open"): 2} == coverage.transitions


def test_calls_of_different_branches_are_no_transition():
    """Nobody knows which of two calls came first that were sent at the same time."""
    coverage = covered(
        (step(0, "open"), step(1, "open"), step(2, "close", branch=1), step(3, "rename", branch=1),
         step(4, "doze", branch=2))
    )  # fmt: skip

    assert {("open", "open"): 1, ("close", "rename"): 1} == coverage.transitions


def test_derived_event_counts_for_the_one_that_is_admitted():
    """Who admits an event admits what is derived from it."""
    coverage = covered((step(0, "open", "forbidden"),))

    assert "open -> refused" not in coverage.missing("outcomes")
    assert [True, False, None] == [
        coverage.admits("open", "forbidden"), coverage.admits("open", "closed"), coverage.admits("other", "closed")
    ]  # fmt: skip


def test_outcome_that_is_not_admitted_is_counted_and_covers_nothing():
    """What the model did not foresee stands in the table, and not in the percentage."""
    coverage = covered((step(0, "open", "closed"),))

    assert 1 == coverage.outcomes["open", "closed"]
    assert (0, 6) == (coverage.covered("outcomes"), coverage.total("outcomes"))


def test_checks_are_counted_as_the_engine_tallied_them():
    """Expectations, invariants and checks are counted over all runs."""
    run = (step(0, "open", "opened"),)
    coverage = covered(run, run, tally={("command", "open"): 1, ("expectation", "open"): 1, ("invariant", "sane"): 3})

    assert {("expectation", "open"): 2, ("invariant", "sane"): 6} == coverage.checks
    assert (2, 50.0) == (coverage.covered("checks"), coverage.percent("checks"))


def test_what_never_was_is_listed_and_of_a_command_that_never_was_no_outcome():
    """Commands, checks and outcomes that no run exercised are named."""
    coverage = covered((step(0, "open", "opened"), step(1, "rename", "renamed")), tally={("invariant", "sane"): 1})

    assert [
        "command close", "command doze", "expectation open", "expectation rename", "check rows_match",
        "outcome open -> refused",
    ] == coverage.never()  # fmt: skip


def test_campaign_counts_its_runs():
    """The result of a campaign has its coverage, with the outcomes among what was never exercised."""
    result = integration.run(model=Shop, adapter=Mock, seed=1, max_runs=5, max_commands=10)

    assert 5 == result.coverage.runs
    assert {"ask": result.steps} == result.coverage.commands
    assert {("ask", "ask"): result.steps - 5} == result.coverage.transitions
    assert ["outcome ask -> refused"] == result.never_exercised()


# --- endpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "placeholder"),
    [
        ("/api/accounts/acc%207/close", "/api/accounts/{account}/close"),
        ("/api/anything/acc%207", "/api/anything/{account}"),
        ("/line-items/17?page=3", "/line-items/{line_item}"),
        ("/lineItems/17", "/lineItems/{line_item}"),
        ("/categories/17", "/categories/{category}"),
        ("/people/17", "/people/{id}"),
        ("/people/23", "/people/{id}"),
        ("/accounts/23", "/accounts/{account}"),
        ("/accounts/18", "/accounts/{id}"),
        ("/accoun/23", "/accoun/{id}"),
        ("/accounts/-1", "/accounts/{id}"),
        ("/a/123e4567-e89b-12d3-a456-426614174000", "/a/{id}"),
        ("/a/123E4567-E89B-12D3-A456-426614174000", "/a/{id}"),
        ("/a/507f1f77bcf86cd799439011", "/a/{id}"),
        ("/a/3c039d06", "/a/{id}"),
        ("/a/deadbeef", "/a/deadbeef"),
        ("/a/dGhpcyBpcyBhIHRlc3Q0Mg==", "/a/{id}"),
        ("/a/V1StGXR8_Z5jdHi6B-myT", "/a/{id}"),
        ("/a/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/a/{id}"),
        ("/v2/order-items-2024-archive/open", "/v2/order-items-2024-archive/open"),
        ("", "/"),
        ("/", "/"),
        ("/a/", "/a/"),
    ],
)
def test_ids_in_paths_become_placeholders(path: str, placeholder: str):
    """What the service made has its entity's name, a number only where the path says so; other ids are `{id}`."""
    refs = bound(account="acc 7", line_item=17, category="17")
    refs.bind(Account, 23)
    coverage = covered((step(0, "open", "opened", asked(path)),), refs=refs)

    assert [("GET", placeholder, "200")] == list(coverage.endpoints)


def test_texts_of_a_command_in_a_path_have_the_names_of_its_arguments():
    """A text that the client chose is no endpoint of its own, minted or not; a literal is."""
    refs = Refs()
    own = [asked("/owners/Ann%20B"), asked(f"/names/name-{refs.nonce}-1/soft"), asked("/owners/Ann%20B/twin")]
    coverage = covered(
        (
            step(0, "open", "opened", own[0], owner="Ann B"),
            step(1, "rename", "renamed", *own[1:], name="{name~1}", other="twin", mode="soft"),
        ),
        refs=refs,
    )

    assert ["/owners/{owner}", "/names/{name}/soft", "/owners/{owner}/{other}"] == [
        path for _, path, _ in coverage.endpoints
    ]


def test_all_requests_of_a_run_are_counted_by_endpoint_and_status():
    """Requests of the reset, of observations and of the end count too; a lost answer has its error for a status."""
    trace = Trace(
        resetting=(asked("/reset", 204, "POST"),),
        steps=(
            Step(call=Call(label=0, tag="open"), interactions=(asked("/x", 500),), observing=(asked("/rows"),)),
            Step(call=Call(label=1, tag="open"), interactions=(asked("/x", None, error="ReadTimeout"),)),
        ),
        closing=(asked("/rows"),),
        ending="passed",
    )

    assert {
        ("POST", "/reset", "204"): 1, ("GET", "/x", "500"): 1, ("GET", "/rows", "200"): 2,
        ("GET", "/x", "ReadTimeout"): 1,
    } == covered(trace).endpoints  # fmt: skip


def test_table_of_endpoints_is_bounded_and_says_so():
    """A service with paths that are never the same fills the table once; what is in it is counted further."""
    words = ["".join(letters) for letters in product("abcdefgh", repeat=3)][: MAX_ENDPOINTS + 9]
    many = [asked(f"/{path}") for path in ("known", "x" * MAX_PATH * 2, *words[2:], "known")]
    coverage = covered((step(0, "open", "opened", *many),))

    assert (MAX_ENDPOINTS, 2) == (len(coverage.endpoints), coverage.endpoints["GET", "/known", "200"])
    assert len(many) == coverage.endpoints.total() + coverage.endpoints_left_out
    assert MAX_PATH == max(len(path) for _, path, _ in coverage.endpoints)


# --- labels -------------------------------------------------------------------------------------


class Ask(Command):
    number: Annotated[int, gen.integers(0, 9)]


class Told(Event):
    pass


class Shop(Model):
    """Names something in each of its methods."""

    commands: ClassVar = (Ask,)
    count: int = 0

    @requires
    def is_small(self, cmd: Ask) -> bool:
        self.label("large was asked about" if cmd.number > 4 else "small was asked about")
        return cmd.number <= 4

    @expects
    def told(self, cmd: Ask) -> Told | Refused:
        self.label("expected")
        return Told()

    @on
    def tell(self, event: Told) -> None:
        self.count += 1
        self.label("ten at least" if self.count >= 10 else "few")

    @invariant
    def counts(self) -> None:
        self.label("invariant")

    @check(at="end")
    def at_end(self) -> None:
        self.label("end")


def test_label_is_counted_once_in_a_run_and_only_for_what_was_sent():
    """Each method may name something; what a precondition says of a command that was not sent does not count."""
    result = integration.run(model=Shop, adapter=Mock, seed=1, max_runs=6, max_commands=12)
    short = integration.run(model=Shop, adapter=Mock, seed=1, max_runs=6, max_commands=9)

    assert {"small was asked about": 6, "expected": 6, "few": 6, "ten at least": 6, "invariant": 6, "end": 6} == (
        result.coverage.labels
    )
    assert 0 == short.coverage.labels["ten at least"]


class Failing(Shop):
    """Fails always, with four steps, and says whether the run is short."""

    @check(at="end")
    def never_four(self) -> None:
        if self.count < 12:
            self.label("short")
        assert self.count < 4


def test_label_of_a_shrink_candidate_is_not_counted():
    """Shrinking runs shorter sequences, and what is seen in them was not seen in the campaign."""
    result = integration.run(model=Failing, adapter=Mock, seed=1, max_runs=2, max_commands=12)
    [finding] = result.failures

    assert finding.shrunk is not None
    assert 4 == len(finding.trace.steps)
    assert finding.shrunk.executions > 0
    assert 0 == result.coverage.labels["short"]
    assert 2 == result.coverage.labels["end"] == result.coverage.runs
    assert {"ask": 24} == result.coverage.commands


def test_label_of_a_sequence_that_is_run_several_times_counts_once():
    """A sequence with branches is run again and again, and is one run; all of its steps count."""

    class Named(Vault):
        @invariant
        def named(self) -> None:
            self.label("seen")

    with VaultService() as service:
        result = integration.run(
            model=Named, adapter=VaultApi, base_url=service.url, seed=1, max_runs=3, parallel=Parallel(2, 2), repeat=4
        )
    resets = sum(count for (_, path, _), count in result.coverage.endpoints.items() if path == "/reset")

    assert (3, 3) == (result.total_runs, result.coverage.runs)
    assert {"seen": 3} == result.coverage.labels
    assert 12 == resets
    assert result.steps == result.coverage.commands.total()
    assert result.requests == result.coverage.endpoints.total()


class Empty(Command, idempotent="at once"):
    pass


class Emptied(Event):
    pass


class Nothing(Event):
    pass


class Box(Model):
    """Names what it expects, and what it sees."""

    commands: ClassVar = (Empty,)
    is_full: bool = True

    @expects
    def empty(self, cmd: Empty) -> Emptied | Nothing:
        self.label("full" if self.is_full else "empty")
        return Emptied() if self.is_full else Nothing()

    @on
    def emptied(self, event: Emptied) -> None:
        self.is_full = False

    @invariant
    def seen(self) -> None:
        self.label("seen")


class BoxApi(Adapter[Box]):
    def reset(self) -> None:
        self.is_full = True

    @handles
    def empty(self, cmd: Empty) -> Emptied | Nothing:
        answer = Emptied() if self.is_full else Nothing()
        self.is_full = False
        return answer


def test_label_of_what_is_expected_of_a_repetition_is_not_counted():
    """What the model would expect of a command that is sent again is not what happens; what comes after it is."""
    tally: Counter[tuple[str, str]] = Counter()
    calls = (Call(label=0, tag="empty"), Call(label=1, tag="empty", repeats=0))
    with Client(HOST) as client:
        trace = execute(Box, BoxApi(client), Fixed(calls), tally=tally)

    assert ("passed", ["emptied", "nothing"]) == (trace.ending, [each.event.tag for each in trace.steps])
    assert {"full": 1, "seen": 2} == {name: count for (role, name), count in tally.items() if role == "label"}


def test_tables_of_labels_are_bounded_and_say_so():
    """A run, and a campaign, keep so many labels, and so much of each; runs with more of them are counted."""

    class Chatty(Shop):
        @check(at="end")
        def talk(self) -> None:
            for number in range(MAX_LABELS + 5):
                self.label(f"{number} {'x' * MAX_LABEL}")

    class Endless(Shop):
        @check(at="end")
        def talk(self) -> None:
            self.label(f"label {next(numbers)}")

    numbers = iter(range(MAX_LABELS * 2))
    chatty = integration.run(model=Chatty, adapter=Mock, seed=1, max_runs=2, max_commands=1).coverage
    endless = integration.run(model=Endless, adapter=Mock, seed=1, max_runs=MAX_LABELS + 3, max_commands=1).coverage

    assert 2 == chatty.labels_left_out
    assert {2} == set(chatty.labels.values())
    assert MAX_LABELS >= len(chatty.labels) > MAX_LABELS - 20
    assert MAX_LABEL == max(map(len, chatty.labels))
    assert MAX_LABELS == len(endless.labels)
    assert endless.labels_left_out > 0


# --- what is required ---------------------------------------------------------------------------


def test_what_is_lacking_is_said_rounded_down():
    """Only all is 100 %, and what is not required is not lacking."""
    seen = [("open", "opened"), ("open", "refused"), ("close", "closed"), ("close", "refused")]
    coverage = covered(tuple(step(label, *each) for label, each in enumerate(seen)), tally={("invariant", "sane"): 1})

    assert [] == coverage.lacking({"commands": 50, "checks": 25, "outcomes": 200 / 3, "transitions": 18.75})
    assert [
        "coverage of outcomes is 66 %, 67 % were asked for",
        "coverage of transitions is 18 %, 18.8 % were asked for",
    ] == coverage.lacking({"commands": 0, "outcomes": 67, "transitions": 18.8})


def test_of_nothing_all_is_covered():
    """A model without checks has no check that was not looked at."""

    class Mute(Model):
        commands: ClassVar = (Ask,)

    coverage = Coverage.of(Mute, Mock)

    assert (0, 100.0) == (coverage.total("checks"), coverage.percent("checks"))
    assert [] == coverage.lacking({"checks": 100, "outcomes": 100})


@pytest.mark.parametrize(
    ("texts", "required"),
    [
        ([], {}),
        (["100"], {"commands": 100, "checks": 100}),
        (["outcomes=87.5", " transitions = 50 % "], {"outcomes": 87.5, "transitions": 50}),
        (["90", "outcomes=0"], {"commands": 90, "checks": 90, "outcomes": 0}),
    ],
)
def test_requirements_are_read(texts: list[str], required: dict[str, float]):
    """A percentage alone is about commands and checks."""
    assert required == requirements(texts)


@pytest.mark.parametrize(
    "texts",
    [[""], ["all"], ["="], ["=90"], ["outcomes"], ["outcomes="], ["lines=3"], ["101"], ["-1"], ["nan"], ["inf"],
     ["90", "checks=3"], ["outcomes=1", "outcomes=2"], ["90", "90"]],
)  # fmt: skip
def test_requirements_that_make_no_sense_are_usage_errors(texts: list[str]):
    """A kind that is none, a percentage that is none, and what is said twice are told."""
    with pytest.raises(UsageError):
        requirements(texts)


def test_result_without_the_coverage_that_was_required_is_no_success():
    """What was not exercised was not judged; an unknown kind is told before anything runs."""

    def code(**required: float) -> int:
        return integration.run(model=Shop, adapter=Mock, seed=1, max_runs=2, require_coverage=required).exit_code

    assert [0, 0, 125] == [code(), code(commands=100, checks=100, outcomes=50), code(outcomes=51)]
    for wrong in ({"lines": 100}, {"commands": 101}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            code(**wrong)


def test_failure_goes_before_coverage_that_is_lacking():
    """Something was found, whatever else was not looked at."""
    result = integration.run(
        model=Failing, adapter=Mock, seed=1, max_runs=2, require_coverage={"outcomes": 100}
    )  # fmt: skip

    assert 1 == result.exit_code


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ((404, 404), "every request was answered 404: is the base path missing?"),
        ((401, 403), "every request was answered 401 or 403: are the credentials missing?"),
        ((404, 200), ""),
        ((), ""),
    ],
)
def test_who_lets_no_command_in_is_told(statuses: tuple[int, ...], said: str):
    """Where every request of a command is refused as one that came to the wrong place, verdict and warning say so."""
    result = integration.run(model=Shop, adapter=Mock, seed=1, max_runs=1, max_commands=1)
    result.coverage.answers.update(map(str, statuses))

    assert bool(said) == (f"Warning: {said}" in terminal.render(result).splitlines())
    assert f"1 run, nothing found{f'; {said}' if said else ''}" == terminal.verdict(result)


def test_answers_to_commands_are_counted_and_a_journal_has_them():
    """What resets or reads is not counted; the status of each answer to a command is."""
    request = Request(method="GET", url="http://127.0.0.1:1/x", headers=(), body=b"")
    refused = Interaction(
        request=request, response=Response(status=404, reason="", version="HTTP/1.1", headers=(), body=b""), elapsed=0.0
    )
    fine = refused.replace(response=Response(status=200, reason="", version="HTTP/1.1", headers=(), body=b""))
    asked = Step(call=Call(label=0, tag="ask"), interactions=(refused,), observing=(fine,))
    coverage, again = Coverage(), Coverage()
    coverage.fold(Trace(steps=(asked,), resetting=(fine,), closing=(fine,), ending="passed"), Refs())
    new, seen = Entries().added(coverage, coverage)
    Entries().read(RanLine(run=1, at=0, seconds=0, ending="passed", steps=1, requests=4, new=new, seen=seen), again)

    assert ["404"] == coverage.refusals
    assert coverage.answers == again.answers
