"""Contract: what written models and adapters are made of.

An adapter (module `api`) asks an operation of the description, and hears one of these:

- an event of the operation's own: it was done, and the answer looks as described;
- `Refused`: a 4xx that is described, or that any service may give;
- `Undescribed`: a status that is not described, or an answer that does not look as described.

The last one is judged by two invariants, whatever a command expects, so that the two are two different bugs.

What a model claims beyond that rests on assumptions, each with a name in `JUDGED`. A model that finds one of them wrong
leaves it out: `judged: ClassVar = JUDGED - {"lists"}`.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args, get_origin

from replaykit.command import Entity, Event, Ref
from replaykit.model import Like, Model, fail, invariant, like, on
from replaykit.value import JsonData, fields_of

E = TypeVar("E", bound=Event)
T = TypeVar("T", bound="Thing")

JUDGED = frozenset({"statuses", "schemas", "presence", "values", "removal", "lists", "refusals"})
MOST_GONE = 1  # things of a kind that are gone, and are spoken of all the same
CLOSE = 1e-6  # relative difference of numbers that are the same but for how they are kept
EXACT = 2**53  # whole numbers beyond it are not kept as they are by who keeps them as floats (IEEE 754)
_RANK = re.compile(
    r"(^|_)(rank|position|pos|order|ordering|index|idx|sort|sequence|seq|priority|ordinal|place|level)(_|$)"
)
_CHOSEN = re.compile(r"(^|_)(primary|default|main|preferred|current|favou?rite|selected)(_|$)")


# --- what is heard ------------------------------------------------------------------------------


class Refused(Event):
    """The service refuses, with a status that is described, or that any service may give."""

    status: int
    missing: bool  # 404 or 410: there is no such thing


class Undescribed(Event):
    """The answer is none that is described: its status is not, or it does not look as it should."""

    status: str = ""
    looks: str = ""


NotDone: TypeAlias = Refused | Undescribed
Expected: TypeAlias = tuple[Like[E], ...]


@dataclass(frozen=True, slots=True)
class At:
    """Where the field of an event stands in an answer: `At("/owner/id")`; `*` is each item of a list."""

    pointer: str


def either(event: Like[Any]) -> Expected[Any]:
    """Expect an event, or that the service refuses. What is not described is judged by invariants."""
    return (event, *REFUSAL)


REFUSAL: Expected[Any] = (like(Refused), like(Undescribed))


class Near(Like[Any]):
    """An event with parts left open, in which the spelling of a value does not count: see `is_near`."""

    def admits(self, event: Event) -> bool:
        """Say whether an event is one of those meant; a value that was not said is no claim."""
        return type(event) is self.kind and all(
            (seen := getattr(event, name)) is None or wanted is None or is_near(wanted, seen)
            for name, wanted in self.fields.items()
        )


class Anything(Like[Any]):
    """Any event at all."""

    def admits(self, event: Event) -> bool:
        """Say that an event is one of those meant."""
        return isinstance(event, self.kind)


class Holding(Like[Any]):
    """An event with a list in which some things are, and others are not; `known` is what else it says."""

    def __init__(
        self, kind: type[Event], name: str, here: Iterable[Ref[Any]], gone: Iterable[Ref[Any]], /, **known: Any
    ) -> None:
        self.name, self.here, self.gone, self.known = name, tuple(here), tuple(gone), known
        super().__init__(kind, {**known, name: list(self.here)})  # the simplest one

    def admits(self, event: Event) -> bool:
        """Say whether the list of an event holds what is there, and nothing that is gone."""
        listed = getattr(event, self.name, None)
        return (
            type(event) is self.kind
            and listed is not None
            and all(getattr(event, name) == value for name, value in self.known.items())
            and all(each in listed for each in self.here)
            and not any(each in listed for each in self.gone)
        )

    def __repr__(self) -> str:
        parts = [
            f"{word} {', '.join(map(str, refs))}"
            for word, refs in (("with", self.here), ("without", self.gone))
            if refs
        ]
        return f"{self.kind.__name__}({self.name} {' '.join(parts) or '...'})"


def is_near(sent: JsonData, shown: JsonData) -> bool:
    """Say whether a value that is shown is the one that was sent, but for its spelling.

    Services trim and fold texts, round numbers, sort lists, and add members to objects. None of that is a lost value.
    """
    if isinstance(sent, bool) or isinstance(shown, bool):
        return sent is shown
    if isinstance(sent, str) and isinstance(shown, str):
        return _folded(sent) == _folded(shown)
    if isinstance(sent, int | float) and isinstance(shown, int | float):
        if isinstance(sent, int) and isinstance(shown, int):
            return sent == shown or (max(abs(sent), abs(shown)) > EXACT and _is_close(sent, shown))
        return _is_close(sent, shown) or _is_rounded(sent, shown)
    if isinstance(sent, dict) and isinstance(shown, dict):
        return all(name not in shown or value is None or is_near(value, shown[name]) for name, value in sent.items())
    if isinstance(sent, list) and isinstance(shown, list):
        return len(sent) != len(shown) or all(any(is_near(each, other) for other in shown) for each in sent)
    return bool(sent == shown) or type(sent) is not type(shown)


def _is_close(one: float, other: float) -> bool:
    try:
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)
    except OverflowError:  # a whole number beyond all floats
        return False


def _is_rounded(sent: float, shown: float) -> bool:
    """Say whether a number is another one with fewer decimals, rounded up or down."""
    if any(isinstance(each, float) and not math.isfinite(each) for each in (sent, shown)):
        return False
    exact, kept = _exact(sent), _exact(shown)
    places = _decimals(kept)
    return places < _decimals(exact) and abs(exact - kept) < Decimal(1).scaleb(-places)


def _exact(number: float) -> Decimal:
    return Decimal(number if isinstance(number, int) else str(number))  # an int may have too many digits for str()


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


# --- what is known ------------------------------------------------------------------------------


class Thing(Entity):
    """What a model remembers about something that the service made; fields of subclasses are what was shown of it."""

    standing: Literal["here", "unsure", "gone"] = "here"
    parents: tuple[str, ...] = ()
    loose: bool = False  # it may have been moved, or hidden: no list need have it, and its parents are a guess

    def forget(self) -> None:
        """Make no claim any more about what it looks like."""
        for name, _, _, _ in fields_of(type(self)):
            if name not in Thing.model_fields:
                setattr(self, name, None)

    def forget_shared(self) -> None:
        """Make no claim any more about what only some of its kind can be: flags, states and ranks."""
        for name, annotation, _, _ in fields_of(type(self)):
            if name not in Thing.model_fields and (_is_choice(annotation) or _RANK.search(name)):
                setattr(self, name, None)


def _is_choice(annotation: Any) -> bool:
    """Say whether a type is a flag or one of some words."""
    if annotation is bool or get_origin(annotation) is Literal:
        return True
    return any(_is_choice(each) for each in get_args(annotation))


class Contract(Model):
    """A model of what a description promises: its subclasses are written, and theirs are yours."""

    server_errors: ClassVar[bool] = True
    judged: ClassVar[frozenset[str]] = JUDGED
    most: ClassVar[int] = 3  # things of each kind that are there at a time; with few, more happens to each

    undescribed: dict[str, str] = {}  # noqa: RUF012  what of an answer is not as described: its status, or its looks

    @on
    def answer_was_not_described(self, event: Undescribed) -> None:
        for name, said in (("statuses", event.status), ("schemas", event.looks)):
            if said and name in self.judged:
                self.undescribed[name] = said
            elif said:
                self.label(f"not described: {said}")

    @invariant
    def statuses_are_described(self) -> None:
        if "statuses" in self.undescribed:
            fail(f"{self.undescribed['statuses']} is not described")

    @invariant
    def answers_look_as_described(self) -> None:
        if "schemas" in self.undescribed:
            fail(f"the answer is not as described: {self.undescribed['schemas']}")


def shelves_of(state: Model) -> Iterator[dict[Ref[Any], Thing]]:
    """List where a model keeps its things: by their refs, one field for each kind."""
    for name in dict.fromkeys(name for names in state.rules.candidates.values() for name in names):
        shelf = getattr(state, name)
        if isinstance(shelf, dict):
            yield shelf


def keep(shelf: dict[Ref[T], T], ref: Ref[T] | None, thing: T, *parents: Ref[Any] | None, status: int = 201) -> None:
    """Remember what was made. A status of 202 says that it will be made later (RFC 9110, section 15.3.3)."""
    if ref is None:
        return
    thing.parents = tuple(sorted({each.label for each in parents if each is not None}))
    thing.standing = "unsure" if status == 202 else "here"  # noqa: PLR2004
    shelf[ref] = thing
    _unsettle(shelf, {ref.label})


def seen(shelf: Mapping[Ref[T], T], ref: Ref[T] | None, /, **values: Any) -> None:
    """Remember what something looks like now; what is gone is not taken for there because it is still shown."""
    thing = shelf.get(ref) if ref is not None else None
    if thing is None or thing.standing == "gone":
        return
    thing.standing = "here"
    for name, value in values.items():
        setattr(thing, name, value)


def updated(state: Model, shelf: dict[Ref[T], T], ref: Ref[T], status: int = 200, /, **values: Any) -> None:
    """Remember that something was written anew; it may have been gone before."""
    changed(state, ref)
    _come_back(state, {ref.label})
    _unsettle(shelf, {ref.label})
    if ref in shelf:
        shelf[ref].loose |= shelf[ref].standing == "gone"
        shelf[ref].standing = "here"
        seen(shelf, ref, **values)
        if status == 202:  # noqa: PLR2004
            acted_on(state, ref)


def moved(state: Model, ref: Ref[Any], *parents: Ref[Any] | None) -> None:
    """Remember that something may belong to other things from now on, with all that belongs to it."""
    labels = {each.label for each in parents if each is not None} - {ref.label}
    if labels:
        _loosen(state, {ref.label}, labels)


def touched(state: Model, *refs: Ref[Any] | None) -> None:
    """Make no claim any more about what some things look like; what belongs to them stays as it is."""
    labels = {each.label for each in refs if each is not None}
    for shelf in shelves_of(state):
        for ref, thing in shelf.items():
            if ref.label in labels:
                thing.forget()


def changed(state: Model, *refs: Ref[Any] | None) -> None:
    """Make no claim any more about what some things look like, nor about what belongs to them."""
    labels = {each.label for each in refs if each is not None}
    for ref, thing in _with_descendants(state, labels):
        thing.forget()
        if ref.label not in labels:
            thing.standing = "unsure" if thing.standing == "here" else thing.standing


def acted_on(state: Model, *refs: Ref[Any] | None) -> None:
    """Make no claim any more about some things: an action may have ended them, moved them, or brought them back."""
    changed(state, *refs)
    labels = {each.label for each in refs if each is not None}
    _loosen(state, labels, labels)
    _come_back(state, labels)
    for shelf in shelves_of(state):
        if any(ref.label in labels for ref in shelf):
            _unsettle(shelf, labels)
        for ref, thing in shelf.items():
            if ref.label in labels:
                thing.standing = "unsure"


def removed(state: Model, shelf: dict[Ref[T], T], ref: Ref[T], status: int = 204) -> None:
    """Remember that something is gone, and be unsure of what belonged to it."""
    changed(state, ref)
    for other, thing in _with_descendants(state, {ref.label}):
        thing.loose |= other.label != ref.label
    _unsettle(shelf, {ref.label})
    if ref in shelf:
        shelf[ref].standing = "unsure" if status == 202 else "gone"  # noqa: PLR2004
    gone = [each for each, thing in shelf.items() if thing.standing == "gone"]
    for each in gone[:-MOST_GONE]:
        del shelf[each]


def shaken(state: Model) -> None:
    """Make no claim any more about anything: an operation that names no thing may have changed all of them."""
    for shelf in shelves_of(state):
        for thing in shelf.values():
            thing.forget()
            thing.standing, thing.loose = "unsure", True


def met(shelf: Mapping[Ref[T], T], refs: Iterable[Ref[T]], kind: type[T], most: int = 10) -> dict[Ref[T], T]:
    """Return things that were there before anybody made them, at most so many in all, with no claim about them."""
    new = [ref for ref in dict.fromkeys(refs) if ref not in shelf]
    return {ref: kind(standing="unsure") for ref in new[: max(0, most - len(shelf))]}


def has_room(shelf: Mapping[Ref[T], T], most: int) -> bool:
    """Say whether one more thing of a kind may be made: those that are gone do not count."""
    return sum(thing.standing != "gone" for thing in shelf.values()) < most


def belongs(shelf: Mapping[Ref[T], T], ref: Ref[T], *parents: Ref[Any]) -> bool:
    """Say whether a thing was made under all of some others; of one whose parents nobody knows, it may have been."""
    thing = shelf.get(ref)
    return thing is None or thing.loose or not thing.parents or all(each.label in thing.parents for each in parents)


def _with_descendants(state: Model, labels: set[str]) -> Iterator[tuple[Ref[Any], Thing]]:
    known = [pair for shelf in shelves_of(state) for pair in shelf.items()]
    reached = labels & {ref.label for ref, _ in known}  # below what nobody has made, there is nothing
    grown = True
    while grown:
        grown = False
        for ref, thing in known:
            if ref.label not in reached and _is_below(thing, reached):
                reached.add(ref.label)
                grown = True
    return ((ref, thing) for ref, thing in known if ref.label in reached)


def _is_below(thing: Thing, labels: set[str]) -> bool:
    """Say whether a thing may belong to one of some others; a loose one to any of the kinds of its parents."""
    if labels & {*thing.parents}:
        return True
    return thing.loose and bool({_kind(each) for each in labels} & {_kind(each) for each in thing.parents})


def _kind(label: str) -> str:
    return label.partition("@")[0]


def _loosen(state: Model, labels: set[str], parents: set[str]) -> None:
    """Remember that some things may be somewhere else now, below new parents, with all that belongs to them."""
    for ref, thing in _with_descendants(state, labels):
        thing.loose = True
        if ref.label in labels:
            thing.parents = tuple(sorted({*thing.parents, *parents} - {ref.label}))


def _come_back(state: Model, labels: set[str]) -> None:
    """Be unsure of what was gone below some things: it may have come back together with them."""
    for ref, thing in _with_descendants(state, labels):
        if ref.label not in labels and thing.standing == "gone":
            thing.standing = "unsure"


def _unsettle(shelf: Mapping[Ref[T], T], labels: set[str]) -> None:
    """Forget what the other things of a kind can't all be: one that is written may take it from them."""
    for ref, thing in shelf.items():
        if ref.label not in labels:
            thing.forget_shared()


def shows(
    state: Contract,
    kind: type[Event],
    shelf: Mapping[Ref[T], T],
    ref: Ref[T],
    /,
    *parents: Ref[Any] | None,
    values: Iterable[str] = (),
    fades: bool = False,
    **known: Any,
) -> Expected[Any]:
    """Expect that a thing is read as it was made, or as it is told to be gone.

    `values` names what is compared, and `known` is what the command says of the event. `fades` says that a thing that
    was removed may go on being shown, since its answer has a field to say so.
    """
    thing = shelf.get(ref)
    others = {each.label for each in parents if each is not None}
    is_elsewhere = not others <= {*thing.parents} or (thing.loose and others) if thing is not None else True
    if thing is None or thing.standing == "unsure" or is_elsewhere or not _are_here(state, others):
        return either(like(kind, **known))
    if thing.standing == "gone":
        return REFUSAL if "removal" in state.judged and not fades else either(like(kind, **known))
    claims = {name: getattr(thing, name) for name in values} if "values" in state.judged else {}
    seen = Near(kind, known | {name: value for name, value in claims.items() if value is not None})
    return (seen, like(Refused, missing=False), like(Undescribed)) if "presence" in state.judged else either(seen)


def _are_here(state: Model, labels: set[str]) -> bool:
    """Say whether all of some things are known to be there: through what is gone, nothing is shown."""
    return not any(
        ref.label in labels and thing.standing != "here" for shelf in shelves_of(state) for ref, thing in shelf.items()
    )


def lists(
    state: Contract,
    kind: type[Event],
    name: str,
    shelf: Mapping[Ref[T], T],
    /,
    *parents: Ref[Any] | None,
    whole: bool = True,
    fades: bool = False,
    **known: Any,
) -> Expected[Any]:
    """Expect that a list holds the things that were made where it looks, and none that is gone.

    `whole` is false where something was asked for that leaves things out, such as a page or a filter. `known` is what
    the command says of the event.
    """
    if "lists" not in state.judged:
        return either(like(kind, **known))
    where = {each.label for each in parents if each is not None}
    among = [(ref, thing) for ref, thing in shelf.items() if where <= {*thing.parents}]
    whole = whole and _are_here(state, where)
    here = [ref for ref, thing in among if whole and thing.standing == "here" and not thing.loose]
    gone = [ref for ref, thing in among if thing.standing == "gone" and "removal" in state.judged and not fades]
    return either(Holding(kind, name, here, gone, **known))


def made_as_sent(state: Contract, kind: type[E], /, **sent: JsonData) -> Expected[Any]:
    """Expect that something is made, and is shown with what was sent.

    A rank, or which one of a kind is the primary one, is for the service to say: the first one always is.
    """
    claims = {
        name: value
        for name, value in sent.items()
        if "values" in state.judged and value is not None and not _RANK.search(name) and not _CHOSEN.search(name)
    }
    return either(Near(kind, claims))


def refused(state: Contract) -> Expected[Any]:
    """Expect that wrong data is refused."""
    return REFUSAL if "refusals" in state.judged else (*REFUSAL, Anything(Event, {}))
