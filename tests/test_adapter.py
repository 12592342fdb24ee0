"""Adapters: they fit their model when their class is made, and their settings are read from text."""

import enum
import types
from typing import Any, ClassVar, Literal

import pytest

from replaykit import (
    Adapter,
    Command,
    Entity,
    Event,
    Mock,
    Model,
    Observation,
    Ref,
    check,
    expects,
    handles,
    observes,
    on,
    recovers,
)
from replaykit import like as some
from replaykit.adapter import check_fit, check_predicts, read_settings, settings_of
from replaykit.client import Client
from replaykit.errors import DefinitionError, UsageError


class Player(Entity):
    pass


class Create(Command):
    name: str


class Rename(Command):
    name: str


class Remove(Command):
    name: str


class Created(Event):
    player: Ref[Player]


class Renamed(Event):
    name: str


class Gone(Event):
    pass


class Board(Observation):
    rows: list[str]


class Prizes(Observation):
    first: str


class Small(Model):
    commands: ClassVar = (Create,)
    players: list[Ref[Player]] = []  # noqa: RUF012

    @on
    def created(self, event: Created) -> None:
        self.players.append(event.player)


class Full(Small):
    commands: ClassVar = (Create, Rename, Remove)

    @on
    def renamed(self, event: Renamed) -> None:
        """Fold it."""

    @check
    def listed(self, board: Board) -> None:
        """Look."""


class SmallApi(Adapter[Small]):
    @handles
    def create(self, cmd: Create) -> Created:
        return Created(player=self.ref(Player, 17))


class FullApi(SmallApi, Adapter[Full]):
    @handles
    def change(self, cmd: Rename | Remove) -> Renamed | Gone:
        return Renamed(name=cmd.name) if isinstance(cmd, Rename) else Gone()

    @observes
    def board(self) -> Board:
        return Board(rows=["a"])


@pytest.fixture
def client():
    """Give a client of nothing: what is tested here sends no request."""
    with Client("http://127.0.0.1:9") as made:
        yield made


# --- mistakes that are found when the class is made ---------------------------------------------


def command_without_a_handler() -> None:
    class Wrong(SmallApi, Adapter[Full]):
        @handles
        def spoken(self, cmd: Rename) -> Renamed:
            return Renamed(name="a")

        @observes
        def board(self) -> Board:
            return Board(rows=[])


def check_without_a_reader() -> None:
    class Wrong(SmallApi, Adapter[Full]):
        @handles
        def spoken(self, cmd: Rename | Remove) -> Renamed:
            return Renamed(name="a")


def two_handlers() -> None:
    class Wrong(SmallApi):
        @handles
        def spoken(self, cmd: Create) -> Created:
            return Created(player=self.ref(Player, 1))


def two_readers() -> None:
    class Wrong(FullApi):
        @observes
        def spoken(self) -> Board:
            return Board(rows=[])


def handler_of_no_command() -> None:
    class Wrong(SmallApi):
        @handles
        def spoken(self, cmd: Renamed) -> Renamed:
            return cmd


def handler_of_nothing() -> None:
    class Wrong(SmallApi):
        @handles
        def spoken(self) -> Renamed:
            return Renamed(name="a")


def handler_that_returns_no_event() -> None:
    class Wrong(SmallApi):
        @handles
        def spoken(self, cmd: Rename) -> str:
            return "renamed"


def handler_that_may_return_nothing() -> None:
    class Wrong(SmallApi):
        @handles
        def spoken(self, cmd: Rename) -> Renamed | None:
            return None


def handler_without_an_annotation() -> None:
    class Wrong(SmallApi):
        @handles
        def spoken(self, cmd: Rename):
            return Renamed(name="a")


def parameter_without_an_annotation() -> None:
    class Wrong(SmallApi):
        @handles
        def spoken(self, cmd) -> Renamed:
            return Renamed(name="a")


def annotation_that_can_not_be_resolved() -> None:
    class Wrong(SmallApi):
        @handles
        def spoken(self, cmd: "Nowhere") -> Renamed:  # noqa: F821
            return Renamed(name="a")


def reader_without_an_annotation() -> None:
    class Wrong(SmallApi):
        @observes
        def spoken(self):
            return Board(rows=[])


def reader_of_two() -> None:
    class Wrong(SmallApi):
        @observes
        def spoken(self) -> Board | Prizes:
            return Board(rows=[])


def reader_with_a_parameter() -> None:
    class Wrong(SmallApi):
        @observes
        def spoken(self, name: str) -> Prizes:
            return Prizes(first=name)


def reader_of_no_observation() -> None:
    class Wrong(SmallApi):
        @observes
        def spoken(self) -> Renamed:
            return Renamed(name="a")


def decorator_of_a_model() -> None:
    class Wrong(SmallApi):
        @on
        def spoken(self, event: Renamed) -> None:
            """Fold it."""


def two_decorators() -> None:
    class Wrong(SmallApi):
        @handles
        @observes
        def spoken(self) -> Board:
            return Board(rows=[])


@pytest.mark.parametrize(
    ("define", "told"),
    [
        (two_handlers, ["Wrong handles Create in two methods: create and spoken", "Keep one"]),
        (two_readers, ["Wrong reads Board in two methods: board and spoken", "Keep one"]),
        (handler_of_no_command, ["Wrong.spoken", "Renamed", "no Command", "subclass of Command"]),
        (handler_of_nothing, ["Wrong.spoken takes 0 parameters", "It takes one: a command"]),
        (handler_that_returns_no_event, ["Wrong.spoken", "str", "no Event", "-> Created | Rejected"]),
        (handler_that_may_return_nothing, ["Wrong.spoken", "NoneType", "no Event"]),
        (handler_without_an_annotation, ["Wrong.spoken", "what it returns", "Annotate it"]),
        (parameter_without_an_annotation, ["Wrong.spoken", "cmd", "Annotate it"]),
        (annotation_that_can_not_be_resolved, ["Wrong.spoken", "Nowhere", "TYPE_CHECKING"]),
        (reader_without_an_annotation, ["Wrong.spoken", "what it returns", "-> Board"]),
        (reader_of_two, ["Wrong.spoken", "which observation"]),
        (reader_with_a_parameter, ["Wrong.spoken", "which observation"]),
        (reader_of_no_observation, ["Wrong.spoken", "which observation"]),
        (decorator_of_a_model, ["Wrong.spoken", "@on", "Move it to the Model"]),
        (two_decorators, ["spoken", "two decorators", "a method of its own"]),
        (command_without_a_handler, ["Wrong has no handler for Remove", "@handles def ...(self, cmd: Remove)"]),
        (check_without_a_reader, ["Full.listed reads Board", "Wrong can't", "@observes def ...(self) -> Board"]),
    ],
)
def test_a_mistake_is_told_when_the_class_is_made(define, told):
    """The message names the method and what it is about, and says what to do."""
    with pytest.raises(DefinitionError) as caught:
        define()

    assert [] == [words for words in told if words not in str(caught.value)]
    assert "" != caught.value.todo


def test_an_event_that_no_handler_returns_is_told():
    """A model that waits for an event that never comes is not well made."""
    with pytest.raises(
        DefinitionError, match=r"Small\.created waits for Created, which no handler of Silent"
    ) as caught:

        class Silent(Adapter[Small]):
            @handles
            def create(self, cmd: Create) -> Gone:
                return Gone()

    assert "-> ... | Created" in caught.value.todo


def test_an_event_of_a_subclass_is_never_lost():
    """A handler that returns a subclass of the event that a model waits for is refused, or is heard of."""
    warm = type("Warm", (Created,), {"__module__": __name__})

    def create(self, cmd):
        return warm(player=self.ref(Player, 17))

    create.__annotations__ = {"cmd": Create, "return": warm}
    try:
        types.new_class("Warmer", (Adapter[Small],), {}, lambda names: names.update(create=handles(create)))
    except DefinitionError:
        return
    state = Small()
    state.apply(warm(player=Ref("player@1")))

    assert [Ref("player@1")] == state.players


# --- dispatch -----------------------------------------------------------------------------------


def test_an_adapter_knows_its_model():
    """The model stands in the brackets of the base class, and is inherited."""
    heir = type("Heir", (FullApi,), {})

    assert [Small, Full, Full] == [SmallApi.model, FullApi.model, heir.model]
    assert {Create: "create", Rename: "change", Remove: "change"} == FullApi.handlers
    assert {Board: "board"} == FullApi.observers


def test_commands_are_said_by_the_method_that_takes_them(client):
    """One method may say several commands, written as a union."""
    api = FullApi(client)

    assert Renamed(name="b") == api.perform(Rename(name="b"))
    assert Gone() == api.perform(Remove(name="b"))
    assert Board(rows=["a"]) == api.observe(Board)


def test_an_adapter_can_say_more_than_a_model_needs():
    """A model with fewer commands runs with the adapter of the larger one."""
    check_fit(Small, FullApi)

    with pytest.raises(DefinitionError, match="SmallApi has no handler for Rename"):
        check_fit(Full, SmallApi)


def test_what_is_no_event_is_told(client):
    """A handler that returns something else than an event is named, with what it returned."""

    class Wrong(SmallApi):
        @handles
        def create(self, cmd: Create) -> Created:
            return "created"

    with pytest.raises(TypeError, match=r"Wrong\.create returned 'created', which is no Event"):
        Wrong(client).perform(Create(name="a"))


def test_what_is_no_observation_is_told(client):
    """A reader that returns something else than its observation is named, with what it returned."""

    class Wrong(FullApi):
        @observes
        def board(self) -> Board:
            return None

    with pytest.raises(TypeError, match=r"Wrong\.board returned None, which is no Board"):
        Wrong(client).observe(Board)


def test_refs_are_named_by_the_step_that_is_run(client):
    """The adapter gives the service's id, and the ref is named by the step."""
    api = SmallApi(client)
    api.refs.step = 4

    assert "player@4" == api.perform(Create(name="a")).player.label
    assert 17 == api.refs.named("player@4").id


def test_two_adapters_share_no_refs(client):
    """What one run made is not known in the next."""
    first, second = SmallApi(client), SmallApi(client)
    first.refs.step = 4
    first.perform(Create(name="a"))

    assert [] == second.refs.of("player")


# --- settings -----------------------------------------------------------------------------------


class Mode(enum.Enum):
    FAST = "fast"


class Settled(SmallApi):
    kind: ClassVar[str] = "class"
    other_kind: ClassVar = "class"
    token: str
    timeout = 2.5
    retries: int = 3
    verbose: bool = False
    names: list[str] = []  # noqa: RUF012
    limits: dict[str, int] = {}  # noqa: RUF012
    colour: Literal["red", "blue"] = "red"
    mode: Mode = Mode.FAST
    maybe: int | None = None
    _hidden: int = 0
    plain = "no annotation"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def auth(self) -> tuple[str, str]:
        return ("user", self.token)


def test_settings_are_the_annotated_attributes():
    """Annotated attributes are settings, but for class variables, hidden ones, and those of ours."""
    wanted = {"timeout", "token", "retries", "verbose", "names", "limits", "colour", "mode", "maybe"}

    assert wanted == settings_of(Settled).keys()
    assert {"timeout"} == settings_of(SmallApi).keys()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("token", "12", "12"),
        ("token", "", ""),
        ("token", '{"a": 1}', '{"a": 1}'),
        ("timeout", "3", 3.0),
        ("timeout", "0.25", 0.25),
        ("retries", "7", 7),
        ("verbose", "true", True),
        ("verbose", "no", False),
        ("names", '["a", "b"]', ["a", "b"]),
        ("limits", '{"a": 1}', {"a": 1}),
        ("colour", "blue", "blue"),
        ("mode", "fast", Mode.FAST),
        ("maybe", "5", 5),
    ],
)
def test_settings_are_read_into_their_types(client, name, text, value):
    """A text becomes what the annotation says, and stands in the adapter."""
    api = Settled(client, {"token": "x", name: text})

    assert value == getattr(api, name)
    assert type(value) is type(getattr(api, name))


def test_settings_have_defaults(client):
    """What is not set stays as the class has it."""
    api = Settled(client, {"token": "x"})

    assert (2.5, 3, False, "red") == (api.timeout, api.retries, api.verbose, api.colour)
    assert 10.0 == SmallApi(client).timeout


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"token": "x", "tokn": "y"}, ["Settled has no setting 'tokn'", "token", "retries"]),
        ({"token": "x", "http": "y"}, ["no setting 'http'"]),
        ({"token": "x", "_hidden": "1"}, ["no setting '_hidden'"]),
        ({"token": "x", "retries": "many"}, ["The setting retries of Settled can't be 'many'", "integer"]),
        ({"token": "x", "colour": "green"}, ["The setting colour", "'green'", "'red'"]),
        ({}, ["Settled needs the setting token", "--set token=VALUE"]),
    ],
)
def test_wrong_settings_are_told(client, settings, told):
    """An unknown, a wrong or a missing setting is named, with what to write."""
    with pytest.raises(UsageError) as caught:
        Settled(client, settings)

    assert [] == [words for words in told if words not in str(caught.value)]


def test_settings_of_one_adapter_are_its_own(client):
    """A setting of one adapter leaves its class and the next adapter as they were."""
    Settled(client, {"token": "x", "retries": "9"})

    assert 3 == Settled(client, {"token": "y"}).retries
    assert {"retries": 9, "token": "x"} == read_settings(Settled, {"retries": "9", "token": "x"})


def test_headers_and_authentication_follow_the_settings(client):
    """An adapter says what each request carries; by default, nothing."""
    api = Settled(client, {"token": "s3cret"})

    assert {"Authorization": "Bearer s3cret"} == api.headers()
    assert ("user", "s3cret") == api.auth()
    assert ({}, None) == (SmallApi(client).headers(), SmallApi(client).auth())


# --- the model as its own service ---------------------------------------------------------------


class Foretold(Small):
    @expects
    def foretell(self, cmd: Create) -> Created | Gone:
        return (Gone(),) if cmd.name == "" else some(Created)


class Answer(Event):
    number: int
    note: str = "kept"
    name: Literal["a", "b"]


class Filled(Model):
    commands: ClassVar = (Rename,)

    @expects
    def answer(self, cmd: Rename) -> Answer:
        return some(Answer, number=5)


def test_a_mock_answers_what_the_model_expects():
    """What is left open is made up, refs are bound by the step, and the first admissible event is taken."""
    mock = Mock(Foretold)
    mock.refs.step = 2
    answers: list[Any] = [mock.perform(Create(name="")), mock.perform(Create(name="a")), mock.perform(Create(name="b"))]

    assert Gone() == answers[0]
    assert ["player@2", "player@2"] == [answer.player.label for answer in answers[1:]]
    assert None is mock.observe(Board)


def test_a_mock_fills_open_fields_from_their_types():
    """A field without a default is generated, the same in each run; one with a default keeps it."""
    first, second = Mock(Filled).perform(Rename(name="x")), Mock(Filled).perform(Rename(name="x"))

    assert first == second
    assert (5, "kept") == (first.number, first.note)


def test_a_mock_begins_again():
    """Resetting a mock forgets what the model was told."""
    mock = Mock(Foretold)
    mock.refs.step = 0
    mock.perform(Create(name="a"))
    mock.reset()

    assert [] == mock._state.players


def test_a_model_without_expectations_has_no_mock():
    """A run without a service needs an `@expects` for every command, and the message names the missing one."""
    check_predicts(Foretold)

    with pytest.raises(DefinitionError, match="Small does not say what it expects of Create") as caught:
        check_predicts(Small)
    assert "@expects" in caught.value.todo


@pytest.mark.parametrize("name", ["perform", "observe", "ref", "headers", "handlers", "timeout"])
def test_handler_with_a_name_that_is_kept_is_told(name: str):
    """A handler that would take the place of what the engine calls is told when the class is made."""

    def create(self: Any, cmd: Create) -> Created: ...

    with pytest.raises(DefinitionError, match=f"SmallApi.{name} has a name that replaykit keeps for itself"):
        type("SmallApi", (Adapter,), {name: handles(create), "__module__": __name__})


# --- what became of a lost answer ---------------------------------------------------------------


class Lossy(Full):
    """The model of an adapter that finds out."""


def finds_out_about_no_command():
    class Wrong(Adapter[Lossy]):
        @recovers
        def found(self, cmd: Created) -> Created | None: ...


def finds_out_what_is_no_event():
    class Wrong(Adapter[Lossy]):
        @recovers
        def found(self, cmd: Create) -> Board | None: ...


def finds_out_without_a_word():
    class Wrong(Adapter[Lossy]):
        @recovers
        def found(self, cmd: Create): ...


def finds_out_in_two_methods():
    class Wrong(Adapter[Lossy]):
        @recovers
        def found(self, cmd: Create) -> Created | None: ...

        @recovers(within=1)
        def other(self, cmd: Create | Remove) -> Created | Gone | None: ...


@pytest.mark.parametrize(
    ("define", "told"),
    [
        (finds_out_about_no_command, ["Wrong.found", "no Command"]),
        (finds_out_what_is_no_event, ["Wrong.found", "Board", "-> Held | None"]),
        (finds_out_without_a_word, ["Wrong.found does not say what it returns"]),
        (finds_out_in_two_methods, ["Wrong finds out about Create in two methods: found and other."]),
    ],
)
def test_a_mistake_in_what_finds_out_is_told(define, told):
    """It is told when the class is made."""
    with pytest.raises(DefinitionError) as caught:
        define()

    assert [] == [words for words in told if words not in str(caught.value)]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "1", None])
def test_the_time_in_which_is_found_out_is_a_number_of_seconds(seconds: Any):
    """What is no number above 0 is told where it is written."""
    with pytest.raises(DefinitionError, match=r"(?s)@recovers\(within=.*Give it seconds"):
        recovers(within=seconds)


def test_an_adapter_finds_out_by_the_method_that_takes_the_command(client):
    """A method may be for several, has its time, and is inherited or written anew; None and events may be returned."""

    class Finding(Adapter[Small]):
        @handles
        def create(self, cmd: Create) -> Created: ...

        @recovers
        def created(self, cmd: Create) -> Created | None:
            return None

        @recovers(within=2)
        def others(self, cmd: Rename | Remove) -> Renamed | Gone:
            return Gone()

    class Anew(Finding):
        @recovers(within=7)
        def created(self, cmd: Create) -> Created | None:
            return Created(player=self.ref(Player, 3))

    assert {Create: ("created", 0.25), Rename: ("others", 2.0), Remove: ("others", 2.0)} == Finding.recoverers
    assert ("created", 7.0) == Anew.recoverers[Create]
    assert (None, Gone()) == tuple(Finding(client).recover(each) for each in (Create(name="a"), Remove(name="a")))
    assert Anew(client).recover(Create(name="a")) is not None


def test_what_finds_out_no_event_is_told(client):
    """A handler that returns something else is told by its name."""

    class Odd(Adapter[Small]):
        @handles
        def create(self, cmd: Create) -> Created: ...

        @recovers
        def created(self, cmd: Create) -> Created | None:
            return 3  # type: ignore[return-value]

    with pytest.raises(TypeError, match=r"Odd\.created returned 3, which is no Event"):
        Odd(client).recover(Create(name="a"))
