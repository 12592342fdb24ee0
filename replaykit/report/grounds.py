"""The grounds of a blame: what is said of it, in whatever form it is written down."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple, TypeAlias, TypeVar

from replaykit.axis import Point
from replaykit.blame import Blame, Suspect, Tested
from replaykit.rate import percent

FEW_FILES = 5  # that are named
FEW_SUSPECTS = 10  # all of which are named
SOME_SUSPECTS = 5  # of more, so many are
LONGEST_SUBJECT = 60  # characters, in one line with other things
EVEN = 0.8  # of the most probable candidate's part, that the least probable one has too
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


class Hand(NamedTuple):
    """How the service is come to by hand, as far as that can be typed."""

    setup: str | None = None  # commands, as a shell takes them
    build: str | None = None
    start: str | None = None
    folder: str = ""  # in which they are run, seen from the top of a checkout
    package: str | None = None  # of versions, with its extras
    beside: Sequence[str] = ()  # what is installed with it
    python: str = "python"


class Asked(NamedTuple):
    """What the user typed, as far as the next commands need it, secrets covered."""

    program: str = "replaykit"
    words: Words = (("...",),)  # of this bisect
    resumed: Words = ()  # those of them that have to be said to go on with it
    raised: Sequence[str] | None = None  # the budget that is spent: its option, and a larger value
    replay: str | None = None  # the command that replays the bundle, but for where the service is
    hand: Hand = Hand()


class Hint(NamedTuple):
    """What to do next, and the command that does it; nothing where there is none to type."""

    what: str
    command: str = ""


def conclusion(blame: Blame) -> tuple[str, str]:
    """Return word and reason of the last line that a bisect prints."""
    if blame.outcome != "found" or blame.culprit is None:
        return blame.outcome, blame.reason
    point = blame.culprit
    subject = shortened(point.subject or (blame.change.subject if blame.change is not None else ""))
    named = " ".join(filter(None, [point.name, subject]))
    sure = None if blame.confidence is None else f"confidence {percent(blame.confidence)}"
    did = "mended" if blame.fix else "brought"
    return blame.outcome, ", ".join(filter(None, [f"{named} {did} it", _here_and_there(blame), sure]))


def title(blame: Blame) -> str:
    """Say in a few words what a bisect came to."""
    kind = blame.noun
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
        "interrupted": f"stopped before it was known which {kind} {did} it",
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
            found.append(f"it and the {blame.noun} before it were not tried once more")
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
    inside = inner(blame.tested)
    cached = sum(each.cached for each in blame.tested)
    known = f", {cached:,} of them known before" if cached else ""
    all_ = many(blame.points + (blame.far is not None), blame.noun)
    more = f", and {len(inside):,} inside of a merge" if inside else ""
    return (
        f"{stages.tests - len(inside):,} of {all_} tried{more}{known}, in {many(stages.visits, 'visit')}, "
        f"{many(stages.attempts, 'attempt')}, {lasting(stages.seconds)}"
    )


def candidates(blame: Blame) -> list[Suspect]:
    """List the suspects but for those that it can't be; where each is as improbable as can be, all of them."""
    return [each for each in blame.suspects if each.probability > 0] or blame.suspects


def suspected(blame: Blame) -> tuple[list[tuple[Point, str]], int]:
    """List the candidates with how probable each is, or the first of many; and say how many more there are."""
    found = candidates(blame)
    most = len(found) if len(found) <= FEW_SUSPECTS else 0 if ranged(blame) else SOME_SUSPECTS
    return [(each.point, probability(each.probability)) for each in found[:most]], len(found) - most


def ranged(blame: Blame) -> str:
    """Say of many candidates that are as probable as each other what they lie between; nothing of others."""
    found, ends = candidates(blame), between(blame)
    old, new = (blame.far, blame.near) if ends is None else (each.point for each in ends)
    is_even = len(found) > FEW_SUSPECTS and found[-1].probability > EVEN * found[0].probability
    if not is_even or new is None or blame.merge is not None:
        return ""
    after = "" if old is None else f" after {old.name}"
    return f"{many(len(found), blame.noun)}{after} up to {new.name}, {probability(found[0].probability)} each"


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
        found = _where_it_is_still(blame, asked)
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


def shortened(subject: str) -> str:
    """Leave out the end of a long subject."""
    return subject if len(subject) <= LONGEST_SUBJECT else f"{subject[:LONGEST_SUBJECT].rstrip()}..."


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


def took(tested: Tested) -> str:
    """Say how long a point took; or that it was known before."""
    return "known" if tested.cached else lasting(tested.seconds)


def _number(pull_request: str | None) -> str:
    return "" if pull_request is None else f"#{pull_request.removeprefix('#')}"


def _here_and_there(blame: Blame) -> str:
    """Say how often the bug showed at the culprit, and before it."""
    here, there = blame.tested_at(blame.culprit), blame.tested_at(blame.parent)
    said = [] if here is None else [f"reproduced in {_of_attempts(here)} here"]
    if there is not None and said:
        name = there.point.name
        before = f"its parent {name}" if blame.axis == "commits" else f"{name}, the version before"
        said.append(f"in {showed(there)} at {before}")
    return ", ".join(said)


def _of_attempts(tested: Tested) -> str:
    said = tested.shown + tested.held
    return f"{tested.shown} of {many(said, 'attempt')}"


def _to_look(blame: Blame, asked: Asked) -> list[Hint]:
    point = blame.culprit
    if point is None:
        return []
    if blame.fix:
        said = shlex.quote(f"mended by {' '.join(filter(None, [point.name, shortened(point.subject)]))}")
        found = [Hint("close the bug", f"{asked.program} close {shlex.quote(blame.bundle)} --note {said}")]
    else:
        found = []
    return [*found, *_by_hand(blame, point, asked)]


def _by_hand(blame: Blame, point: Point, asked: Asked) -> list[Hint]:
    """Say how the bug can be tried at a point by hand."""
    hand = asked.hand
    if blame.axis == "versions":
        wanted = shlex.join([f"{hand.package or blame.package or 'PACKAGE'}=={point.id}", *hand.beside])
        found = [Hint("have that version by hand",
                      f"{shlex.quote(hand.python)} -m venv by-hand && by-hand/bin/pip install {wanted}")]  # fmt: skip
        folder, before = "by-hand", 'PATH="$PWD/by-hand/bin:$PATH" '
    else:
        name = shlex.quote(point.name)
        tree = "../" * (len(PurePosixPath(hand.folder).parts) + 1) + f"bisect-{point.name}"
        found = [
            Hint("what it changed", f"git show {name}"),
            Hint("have it by hand, in a folder of its own", f"git worktree add --detach {shlex.quote(tree)} {name}"),
        ]
        folder, before = str(PurePosixPath(tree, hand.folder)), ""
        if hand.setup is not None:  # in a folder that only replaykit knows
            what = "set it up, build and start it there, and try the bug at the port that it has"
            return [
                *found,
                *([] if asked.replay is None else [Hint(what, f"{asked.replay} --url http://127.0.0.1:PORT")]),
            ]
        if hand.build is not None:
            found.append(Hint("build it there", f"(cd {shlex.quote(folder)} && {hand.build})"))
    if asked.replay is None or hand.start is None:
        return found if asked.replay is None else [*found, Hint("and try the bug there", asked.replay)]
    start = _quoted(f"sh -c {_quoted(f'cd {shlex.quote(folder)} && exec {hand.start}')}")
    return [*found, Hint("and try the bug there", f"{before}{asked.replay} --start {start}")]


def _quoted(text: str) -> str:
    """Quote a text for a shell, so that it can be read where it holds a text that is quoted itself."""
    return f'"{text}"' if "'" in text and not set(text) & set('"$`\\!') else shlex.quote(text)


def _where_it_is_not(blame: Blame, asked: Asked) -> list[Hint]:
    near = blame.near
    if blame.fix:
        return [Hint("name with --bad a point at which the bug shows")]
    if blame.axis == "commits" and blame.revision and near is not None and blame.revision != near.id:
        return [
            Hint(
                "it was recorded at an older commit, so it may have been mended since; search for what mended it",
                _again(asked, ["--find-fix"], ["--bad", blame.revision], ["--good", near.id]),
            )
        ]
    return [Hint("name with --bad a point at which the bug shows, or look whether the service is started as it was")]


def _where_it_is_still(blame: Blame, asked: Asked) -> list[Hint]:
    if blame.fix:
        return [Hint("name with --good a newer end, one at which the bug does not show any more")]
    if blame.axis == "versions":
        return [Hint("begin --versions with an older one, at which the bug was not yet there")]
    if blame.far is None:
        return [Hint("there is no older commit: look whether the model asks for what was never promised")]
    return [
        Hint("go further back", _again(asked, ["--good", "auto"])),
        Hint("or name an older end with --good, one at which the bug was not yet there"),
    ]


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


def _again(asked: Asked, *options: Sequence[str]) -> str:
    """Write the command of the bisect with other options."""
    return _command(asked, asked.words, *options)


def _going_on(asked: Asked, *options: Sequence[str]) -> str:
    return _command(asked, asked.resumed, ["--resume"], *options)


def _command(asked: Asked, words: Words, *options: Sequence[str]) -> str:
    replaced = {"--resume", *(each[0] for each in options)}
    kept = [word for each in words if each[0] not in replaced for word in each]
    said = [
        word if word == "..." else shlex.quote(word) for word in [*kept, *(word for each in options for word in each)]
    ]
    return " ".join([asked.program, "bisect", *said])
