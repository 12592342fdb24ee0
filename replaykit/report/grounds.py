"""The grounds of a blame: what is said of it, in whatever form it is written down."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from replaykit.axis import Point
from replaykit.blame import Blame, Suspect, Tested
from replaykit.rate import percent

FEW_FILES = 5  # that are named
FEW_SUSPECTS = 10  # all of which are named
SOME_SUSPECTS = 5  # of more, so many are
_BUDGETS = {"--max-replays": "attempts", "--max-time": "time"}

_MENDED = {  # what a skip is called, more than one of them
    "unbuildable": "could not be had or built",
    "unreachable": "did not become healthy",
    "different": "failed in another way",
    "stale": "did not fit the bundle",
    "undecided": "could not be decided",
    "machine": "met trouble of this machine",
}

T = TypeVar("T")


Words: TypeAlias = Sequence[Sequence[str]]  # of a command line: arguments, and options with their values


class Asked(NamedTuple):
    """What the user typed, as far as the next commands need it, secrets covered."""

    program: str = "replaykit"
    words: Words = (("...",),)  # of this bisect
    resumed: Words = ()  # those of them that have to be said to go on with it
    raised: Sequence[str] | None = None  # the budget that is spent: its option, and a larger value
    replay: str | None = None  # the command that replays the bundle by hand, in the folder of a checkout


class Hint(NamedTuple):
    """What to do next, and the command that does it; nothing where there is none to type."""

    what: str
    command: str = ""


def conclusion(blame: Blame) -> tuple[str, str]:
    """Return word and reason of the last line that a bisect prints."""
    if blame.outcome != "found" or blame.culprit is None:
        return blame.outcome, blame.reason
    point = blame.culprit
    subject = point.subject or (blame.change.subject if blame.change is not None else "")
    named = " ".join(filter(None, [point.name, subject]))
    sure = None if blame.confidence is None else f"confidence {percent(blame.confidence)}"
    did = "mended" if blame.fix else "brought"
    return blame.outcome, ", ".join(filter(None, [f"{named} {did} it", _here_and_there(blame), sure]))


def title(blame: Blame) -> str:
    """Say in a few words what a bisect came to."""
    kind = noun(blame)
    did = "mended" if blame.fix else "brought"
    if blame.outcome == "found" and blame.culprit is not None:
        return f"{blame.culprit.id} {did} it"
    number = len(candidates(blame))
    if number and blame.outcome in {"candidates", "undecided"}:
        return f"one of {many(number, kind)} {did} it" if number > 1 else f"one {kind} may have {did} it"
    said = {
        "not bad": "the bug does not show where it should",
        "not good": "the bug shows where it should not",
        "not judged": "an end of the range could not be judged",
        "trouble": "the machine is in trouble",
        "interrupted": "interrupted",
    }
    return said.get(blame.outcome, f"no {kind} was found that {did} it")


def facts(blame: Blame) -> list[tuple[str, str]]:
    """List what is known of the culprit: a word, and what it is."""
    point, change = blame.culprit, blame.change
    if point is None:
        return []
    found = [("subject", change.subject if change is not None else point.subject)]
    if change is not None:
        found += [("author", change.author), ("date", change.date), ("pull request", _number(change.pull_request))]
        into = blame.merge
        if into is not None and into.id != point.id:
            found.append(("merged by", " ".join(filter(None, [into.name, into.subject]))))
        if change.merges:
            found.append(("merges", ", ".join(change.merges)))
        found.append(("files", files(change.files)))
    return [(word, said) for word, said in found if said]


def files(changed: Sequence[tuple[str, str]]) -> str:
    """Name the first files that were changed, and count all."""
    if not changed:
        return "none"
    named = ", ".join(f"{letter} {path}" for letter, path in changed[:FEW_FILES])
    more = f", and {len(changed) - FEW_FILES:,} more" if len(changed) > FEW_FILES else ""
    return f"{len(changed):,}: {named}{more}"


def grounds(blame: Blame) -> list[str]:
    """Say how sure it is, and why: a sentence each, without a full stop."""
    found = [] if blame.confidence is None else [f"confidence {percent(blame.confidence)}"]
    if blame.culprit is not None:
        found += [_here_and_there(blame)]
        if blame.confirmed:
            found.append("both were tried once more at the end, with the same result")
        elif blame.merge is None:
            found.append(f"it and the {noun(blame)} before it were not tried once more")
    return [each for each in found if each]


def often(blame: Blame) -> str:
    """Say how often the bug shows where it is; nothing where it does so each time."""
    shown, runs = blame.rate or (0, 0)
    if blame.steady or shown == runs:
        return ""
    return f"not each time: in {shown} of {many(runs, 'attempt')} where it is"


def skips(blame: Blame) -> str:
    """Say how many points could not be judged, and why; nothing where there are none."""
    words = Counter(each.word for each in blame.tested if each.state == "skipped")
    return ", ".join(f"{number:,} {_MENDED.get(word, word)}" for word, number in words.most_common())


def spent(blame: Blame) -> str:
    """Say how much was tried, and how long it took."""
    stages = blame.spent
    inside = inner(blame.tested) if blame.merge is not None else ()
    cached = sum(each.cached for each in blame.tested)
    known = f", {cached:,} of them known before" if cached else ""
    of_all = f"{stages.tests - len(inside):,} of {many(blame.points + (blame.far is not None), noun(blame))}"
    more = f" and {len(inside):,} inside of a merge" if inside else ""
    return (
        f"{of_all}{more} tried{known}, in {many(stages.visits, 'visit')}, "
        f"{many(stages.attempts, 'attempt')}, {lasting(stages.seconds)}"
    )


def candidates(blame: Blame) -> list[Suspect]:
    """List the suspects but for those that it can't be; where each is as improbable as can be, all of them."""
    return [each for each in blame.suspects if each.probability > 0] or blame.suspects


def suspected(blame: Blame) -> tuple[list[tuple[Point, str]], int]:
    """List the candidates with how probable each is, or the first of many; and say how many more there are."""
    found = candidates(blame)
    most = len(found) if len(found) <= FEW_SUSPECTS else SOME_SUSPECTS
    return [(each.point, probability(each.probability)) for each in found[:most]], len(found) - most


def between(blame: Blame) -> tuple[Tested, Tested] | None:
    """Give the points between which it changed: the last one before, and the first one that is otherwise."""
    inside = inner(blame.tested)
    line = [each for each in blame.tested if each.point.id not in inside and each.state != "skipped"]
    after = next((place for place, each in enumerate(line) if (each.state == "bad") is not blame.fix), None)
    return (line[after - 1], line[after]) if after else None


def hints(blame: Blame, asked: Asked = Asked()) -> list[Hint]:  # noqa: B008  it never changes
    """List what to do next."""
    if blame.outcome == "found":
        found = _to_look(blame, asked)
    elif blame.outcome == "not bad":
        found = _where_it_is_not(blame, asked)
    elif blame.outcome == "not good":
        found = _where_it_is(blame, asked)
    elif blame.outcome == "not judged":
        found = [Hint("repair what keeps the end from being built and started (its log says what), or name another")]
    elif blame.outcome == "candidates":
        found = [*_range(blame), Hint("make those that could not be tried testable (--build, --setup, --set), or look"
                                      " at what each of them changes")]  # fmt: skip
    elif blame.outcome == "undecided":
        found = [*_range(blame), _with_more(asked)]
    else:
        first = "when the machine is well again, " if blame.outcome == "trouble" else ""
        found = [Hint(f"{first}go on where it ended", _going_on(asked))]
    if blame.journal is not None:
        found.append(Hint("the logs of all that was tried", f"ls {shlex.quote(f'{blame.journal}/logs')}"))
    return found


def inner(tested: Iterable[Tested]) -> set[str]:
    """List the points that were tried inside of a merge: they have the place of the point before it, and follow it."""
    found: set[str] = set()
    before: Tested | None = None
    for each in tested:
        if before is not None and each.place == before.place:
            found.add(each.point.id)
        before = each
    return found


def nearest(blame: Blame, most: int) -> tuple[Sequence[Tested], int]:
    """Give the points that were tried, or of too many those around what was found; and say how many are left out."""
    tested = blame.tested
    if len(tested) <= most:
        return tested, 0
    sought = {each.id for each in (blame.culprit, *(each.point for each in blame.suspects[:1])) if each is not None}
    middle = next((place for place, each in enumerate(tested) if each.point.id in sought), len(tested) // 2)
    first = min(max(0, middle - most // 2), len(tested) - most)
    return tested[first : first + most], len(tested) - most


def showed(tested: Tested) -> str:
    """Say in how many attempts the bug showed, of those that say something."""
    said = tested.shown + tested.held
    return f"{tested.shown} of {said}" if said else "-"


def share(tested: Tested) -> float | None:
    """Say in which part of the attempts the bug showed; None where none says something."""
    said = tested.shown + tested.held
    return tested.shown / said if said else None


def why(tested: Tested) -> str:
    """Say why a point was skipped; nothing where it was not."""
    return ": ".join(filter(None, [tested.word, tested.reason])) if tested.state == "skipped" else ""


def probability(part: float) -> str:
    """Write how probable something is: 30 %, below 0.1 %."""
    return "below 0.1 %" if part < 0.001 else percent(part)  # noqa: PLR2004


def noun(blame: Blame) -> str:
    """Say what a point is: a commit, a version."""
    return blame.axis.removesuffix("s")


def many(number: int, word: str) -> str:
    """Say how many: 1 commit, 1,024 commits."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def lasting(seconds: float) -> str:
    """Say how long: 1.3 s, 42 s, 2 min 05 s, 1 h 02 min."""
    if seconds < 9.95:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"  # noqa: PLR2004


def _number(pull_request: str | None) -> str:
    return "" if pull_request is None else f"#{pull_request.removeprefix('#')}"


def _here_and_there(blame: Blame) -> str:
    """Say how often the bug showed at the culprit, and before it."""
    here, there = (_tried_at(blame.tested, each) for each in (blame.culprit, blame.parent))
    said = [] if here is None else [f"reproduced in {_of_attempts(here)} here"]
    if there is not None and said:
        before = "its parent" if blame.axis == "commits" else "the version before"
        said.append(f"in {showed(there)} at {before} {there.point.name}")
    return ", ".join(said)


def _of_attempts(tested: Tested) -> str:
    said = tested.shown + tested.held
    return f"{tested.shown} of {many(said, 'attempt')}"


def _tried_at(tested: Iterable[Tested], point: Point | None) -> Tested | None:
    return None if point is None else next((each for each in tested if each.point.id == point.id), None)


def _to_look(blame: Blame, asked: Asked) -> list[Hint]:
    point = blame.culprit
    if point is None:
        return []
    if blame.axis == "versions":
        package = blame.package or "PACKAGE"
        version = shlex.quote(f"{package}=={point.id}")
        found = [Hint("have that version by hand", f"python -m venv by-hand && by-hand/bin/pip install {version}")]
    else:
        folder, name = shlex.quote(f"../bisect-{point.name}"), shlex.quote(point.name)
        found = [
            Hint("what it changed", f"git show {name}"),
            Hint("have it by hand, in a folder of its own", f"git worktree add --detach {folder} {name}"),
        ]
    return found if asked.replay is None else [*found, Hint("and try the bug there", asked.replay)]


def _where_it_is_not(blame: Blame, asked: Asked) -> list[Hint]:
    near = blame.near
    if blame.fix:
        return [Hint("name with --bad a point at which the bug shows")]
    if blame.revision and near is not None and blame.revision != near.id:
        return [
            Hint(
                "it was recorded at another commit, so it may have been mended since; search for what mended it",
                _again(asked, ["--find-fix"], ["--bad", blame.revision], without="--good"),
            )
        ]
    return [Hint("name with --bad a point at which the bug shows, or look whether the service is started as it was")]


def _where_it_is(blame: Blame, asked: Asked) -> list[Hint]:
    if blame.axis == "versions":
        return [Hint("name other versions with --versions, the first or the last of which is without the bug")]
    if blame.fix:
        return [Hint("name with --good a newer end, one at which the bug does not show any more")]
    back = [Hint("go further back", _again(asked, ["--good", "auto"]))] if blame.far is not None else []
    return [*back, Hint("or name an older end with --good, one at which the bug was not yet there")]


def _range(blame: Blame) -> list[Hint]:
    ends = between(blame)
    if ends is None or blame.axis != "commits" or len(candidates(blame)) <= FEW_SUSPECTS:
        return []
    return [
        Hint("what lies between", f"git log --oneline {shlex.quote(f'{ends[0].point.name}..{ends[1].point.name}')}")
    ]


def _with_more(asked: Asked) -> Hint:
    if asked.raised is None:
        return Hint("look for what else decides whether the bug shows: a file that stays, another service, the time")
    return Hint(f"go on with more {_BUDGETS[asked.raised[0]]}", _going_on(asked, asked.raised))


def _again(asked: Asked, *options: Sequence[str], without: str = "") -> str:
    """Write the command of the bisect with other options."""
    return _command(asked, asked.words, *options, without=without)


def _going_on(asked: Asked, *options: Sequence[str]) -> str:
    return _command(asked, asked.resumed, ["--resume"], *options)


def _command(asked: Asked, words: Words, *options: Sequence[str], without: str = "") -> str:
    replaced = {"--resume", without, *(each[0] for each in options)}
    kept = [word for each in words if each[0] not in replaced for word in each]
    said = [
        word if word == "..." else shlex.quote(word) for word in [*kept, *(word for each in options for word in each)]
    ]
    return " ".join([asked.program, "bisect", *said])
