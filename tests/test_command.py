"""Messages and refs: how they are named, written down, and read back years later."""

import json
import re
from typing import Annotated, Any, Literal

import pytest
from annotated_types import MaxLen

from replaykit import Command, Entity, Event, Observation, Ref, gen
from replaykit.command import Refs, command_of, snake_case, steps_named_in
from replaykit.errors import DefinitionError, StaleError
from replaykit.generator import is_minted, spelled_out
from replaykit.value import parse, text_of


class Account(Entity):
    balance: int = 0


class Customer(Entity, tag="client"):
    pass


class Credit(Command, tag="credit", version=2, aliases=("deposit", "pay_in"), weight=3):
    account: Ref[Account]
    amount: int

    @classmethod
    def upcast(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        return {"account": data["account"], "amount": data["cents"]}


class Transfer(Command):
    accounts: list[Ref[Account]]
    shares: dict[str, int] = {}  # noqa: RUF012


class Register(Command, version=2):
    name: Annotated[str, gen.mint("owner")]
    more: list[dict[str, str]] = []  # noqa: RUF012
    account: Ref[Account] | None = None

    @classmethod
    def upcast(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        return {"name": f"{data['name']} of {len(data['name'])}"}


class Opened(Event):
    account: Ref[Account]


class Balances(Observation):
    of: dict[Ref[Account], int]


def made(step: int, service_id: Any = 17, entity: type[Entity] = Account) -> tuple[Refs, Ref[Any]]:
    """Bind one thing in a step."""
    refs = Refs()
    refs.step = step
    return refs, refs.bind(entity, service_id)


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("CreatePlayer", "create_player"),
        ("Credit", "credit"),
        ("HTTPGet", "http_get"),
        ("GetHTTP", "get_http"),
        ("OpenV2Account", "open_v2_account"),
        ("already_snake", "already_snake"),
        ("A", "a"),
    ],
)
def test_a_class_name_becomes_a_tag(name, tag):
    """The tag of a message is its class name in snake_case."""
    assert tag == snake_case(name)
    assert tag == type(name, (Command,), {"__module__": __name__}).tag


def test_class_keywords_name_a_command():
    """Tag, version, aliases and weight stand in the class statement."""
    assert ("credit", 2, ("deposit", "pay_in"), 3.0) == (Credit.tag, Credit.version, Credit.aliases, Credit.weight)
    assert ("transfer", 1, (), 1.0) == (Transfer.tag, Transfer.version, Transfer.aliases, Transfer.weight)


def test_a_subclass_has_a_tag_of_its_own():
    """What a class statement says holds for that class alone."""

    class Gift(Credit):
        pass

    assert ("gift", 1, ()) == (Gift.tag, Gift.version, Gift.aliases)
    assert "client" == Customer.tag


@pytest.mark.parametrize("tag", ["Create", "1st", "a-b", "a b", "é", "a@3", "_hidden"])
def test_a_tag_that_can_not_be_is_refused(tag):
    """A tag is made of lower-case letters, digits and underscores, and so is an alias."""
    with pytest.raises(DefinitionError, match="Wrong"):
        type("Wrong", (Command,), {}, tag=tag)
    with pytest.raises(DefinitionError, match="Wrong"):
        type("Wrong", (Event,), {}, aliases=(tag,))
    with pytest.raises(DefinitionError, match="Wrong"):
        type("Wrong", (Entity,), {}, tag=tag)


@pytest.mark.parametrize("weight", [0, -1, float("nan")])
def test_a_weight_is_positive(weight):
    """A command that shall never come is left out of `commands`, not given the weight 0."""
    with pytest.raises(DefinitionError, match="leave the command out of `commands`"):
        type("Never", (Command,), {}, weight=weight)


def test_unknown_fields_are_forbidden():
    """A message has no room for what it does not declare, and the error names it."""
    with pytest.raises(ValueError, match="colour"):
        Transfer(accounts=[], colour="red")


@pytest.mark.parametrize("wrong", ["5", 5.0, True, None])
def test_messages_convert_nothing(wrong):
    """An int is not read from a text, a fraction or a boolean."""
    refs, account = made(3)

    with pytest.raises(ValueError, match="amount"):
        Credit(account=account, amount=wrong)
    with pytest.raises(StaleError, match="amount"):
        command_of(Credit, 2, {"account": "account@3", "amount": wrong}, refs)


def test_messages_never_change():
    """A field of a message can't be assigned."""
    command = Transfer(accounts=[])

    with pytest.raises(ValueError, match="frozen"):
        command.accounts = []


# --- reading ------------------------------------------------------------------------------------


def test_arguments_are_read_with_their_refs_bound():
    """A saved command becomes a command whose refs know the service's own ids in this run."""
    refs, account = made(3)
    command = command_of(Credit, 2, {"account": "account@3", "amount": 5}, refs)

    assert Credit(account=account, amount=5) == command
    assert 17 == command.account.id


def test_a_nested_ref_is_read_too():
    """Refs in lists are bound as well."""
    refs, account = made(3)
    command = command_of(Transfer, 1, {"accounts": ["account@3", "account@3"]}, refs)

    assert [account, account] == command.accounts


def test_an_older_version_is_upcast():
    """Arguments of an older version go through `upcast`, and the saved data stay as they are."""
    refs, _ = made(3)
    saved = {"account": "account@3", "cents": 5}

    assert 5 == command_of(Credit, 1, saved, refs).amount
    assert {"account": "account@3", "cents": 5} == saved


def test_a_newer_version_is_stale():
    """A version that is not known yet is refused, with both numbers."""
    with pytest.raises(StaleError, match="credit was saved in version 3, and here it has version 2") as caught:
        command_of(Credit, 3, {}, Refs())

    assert "newer model" in caught.value.todo


def test_arguments_that_do_not_fit_are_stale():
    """The message names the command, the argument and what was found, and speaks of `upcast`."""
    refs, _ = made(3)
    with pytest.raises(StaleError, match=r"credit do not fit: amount: .*'many'") as caught:
        command_of(Credit, 2, {"account": "account@3", "amount": "many"}, refs)

    assert "upcast" in caught.value.todo


def test_an_argument_that_was_covered_is_said_to_be():
    """A placeholder that a command does not take is no mistake of the model: what it stands for is not known."""

    class Enter(Command):
        word: Literal["sesame"]

    with pytest.raises(StaleError, match=r"enter do not fit: REDACTED.WORD.1 stands there for a secret that was cov"):
        command_of(Enter, 1, {"word": "REDACTED.WORD.1"}, made(3)[0])


def test_a_ref_that_nothing_is_bound_to_is_stale():
    """The message says which ref was not made in this run."""
    with pytest.raises(StaleError, match="account@9 was not made in this run"):
        command_of(Credit, 2, {"account": "account@9", "amount": 1}, made(3)[0])


def test_a_ref_of_another_kind_is_refused():
    """A ref to a customer does not fit where an account is asked for."""
    _, customer = made(3, entity=Customer)

    with pytest.raises(ValueError, match="client@3 is no account"):
        Credit(account=customer, amount=1)


def test_a_saved_ref_of_another_kind_is_refused():
    """A saved name of a customer does not fit where an account is asked for, though it is bound."""
    refs, _ = made(3, entity=Customer)

    with pytest.raises(StaleError, match="client@3"):
        command_of(Credit, 2, {"account": "client@3", "amount": 1}, refs)


def test_a_plain_text_is_no_ref():
    """A message is made with refs that the adapter gave, not with texts that look like some."""
    with pytest.raises(ValueError, match=r"self\.ref\(\)"):
        Credit(account="account@3", amount=1)


def test_a_ref_names_an_entity():
    """A field that is a Ref to something else than an Entity is refused when its class is made."""
    with pytest.raises(DefinitionError, match="subclass of Entity"):
        type("Wrong", (Command,), {"__module__": __name__, "__annotations__": {"what": Ref[int]}})


# --- refs ---------------------------------------------------------------------------------------


def test_refs_are_compared_by_their_label():
    """Two refs with one label are the same, whatever the service calls the thing."""
    assert Ref("account@3", 1) == Ref("account@3", 2)
    assert hash(Ref("account@3", 1)) == hash(Ref("account@3"))
    assert Ref("account@3") != Ref("account@4")
    assert Ref("account@3") != "account@3"
    assert sorted([Ref("account@3"), Ref("account@1")]) == [Ref("account@1"), Ref("account@3")]


def test_a_ref_shows_its_label():
    """The service's own id appears neither in the text nor in the representation of a ref."""
    ref = Ref("account@3", "8f14e45f")

    assert "account@3" == str(ref)
    assert "<account@3>" == repr(ref)
    assert "account" == ref.entity


def test_an_unbound_ref_has_no_id():
    """Asking a ref for an id that it has not got says which ref it is."""
    with pytest.raises(StaleError, match="account@3 is bound to nothing in this run"):
        _ = Ref("account@3").id


def test_refs_are_written_as_their_labels():
    """An event with a ref is written with the label, and is read back as the same event."""
    refs, account = made(3)
    event = Opened(account=account)

    assert {"account": "account@3"} == json.loads(text_of(event))
    assert event == parse(Opened, json.loads(text_of(event)), {"refs": refs})


def test_a_ref_can_be_a_key():
    """A dict that is keyed by refs is written with their labels as keys."""
    _, account = made(3)
    seen = Balances(of={account: 100})

    assert {"of": {"account@3": 100}} == json.loads(text_of(seen))
    assert 100 == seen.of[Ref("account@3")]


def test_a_ref_is_named_by_the_step_that_made_it():
    """What step 3 made is account@3; a second thing of the same kind is account@3.2."""
    refs, first = made(3, "a")
    second, third = refs.bind(Account, "b"), refs.bind(Account, "c")

    assert ["account@3", "account@3.2", "account@3.3"] == [first.label, second.label, third.label]
    assert "client@3" == refs.bind(Customer, "a").label


def test_a_known_id_keeps_its_name():
    """An id that is seen again in a later step has the name of the step that made it."""
    refs, account = made(3, "a")
    refs.step = 7

    assert account is refs.bind(Account, "a")
    assert "account@7" == refs.bind(Account, "b").label


def test_an_id_seen_between_steps_is_nobodys():
    """A thing that was read while checking, and made by no step, has a name with a question mark."""
    refs = Refs()
    seen = refs.bind(Account, 17)

    assert "account@?17" == seen.label
    assert 17 == seen.id
    assert [] == refs.of("account")
    assert None is refs.named("account@?17")


def test_ids_of_different_types_differ():
    """The number 17 and the text "17" are two ids."""
    refs, number = made(3, 17)
    text = refs.bind(Account, "17")

    assert number != text
    assert (17, "17") == (number.id, text.id)


def test_one_id_can_name_things_of_two_kinds():
    """Account 1 and client 1 are two things."""
    refs, account = made(3, 1)
    customer = refs.bind(Customer, 1)

    assert ("account@3", "client@3") == (account.label, customer.label)
    assert account is refs.bind(Account, 1)


def test_bound_refs_are_found_by_name_and_by_kind():
    """Names are listed by kind, in the order in which they were made."""
    refs, account = made(12, "a")
    refs.bind(Customer, "x")
    refs.step = 3
    refs.bind(Account, "b")

    assert account is refs.named("account@12")
    assert ["account@12", "account@3"] == refs.of("account")
    assert ["client@12"] == refs.of("client")
    assert [] == refs.of("player")


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        ("account@3", {3}),
        ("account@3.2", {3}),
        ({"a": "account@3", "b": ["client@12", {"c": "x_1@0"}]}, {3, 12, 0}),
        ("account@?17", set()),
        ("account@", set()),
        ("Account@3", set()),
        ("see account@3", set()),
        ("account@3\n", set()),
        (3, set()),
        (None, set()),
        ([], set()),
        ({}, set()),
    ],
)
def test_the_steps_named_in_arguments_are_found(data, steps):
    """A label, wherever it stands in some arguments, names a step; what only resembles one does not."""
    assert steps == steps_named_in(data)


# --- what is minted -----------------------------------------------------------------------------


def with_nonce(nonce: str) -> Refs:
    """Make the bindings of a run that has this nonce."""
    refs = Refs()
    refs.nonce = nonce
    return refs


def test_what_is_minted_is_spelled_out_when_a_command_is_made():
    """The command has the text that is sent, wherever it stands, and the saved arguments have the placeholder."""
    saved = {"name": "{owner~3}", "more": [{"mail": "{user~4}@example.com"}]}
    command = command_of(Register, 2, saved, with_nonce("1f0c66aa"))

    assert Register(name="owner-1f0c66aa-3", more=[{"mail": "user-1f0c66aa-4@example.com"}]) == command
    assert {"name": "{owner~3}", "more": [{"mail": "{user~4}@example.com"}]} == saved


def test_one_run_says_one_thing_and_another_run_another():
    """A minted text is the same each time that a run says it, and no other run has it."""
    runs = [Refs() for _ in range(100)]
    names = [command_of(Register, 2, {"name": "{owner~3}"}, refs).name for refs in runs for _ in range(2)]

    assert names[::2] == names[1::2]
    assert 100 == len(set(names))
    assert all(re.fullmatch(r"owner-[0-9a-f]{8,}-3", name) for name in names)


def test_a_run_knows_whether_anything_was_minted():
    """A run in which nothing was spelled out needs no nonce."""
    plain = [{"name": "owner"}, {"more": [{"a": "{b}", "c": 1}, None]}, {"a~1": "~"}]
    minted = [{"name": "{owner~3}"}, {"more": [{"a": "to {b~1}."}]}, {"{a~1}": 1}]

    assert [False, False, False] == list(map(is_minted, plain))
    assert [True, True, True] == list(map(is_minted, minted))


def test_older_arguments_are_upcast_before_they_are_spelled_out():
    """`upcast` gets the placeholder, and what it makes of it is spelled out like any other text."""
    command = command_of(Register, 1, {"name": "{owner~3}"}, with_nonce("1f0c66aa"))

    assert "owner-1f0c66aa-3 of 9" == command.name


@pytest.mark.parametrize(
    "text",
    [
        "", "~", "{}", "{~}", "{owner~}", "{~3}", "{owner3}", "{owner~x}", "{owner ~3}", "{owner~3", "owner~3}",
        "owner~3", "{1st~3}", "{ow-ner~3}", "{ow_ner~3}", "{öwner~3}", "{owner~-3}", "{owner~3.5}", "{owner~٣}",
        "{owner~3\n}", "{owner-3}", "${owner:3}", "owner-1f0c66aa-3",
    ],
)  # fmt: skip
def test_a_text_that_only_looks_a_little_like_a_minted_one_stays(text):
    """What has no prefix of letters and digits, a tilde and a number in braces is sent as it is."""
    assert text == command_of(Register, 2, {"name": text}, Refs()).name
    assert not is_minted(text)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("{a~1}{a~2}", "a-n-1a-n-2"),
        ("{{a~1}}", "{a-n-1}"),
        ("{a~{b~2}}", "{a~b-n-2}"),
        ("{a~1}~{b~}", "a-n-1~{b~}"),
        ("{K2~007}", "K2-n-007"),
    ],
)
def test_minted_texts_inside_of_a_text_are_spelled_out_once(text, spelled):
    """Each placeholder is replaced, and what comes out is not looked at again."""
    assert spelled == spelled_out(text, "n")


@pytest.mark.parametrize(
    "nonce", ["\\", "\\1", "\\g<0>", "\\g<nothing>", "$1", "{0}", "%s", "{a~1}", "", "é\n\x00", "x" * 10_000]
)
def test_a_hostile_nonce_is_only_text(nonce):
    """Whatever a nonce holds is put in as it is: it is no template, and no placeholder."""
    command = command_of(Register, 2, {"name": "{owner~3}"}, with_nonce(nonce))

    assert f"owner-{nonce}-3" == command.name


@pytest.mark.parametrize("data", [3, 1.5, True, None, [], {}, [[None]], {"a": [1, {"b": False}]}])
def test_only_texts_are_spelled_out(data):
    """Other values are what they were."""
    assert data == spelled_out(data, "n")
    assert type(data) is type(spelled_out(data, "n"))


def test_a_minted_text_that_does_not_fit_its_field_is_told_as_it_is_sent():
    """A field that is too short for what is spelled out says so, with the text."""
    short = type("Short", (Command,), {"__module__": __name__, "__annotations__": {"name": Annotated[str, MaxLen(6)]}})

    with pytest.raises(StaleError, match=r"name: .*'owner-1f0c66aa-3'"):
        command_of(short, 1, {"name": "{owner~3}"}, with_nonce("1f0c66aa"))


def test_a_ref_that_may_be_none_is_read_as_either():
    """None stays None, and a label becomes the bound ref; a label that is not bound is stale."""
    refs, account = made(3)

    assert None is command_of(Register, 2, {"name": "a", "account": None}, refs).account
    assert account is command_of(Register, 2, {"name": "a", "account": "account@3"}, refs).account
    with pytest.raises(StaleError, match="account@9 was not made in this run"):
        command_of(Register, 2, {"name": "a", "account": "account@9"}, refs)
