"""Models: mistakes are found when the class is made, and methods are found by what they take."""

import copy
import json
import pickle
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pytest

from replaykit import (
    Command,
    Entity,
    Event,
    Mock,
    Model,
    Observation,
    Ref,
    check,
    eventually,
    expects,
    fail,
    fault,
    gen,
    handles,
    integration,
    invariant,
    like,
    on,
    requires,
)
from replaykit import like as some
from replaykit.errors import DefinitionError
from replaykit.model import CheckFailedError, Prediction, ReturnedError, count_labels, digest_of
from replaykit.value import copied, text_of

if TYPE_CHECKING:
    from decimal import Decimal


class Player(Entity):
    points: int = 0


class Create(Command):
    name: str


class Rename(Command):
    player: Ref[Player]
    name: str


class Remove(Command):
    player: Ref[Player]


class Created(Event):
    player: Ref[Player]
    name: str


class Renamed(Event):
    name: str


class Rejected(Event):
    status: int


class Board(Observation):
    rows: list[str]


class Game(Model):
    commands: ClassVar = (Create, Rename, Remove)
    players: dict[Ref[Player], Player] = {}  # noqa: RUF012
    log: list[str] = []  # noqa: RUF012

    @requires
    def named(self, cmd: Create | Rename) -> bool:
        return cmd.name != ""

    @requires
    def short(self, cmd: Create) -> bool:
        return len(cmd.name) < 5

    @expects
    def rename(self, cmd: Rename) -> Renamed | Rejected:
        return Renamed(name=cmd.name), Rejected(status=409)

    @expects
    def create(self, cmd: Create) -> Created:
        return like(Created, name=cmd.name)

    @on
    def created(self, event: Created) -> None:
        self.players[event.player] = Player()

    @on
    def noted(self, event: Renamed | Rejected) -> None:
        self.log.append(event.tag)

    @invariant
    def few(self) -> None:
        assert len(self.players) < 9

    @check(every=2)
    def listed(self, board: Board) -> None:
        assert len(board.rows) == len(self.players)

    @check(on=Create, at="step")
    def quiet(self) -> None:
        return None


def ref(label: str) -> Ref[Player]:
    return Ref(label, label)


# --- mistakes that are found when the class is made ---------------------------------------------


def on_what_is_no_event() -> None:
    class Wrong(Model):
        @on
        def folded(self, event: Create) -> None:
            """Take a command."""


def on_two_parameters() -> None:
    class Wrong(Model):
        @on
        def folded(self, event: Created, other: Renamed) -> None:
            """Take two events."""


def on_that_returns() -> None:
    class Wrong(Model):
        @on
        def folded(self, event: Created) -> int:
            return 1


def on_twice_for_one_event() -> None:
    class Wrong(Model):
        @on
        def first(self, event: Created) -> None:
            """Be the first."""

        @on
        def folded(self, event: Created | Renamed) -> None:
            """Be the second."""


def expects_twice_for_one_command() -> None:
    class Wrong(Model):
        @expects
        def first(self, cmd: Create) -> Created:
            return like(Created)

        @expects
        def folded(self, cmd: Create) -> Created:
            return like(Created)


def expects_twice_through_inheritance() -> None:
    class Wrong(Game):
        @expects
        def folded(self, cmd: Create) -> Created:
            return like(Created)


def expects_nothing() -> None:
    class Wrong(Model):
        @expects
        def folded(self, cmd: Create) -> None:
            """Expect nothing."""


def expects_without_an_annotation() -> None:
    class Wrong(Model):
        @expects
        def folded(self, cmd: Create):
            return like(Created)


def requires_an_event() -> None:
    class Wrong(Model):
        @requires
        def folded(self, cmd: Created) -> bool:
            return True


def requires_that_returns_no_bool() -> None:
    class Wrong(Model):
        @requires
        def folded(self, cmd: Create) -> str:
            return "yes"


def invariant_that_returns_by_annotation() -> None:
    class Wrong(Model):
        @invariant
        def folded(self) -> bool: ...


def invariant_that_returns_by_body() -> None:
    class Wrong(Model):
        @invariant
        def folded(self):
            return len(self.__dict__) == 0


def invariant_that_returns_inside_of_an_if() -> None:
    class Wrong(Model):
        @invariant
        def folded(self) -> None:
            if self.__dict__:
                for _ in ():
                    return False
            return None


def invariant_with_a_parameter() -> None:
    class Wrong(Model):
        @invariant
        def folded(self, board: Board) -> None:
            """Look at the service."""


def check_that_returns_by_annotation() -> None:
    class Wrong(Model):
        @check
        def folded(self, board: Board) -> bool: ...


def check_that_returns_by_body() -> None:
    class Wrong(Model):
        @check(at="end")
        def folded(self, board: Board):
            return board.rows == []


def check_that_is_a_generator() -> None:
    class Wrong(Model):
        @check
        def folded(self) -> None:
            yield


def check_that_is_a_generator_by_annotation() -> None:
    class Wrong(Model):
        @check
        def folded(self) -> Iterator[None]:
            yield from ()


def check_that_is_a_coroutine() -> None:
    class Wrong(Model):
        @check
        async def folded(self) -> None:
            """Look later."""


def check_of_what_is_no_observation() -> None:
    class Wrong(Model):
        @check
        def folded(self, board: Created) -> None:
            """Look at an event."""


def check_of_two_observations() -> None:
    class Wrong(Model):
        @check
        def folded(self, board: Board, other: Board) -> None:
            """Look at two things."""


def eventually_without_an_observation() -> None:
    class Wrong(Model):
        @eventually
        def folded(self) -> None:
            """Wait for nothing."""


def eventually_of_two_observations() -> None:
    class Wrong(Model):
        @eventually(within=1)
        def folded(self, board: Board, other: Board) -> None:
            """Wait for two things."""


def eventually_of_what_is_no_observation() -> None:
    class Wrong(Model):
        @eventually
        def folded(self, board: Created) -> None:
            """Wait for an event."""


def eventually_that_returns() -> None:
    class Wrong(Model):
        @eventually
        def folded(self, board: Board):
            return board.rows == []


def eventually_on_what_is_no_message() -> None:
    class Wrong(Model):
        @eventually(on=(Create, Board))
        def folded(self, board: Board) -> None:
            """Wait after an observation."""


def eventually_and_check() -> None:
    class Wrong(Model):
        @eventually
        @check
        def folded(self, board: Board) -> None:
            """Be both."""


def check_on_what_is_no_message() -> None:
    class Wrong(Model):
        @check(on=Board)
        def folded(self) -> None:
            """Look after an observation."""


def parameter_without_annotation() -> None:
    class Wrong(Model):
        @on
        def folded(self, event) -> None:
            """Take anything."""


def annotation_that_can_not_be_resolved() -> None:
    class Wrong(Model):
        @on
        def folded(self, event: "Nowhere") -> None:  # noqa: F821
            """Take what is not there."""


def annotation_of_type_checking_only() -> None:
    class Wrong(Model):
        @requires
        def folded(self, cmd: "Decimal") -> bool:
            return True


def decorator_of_an_adapter() -> None:
    class Wrong(Model):
        @handles
        def folded(self, cmd: Create) -> Created:
            return like(Created)


def two_decorators() -> None:
    class Wrong(Model):
        @requires
        @expects
        def folded(self, cmd: Create) -> Created:
            return like(Created)


def check_and_invariant() -> None:
    class Wrong(Model):
        @check(every=2)
        @invariant
        def folded(self) -> None:
            """Be both."""


@pytest.mark.parametrize(
    "define",
    [
        on_what_is_no_event,
        on_two_parameters,
        on_that_returns,
        on_twice_for_one_event,
        expects_twice_for_one_command,
        expects_twice_through_inheritance,
        expects_nothing,
        expects_without_an_annotation,
        requires_an_event,
        requires_that_returns_no_bool,
        invariant_that_returns_by_annotation,
        invariant_that_returns_by_body,
        invariant_that_returns_inside_of_an_if,
        invariant_with_a_parameter,
        check_that_returns_by_annotation,
        check_that_returns_by_body,
        check_that_is_a_generator,
        check_that_is_a_generator_by_annotation,
        check_that_is_a_coroutine,
        check_of_what_is_no_observation,
        check_of_two_observations,
        check_on_what_is_no_message,
        parameter_without_annotation,
        annotation_that_can_not_be_resolved,
        annotation_of_type_checking_only,
        decorator_of_an_adapter,
        two_decorators,
        check_and_invariant,
        eventually_without_an_observation,
        eventually_of_two_observations,
        eventually_of_what_is_no_observation,
        eventually_that_returns,
        eventually_on_what_is_no_message,
        eventually_and_check,
    ],
)
def test_a_mistake_in_a_method_is_told_when_the_class_is_made(define):
    """The message names the method, and says what to do."""
    with pytest.raises(DefinitionError) as caught:
        define()

    assert "folded" in caught.value.happened
    assert "" != caught.value.todo


@pytest.mark.parametrize(
    ("define", "told"),
    [
        (on_twice_for_one_event, ["Created", "first", "folded", "Keep one"]),
        (expects_twice_for_one_command, ["Wrong", "Create", "first", "folded", "Keep one"]),
        (expects_twice_through_inheritance, ["Create", "create", "folded"]),
        (on_what_is_no_event, ["Wrong.folded", "Create", "no Event", "subclass of Event"]),
        (invariant_that_returns_by_body, ["Wrong.folded", "returns a value", "does not raise"]),
        (check_that_is_a_generator, ["Wrong.folded", "generator function", "checks nothing"]),
        (invariant_with_a_parameter, ["board", "make it a @check"]),
        (eventually_without_an_observation, ["Wrong.folded", "an observation"]),
        (parameter_without_annotation, ["event", "Annotate it"]),
        (annotation_that_can_not_be_resolved, ["Nowhere", "TYPE_CHECKING"]),
        (decorator_of_an_adapter, ["belong to the Adapter"]),
        (two_decorators, ["two decorators"]),
        (expects_nothing, ["-> Created | Rejected"]),
    ],
)
def test_a_mistake_is_told_with_what_it_is_about(define, told):
    """The message names the messages and the methods that the mistake is about."""
    with pytest.raises(DefinitionError) as caught:
        define()

    assert [] == [words for words in told if words not in str(caught.value)]


@pytest.mark.parametrize("arguments", [{"within": "1s"}, {"within": True}, {"every": None}, {"within": [1]}])
def test_a_wait_is_a_number_of_seconds(arguments):
    """Anything else is told as it was written."""
    with pytest.raises(DefinitionError, match="Both are seconds"):
        eventually(**arguments)


def test_a_wait_is_named():
    """A number that stands alone is told with how to name it."""
    with pytest.raises(DefinitionError, match=r"@eventually\(within=\.\.\.\)"):
        eventually(0.6)


@pytest.mark.parametrize("decorator", [check, eventually, on, requires, expects, invariant])
def test_a_decorator_of_no_method_is_told(decorator):
    """What stands alone in the place of the method is shown, whatever the decorator."""
    with pytest.raises(DefinitionError, match=r"\(3\) decorates no method"):
        decorator(3)


@pytest.mark.parametrize("commands", [[Create], Create, (Create, Created), ("Create",), None, (Create(name="a"),)])
def test_commands_are_a_tuple_of_command_classes(commands):
    """Anything else in `commands` is told with how to write it."""
    with pytest.raises(DefinitionError, match=r"Wrong\.commands is") as caught:
        type(
            "Wrong", (Model,), {"__module__": __name__, "__annotations__": {"commands": ClassVar}, "commands": commands}
        )

    assert "commands: ClassVar = (" in caught.value.todo


@pytest.mark.parametrize("keywords", [{"tag": "create"}, {"aliases": ("create",)}])
def test_two_commands_with_one_tag_are_refused(keywords):
    """A tag or an alias means one command in a model."""
    other = type("Other", (Command,), {"__module__": __name__}, **keywords)

    with pytest.raises(DefinitionError, match="'create': Create and Other"):
        type("Wrong", (Model,), {"__annotations__": {"commands": ClassVar}, "commands": (Create, other)})


def test_a_command_that_can_not_be_generated_is_found_when_the_model_is_made():
    """The message names the command and its field."""
    odd = type("Odd", (Command,), {"__module__": __name__, "__annotations__": {"what": bytes}})

    with pytest.raises(DefinitionError, match=r"Odd\.what"):
        type("Wrong", (Model,), {"__annotations__": {"commands": ClassVar}, "commands": (odd,)})


@pytest.mark.parametrize(
    ("decorator", "options"),
    [
        (check, {"at": "end", "every": 2}),
        (check, {"at": "end", "on": Created}),
        (eventually, {"at": "end", "on": (Create, Created)}),
    ],
)
def test_what_looks_at_the_end_looks_once(decorator, options):
    """With at="end" there are no steps to choose from, so `every` and `on` do not go with it."""
    with pytest.raises(DefinitionError, match="looks once"):
        decorator(**options)


@pytest.mark.parametrize("options", [{"every": 0}, {"every": -1}, {"at": "start"}])
def test_a_check_that_never_looks_is_refused(options):
    """`every` is 1 or more, and `at` is "step" or "end"."""
    with pytest.raises(DefinitionError, match=r"every is 1 or more|at=\"end\""):
        check(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"within": 0},
        {"within": -1},
        {"every": 0},
        {"every": -0.1},
        {"within": 1, "every": 1.5},
        {"within": 0.05},
        {"within": float("inf")},
        {"within": float("inf"), "every": float("inf")},
        {"within": float("nan")},
        {"every": float("nan")},
    ],
    ids=str,
)
def test_a_wait_that_can_not_be_is_refused(options):
    """Both times are seconds, more than 0 and finite, and `every`, the default included, is not more than `within`."""
    with pytest.raises(DefinitionError, match=r"@eventually\(within=.*, every=.*\) can't be") as caught:
        eventually(**options)

    assert "Both are seconds, more than 0" in caught.value.todo


def test_a_wait_looks_after_a_step_or_at_the_end():
    """`at` is "step" or "end", as for a check."""
    with pytest.raises(DefinitionError, match='at="start"'):
        eventually(at="start")


def test_functions_inside_of_a_check_may_return():
    """Only a check's own statements must return nothing, not those of functions inside it."""

    class Fine(Model):
        @check
        def sorted_rows(self, board: Board) -> None:
            def key(row: str) -> int:
                return len(row)

            assert sorted(board.rows, key=key) == sorted(board.rows, key=lambda row: -len(row))

        @invariant
        def nothing(self) -> None:
            if self.__dict__:
                return
            return None  # noqa: RET501

    assert ["sorted_rows"] == [each.name for each in Fine.rules.checks]
    assert ["nothing"] == Fine.rules.invariants


# --- dispatch -----------------------------------------------------------------------------------


def test_events_are_folded_by_the_method_that_takes_them():
    """The state changes by the `@on` method of the event's type, unions included."""
    game = Game()
    game.apply(Created(player=ref("player@0"), name="a"))
    game.apply(Renamed(name="b"))
    game.apply(Rejected(status=400))

    assert {ref("player@0"): Player()} == game.players
    assert ["renamed", "rejected"] == game.log


def test_an_event_that_nobody_folds_changes_nothing():
    """An event without an `@on` method leaves the state as it is."""
    game = Game()
    game.apply(type("Strange", (Event,), {})())

    assert Game() == game


def test_two_states_share_nothing():
    """Each run begins with fields of its own, though their defaults are mutable."""
    first, second = Game(), Game()
    first.apply(Renamed(name="b"))

    assert [] == second.log


def test_all_preconditions_of_a_command_must_hold():
    """A command is allowed if each `@requires` that takes it says so; others have no say."""
    game, player = Game(), ref("player@0")

    assert game.allows(Create(name="abc"))
    assert not game.allows(Create(name=""))
    assert not game.allows(Create(name="abcdef"))
    assert game.allows(Rename(player=player, name="abcdef"))
    assert not game.allows(Rename(player=player, name=""))
    assert game.allows(Remove(player=player))


def test_a_model_predicts_what_its_method_says():
    """A prediction knows the method that made it, and all events that it admits."""
    game = Game()
    prediction = game.predict(Rename(player=ref("player@0"), name="b"))

    assert prediction == Prediction("rename", (Renamed(name="b"), Rejected(status=409)))
    assert None is game.predict(Remove(player=ref("player@0")))


@pytest.mark.parametrize("said", [None, "created", (), (Create(name="a"),), [Renamed(name="a")]])
def test_a_prediction_is_made_of_events(said):
    """An `@expects` method that returns no event is told by its name."""

    class Wrong(Model):
        @expects
        def foretell(self, cmd: Create) -> Renamed:
            return said

    with pytest.raises(ReturnedError, match=r"Wrong\.foretell returned"):
        Wrong().predict(Create(name="a"))


def test_an_on_method_that_returns_is_told():
    """A value that an `@on` method returns would be lost, so that it is an error."""

    class Wrong(Model):
        @on
        def folded(self, event: Renamed):
            return 3

    with pytest.raises(ReturnedError, match=r"Wrong\.folded"):
        Wrong().apply(Renamed(name="a"))


def test_a_subclass_with_fewer_commands_keeps_the_rules():
    """A model that changes `commands` inherits what its parent knows, and knows fewer tags."""

    class Small(Game):
        commands: ClassVar = (Create,)

    small = Small()
    small.apply(Renamed(name="b"))

    assert {"create": Create} == Small.rules.by_tag
    assert {"create", "rename", "remove"} == Game.rules.by_tag.keys()
    assert ["renamed"] == small.log
    assert Game.rules.invariants == Small.rules.invariants
    assert not small.allows(Create(name=""))


def test_a_subclass_can_replace_a_method():
    """A method of the same name in a subclass takes the place of its parent's."""

    class Loud(Game):
        @on
        def noted(self, event: Renamed | Rejected) -> None:
            self.log.append(event.tag.upper())

    loud = Loud()
    loud.apply(Renamed(name="b"))

    assert ["RENAMED"] == loud.log


def test_a_subclass_can_drop_a_method():
    """A method that is replaced by one without a decorator is no rule any more."""

    class Calm(Game):
        def few(self) -> None:
            """Hold nothing."""

    assert [] == Calm.rules.invariants
    assert ["few"] == Game.rules.invariants


def test_aliases_find_a_command():
    """A command is found by its tag and by its older ones."""
    newer = type("Newer", (Command,), {"__module__": __name__}, tag="new", aliases=("old", "older"))
    model = type("Renamer", (Model,), {"__annotations__": {"commands": ClassVar}, "commands": (newer,)})

    assert {"new": newer, "old": newer, "older": newer} == model.rules.by_tag


def test_a_model_lists_the_entities_that_it_knows():
    """What a ref may name is what the state keeps; without such a field, the model has no say."""
    game = Game()
    game.apply(Created(player=ref("player@4"), name="a"))

    assert ["player@4"] == game.known("player")
    assert [] == Game().known("player")
    assert None is game.known("account")


def test_the_state_is_written_with_labels():
    """A snapshot of the state names what the service made by its labels."""
    game = Game()
    game.apply(Created(player=Ref("player@4", "8f14"), name="a"))

    assert {"players": {"player@4": {"points": 0}}, "log": []} == json.loads(text_of(game))


# --- predictions --------------------------------------------------------------------------------


def test_like_admits_any_event_with_these_fields():
    """Fields that are named must be equal, the others may be anything, and the type must be the same."""
    same_name = like(Created, name="a")

    assert same_name.admits(Created(player=ref("player@1"), name="a"))
    assert same_name.admits(Created(player=ref("player@2"), name="a"))
    assert not same_name.admits(Created(player=ref("player@1"), name="b"))
    assert not same_name.admits(Renamed(name="a"))
    assert like(Created).admits(Created(player=ref("player@1"), name="b"))
    assert "Created(name='a', ...)" == repr(same_name)


def test_like_knows_the_fields_of_its_event():
    """A field that the event does not have is told, with those that it has."""
    with pytest.raises(DefinitionError, match="Created has no field colour, nam") as caught:
        like(Created, nam="a", colour="red")

    assert "player, name" in caught.value.todo


def test_a_prediction_admits_each_of_its_events():
    """One admissible event is enough, exact or with parts left open; another type never is."""
    prediction = Prediction("rename", (Renamed(name="a"), like(Rejected)))

    assert prediction.admits(Renamed(name="a"))
    assert prediction.admits(Rejected(status=400))
    assert not prediction.admits(Renamed(name="b"))
    assert not prediction.admits(Created(player=ref("player@1"), name="a"))
    assert "Renamed(name='a') or Rejected(...)" == str(prediction)


def test_a_prediction_tells_event_types_apart():
    """An event of a subclass with the same fields is another event."""
    again = type("Again", (Renamed,), {"__module__": __name__})

    assert not Prediction("rename", (Renamed(name="a"),)).admits(again(name="a"))


# --- checks -------------------------------------------------------------------------------------


def test_a_check_knows_when_it_looks():
    """`every` counts steps from 1, `on` waits for a command or an event, and `at="end"` is no step."""
    listed, quiet = Game.rules.checks
    create, rename = Create(name="a"), Rename(player=ref("player@1"), name="a")

    assert [2, 4] == [count for count in range(1, 6) if listed.due(count, create, None)]
    assert quiet.due(1, create, Rejected(status=400))
    assert not quiet.due(1, rename, Rejected(status=400))
    assert Board is listed.observation
    assert None is quiet.observation


def test_eventually_is_a_check_that_has_time():
    """It knows when it looks as a check does, and how long it may take; a check has no time at all."""

    class Settling(Model):
        @eventually
        def usual(self, board: Board) -> None:
            """Wait for 5 seconds."""

        @eventually(within=1, every=1, on=(Create, Rejected))
        def short(self, board: Board) -> None:
            """Wait for a second."""

        @eventually(at="end")
        def last(self, board: Board) -> None:
            """Wait at the end."""

        @check
        def now(self, board: Board) -> None:
            """Wait for nothing."""

    usual, short, last, _ = rules = Settling.rules.checks
    create, remove = Create(name="a"), Remove(player=ref("player@1"))

    assert [("usual", 5.0, 0.1), ("short", 1.0, 1.0), ("last", 5.0, 0.1), ("now", 0.0, 0.0)] == [
        (each.name, each.within, each.pause) for each in rules
    ]
    assert {Board} == {each.observation for each in rules}
    assert [1, 2, 3] == [count for count in (1, 2, 3) if usual.due(count, remove, None)]
    assert [True, True, False] == [
        short.due(1, create, None),
        short.due(1, remove, Rejected(status=1)),
        short.due(1, remove, Renamed(name="a")),
    ]
    assert not last.due(1, create, None)


def test_a_check_can_wait_for_several_messages():
    """A tuple in `on` names commands and events alike."""

    class Waiting(Model):
        @check(on=(Create, Rejected))
        def after(self) -> None:
            """Look."""

        @check(at="end")
        def last(self) -> None:
            """Look at the end."""

    after, last = Waiting.rules.checks

    assert after.due(1, Create(name="a"), None)
    assert after.due(1, Remove(player=ref("player@1")), Rejected(status=1))
    assert not after.due(1, Remove(player=ref("player@1")), Renamed(name="a"))
    assert not last.due(1, Create(name="a"), None)


def test_fail_tells_what_it_saw():
    """The values stand in the message, and as JSON data in the error."""
    with pytest.raises(CheckFailedError, match=r"too many \(seen=3, who=\['a'\]\)") as caught:
        fail("too many", seen=3, who=("a",))

    assert {"seen": 3, "who": ["a"]} == caught.value.data
    assert "too many" == str(CheckFailedError("too many"))


# --- what a seed means --------------------------------------------------------------------------


def model_of(*commands: type[Command]) -> type[Model]:
    return type("Some", (Model,), {"__annotations__": {"commands": ClassVar}, "commands": commands})


def command_with(annotation: Any, **keywords: Any) -> type[Command]:
    return type("Try", (Command,), {"__module__": __name__, "__annotations__": {"value": annotation}}, **keywords)


def test_the_digest_of_a_model_follows_what_seeds_depend_on():
    """Another weight, version, field, generator or order of commands gives another digest."""
    models = [
        model_of(command_with(int)),
        model_of(command_with(int, weight=2)),
        model_of(command_with(int, version=2)),
        model_of(command_with(int, tag="other")),
        model_of(command_with(Annotated[int, gen.integers(0, 9)])),
        model_of(command_with(Annotated[int, gen.integers(0, 10)])),
        model_of(Create, command_with(int)),
        model_of(command_with(int), Create),
        Game,
    ]

    assert len(models) == len({digest_of(model) for model in models})
    assert digest_of(models[0]) == digest_of(model_of(command_with(int)))


def test_the_digest_follows_the_source_of_preconditions():
    """A precondition that is written differently gives another digest; a check does not."""

    class Other(Game):
        @requires
        def short(self, cmd: Create) -> bool:
            return len(cmd.name) < 6

    class Checked(Game):
        @check
        def more(self) -> None:
            """Look."""

    assert digest_of(Game) != digest_of(Other)
    assert digest_of(Game) == digest_of(Checked)


# --- labels -------------------------------------------------------------------------------------


class Naming(Model):
    commands: ClassVar = (Create,)
    names: list[str] = []  # noqa: RUF012

    @invariant
    def few(self) -> None:
        self.label("few")


def test_labels_are_no_part_of_the_state():
    """What was named changes no snapshot, no comparison and no digest."""
    named, tally = Naming(), Counter()
    count_labels(named, tally)
    named.few()

    assert {("label", "few"): 1} == tally
    assert Naming() == named
    assert b'{"names":[]}' == text_of(named)
    assert "Naming(names=[])" == repr(named)
    assert digest_of(Naming) == digest_of(type("Naming", (Naming,), {"__module__": __name__, "few": lambda _: None}))


@pytest.mark.parametrize(
    "copy_of",
    [copied, copy.copy, copy.deepcopy, Model.model_copy, lambda state: pickle.loads(pickle.dumps(state))],  # noqa: S301
    ids=["copied", "copy", "deepcopy", "model_copy", "pickle"],
)
def test_copy_of_a_state_tells_nobody_what_it_names(copy_of):
    """A copy is what might be, and its labels do not count; nor do those of a state that nobody listens to."""
    named, tally = Naming(), Counter()
    count_labels(named, tally)
    copy_of(named).few()
    Naming().few()

    assert {} == tally
    named.few()
    count_labels(named, None)
    named.few()
    assert {("label", "few"): 1} == tally


@pytest.mark.parametrize(("wrong", "error"), [("", ValueError), ("  ", ValueError), (3, TypeError), (None, TypeError)])
def test_label_that_is_none_is_told_wherever_the_model_runs(wrong, error):
    """A label is a text that says something, also where nobody counts it."""
    with pytest.raises(error, match="a label is a text"):
        Naming().label(wrong)


class Join(Command):
    name: str


class Joined(Event):
    name: str


class Club(Model):
    """Its methods have the names that the engine's own have."""

    commands: ClassVar = (Create, Join, Rename)
    members: dict[Ref[Player], str] = {}  # noqa: RUF012

    @requires
    def known(self, cmd: Join) -> bool:
        return "-" not in cmd.name

    @requires
    def allows(self, cmd: Rename) -> bool:
        return len(cmd.name) < 5

    @expects
    def predict(self, cmd: Create) -> Created:
        return some(Created, name=cmd.name)

    @expects
    def joins(self, cmd: Join) -> Joined:
        return Joined(name=cmd.name)

    @expects
    def renames(self, cmd: Rename) -> Renamed:
        return Renamed(name=cmd.name)

    @on
    def apply(self, event: Created) -> None:
        self.members[event.player] = event.name


def test_methods_may_be_named_as_the_engine_names_its_own():
    """A precondition called known, or an @on method called apply, is the model's own, and does what it says."""
    result = integration.run(model=Club, adapter=Mock, seed=4, max_runs=20, max_commands=10)

    assert (True, 20, 0) == (result.success, result.passed, result.not_judged)
    assert {"create", "join", "rename"} == {tag for tag, count in result.coverage.commands.items() if count}
    assert [] == [name for name in result.never_exercised() if not name.startswith("outcome")]


@pytest.mark.parametrize("name", ["rules", "label", "commands", "server_errors"])
def test_name_that_is_kept_is_told(name: str):
    """A method that would take the place of what the engine needs is told when the class is made."""

    def holds(self: Model) -> None:
        """Hold."""

    with pytest.raises(DefinitionError, match=f"Small.{name} has a name that replaykit keeps for itself"):
        type("Small", (Model,), {name: invariant(holds), "__module__": __name__})


def test_field_named_rules_is_told():
    """The state can't have a field in the place of the rules."""
    with (
        pytest.warns(UserWarning, match="shadows an attribute in parent"),
        pytest.raises(DefinitionError, match=r"Small\.rules has a name that replaykit keeps for itself"),
    ):
        type("Small", (Model,), {"__annotations__": {"rules": int}, "rules": 3, "__module__": __name__})


# --- faults -------------------------------------------------------------------------------------


def relaxed_at_the_end():
    check(at="end", relax=fault.Fault)(lambda self: None)


def during_at_the_end():
    check(at="end", during=fault.Latency)(lambda self: None)


def during_what_is_no_fault():
    class Wrong(Model):
        @check(during=Create)  # type: ignore[arg-type]
        def folded(self) -> None: ...


def relaxed_for_what_is_no_class():
    class Wrong(Model):
        @check(relax=(fault.Down, "latency"))  # type: ignore[arg-type]
        def folded(self) -> None: ...


def relaxed_for_a_fault_that_was_made():
    class Wrong(Model):
        @check(relax=[fault.Down(steps=1)])  # type: ignore[list-item]
        def folded(self) -> None: ...


@pytest.mark.parametrize(
    ("define", "told"),
    [
        (relaxed_at_the_end, ["looks when all faults are over", "Leave out during and relax"]),
        (during_at_the_end, ["looks when all faults are over"]),
        (during_what_is_no_fault, ["Wrong.folded", "Create", "Name a class of module fault"]),
        (relaxed_for_what_is_no_class, ["Wrong.folded", "'latency'"]),
        (relaxed_for_a_fault_that_was_made, ["Wrong.folded", "Down("]),
    ],
)
def test_a_mistake_in_what_a_check_says_of_faults_is_told(define, told):
    """What is no kind of fault, or is never looked at, is told when the class is made."""
    with pytest.raises(DefinitionError) as caught:
        define()

    assert [] == [words for words in told if words not in str(caught.value)]


class Weathered(Model):
    """A model with a check for each weather."""

    @check
    def always(self) -> None: ...

    @check(during=fault.Latency)
    def slowly(self) -> None: ...

    @check(during=(fault.Down, fault.Kill))
    def away(self) -> None: ...

    @check(relax=fault.NetworkFault)
    def wired(self) -> None: ...

    @check(during=fault.Fault, relax=[fault.Down])
    def both(self) -> None: ...

    @eventually(within=1)
    def settled(self, seen: "Board") -> None: ...


@pytest.mark.parametrize(
    ("on", "meant"),
    [
        ((), "always wired settled"),
        ((fault.Latency,), "always slowly both"),
        ((fault.Down,), "always away"),
        ((fault.Kill,), "always away wired both"),
        ((fault.Latency, fault.Down), "always slowly away"),
        ((fault.Corrupted, fault.Latency), "always slowly both"),
        ((type("Own", (fault.Latency,), {}, tag="fault_own"),), "always slowly both"),
    ],
)
def test_a_check_is_meant_for_the_faults_that_it_names(on, meant):
    """`during` needs one of them, `relax` bears none of them, subclasses are meant too; who waits, waits for calm."""
    faults = [kind.model_construct() for kind in on]

    assert meant.split() == [each.name for each in Weathered.rules.checks if each.is_meant_for(faults)]
