"""What a bisect is held to, each point in a table of its own.

python tests/benchmarks/bisects.py [PART...] [--repositories N] [--trials N]

The parts are simulated, others, steady, masked, flaky, merges, killed and time; without one, all of them are measured,
which takes about half an hour. For `simulated` and `others`, which take a minute or two, the attempts at each commit
are drawn by chance, and nothing is built. Everywhere else it is the command line that is run, on repositories of 1,000
commits of a small HTTP service, which is started at each commit that is tried. Chance is seeded, but for that of the
flaky service.
"""

import argparse
import compileall
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parent.parent))

from bisected import bisect_words, blame_of, command, kept, left_of, trees_of, variables
from histories import BUILD, KEEPER, NAMES, START, History, Plan, made, recorded

from replaykit import bisecting, memory, search
from replaykit import plan as plans
from replaykit.axis import Bench, Point, Tried, Visit
from replaykit.blame import Blame
from replaykit.errors import UnbuildableError
from replaykit.rate import Odds

COMMITS = 1000
REPOSITORIES = 50
TRIALS = 100
LIVE = 5  # repositories with a bug that shows only sometimes
KILLS = 20
ROUNDS = 5
RUNS = 10  # of a flaky bug, when it was recorded
ATTEMPTS = 4  # after which a bug that showed each time may be called fixed
COMING, TRYING = 1.0, 0.1  # seconds that a simulated build and a simulated attempt take
THE_SAME = "by hand, all that a bisect does: 3 starts at the bad end, 4 at the culprit's parent"
DEADLINE = 600  # seconds that a bisect may take

JUDGE = """
import http.client, json, socket, subprocess, sys, time
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

def ask(client, method, path, data=None):
    client.request(method, path, json.dumps(data) if data else None)
    return json.loads(client.getresponse().read())

def is_healthy(service, client):
    while service.poll() is None:
        try:
            ask(client, "GET", "/api/health")
        except OSError:
            client.close()
            time.sleep(0.01)
        else:
            return True
    return False

def is_well(client):
    ask(client, "POST", "/reset")
    total, amounts = 0, []
    for amount in (1, 3, 8):
        total, amounts = total + amount, [*amounts, amount]
        balance = ask(client, "POST", "/entries", {"amount": amount})["balance"]
        if balance != total or ask(client, "GET", "/entries") != amounts:
            return False
    return True

def judged(attempts):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = subprocess.Popen([sys.executable, "app.py", str(port)], **quiet)
    client = http.client.HTTPConnection("127.0.0.1", port)
    try:
        if not is_healthy(service, client):
            return 125
        return 0 if all(is_well(client) for _ in range(attempts)) else 1
    finally:
        service.kill()
        service.wait()

attempts, starts = int(sys.argv[1]), int(sys.argv[2])
codes = {judged(attempts) for _ in range(starts)}
sys.exit(codes.pop() if len(codes) == 1 else 125)
"""


# --- simulated ----------------------------------------------------------------------------------


@dataclass
class Draws(Bench):
    """Points that are commits of a line, and attempts that are drawn by chance."""

    culprit: int
    luck: random.Random
    rate: float = 1.0
    false: float = 0.0
    broken: Collection[int] = ()
    masked: Collection[int] = ()
    each: Literal["run", "start"] = "run"  # when chance has its say
    enough: int = ATTEMPTS

    @contextlib.contextmanager
    def visit(self, point: Point) -> Iterator[Visit]:
        """Start nothing."""
        if int(point.id) in self.broken:
            raise UnbuildableError(f"{point.name} can't be built.")
        yield Draw(self, int(point.id), self.luck.random())

    def cancel(self) -> None:
        """End nothing."""


@dataclass
class Draw(Visit):
    """A point of them."""

    draws: Draws
    number: int
    lucky: float = 0.0  # of its start
    seconds: float = COMING

    def attempt(self, times: int | None = None, *, anew: bool = False) -> Tried:
        """Draw."""
        draws = self.draws
        if anew:
            self.lucky = draws.luck.random()
        if self.number in draws.masked:
            return Tried(word="different", reason="it fails in another way", attempts=1, seconds=TRYING)
        chance = draws.rate if self.number >= draws.culprit else draws.false
        shown = held = 0
        for _ in range(draws.enough if times is None else times):
            if (draws.luck.random() if draws.each == "run" else self.lucky) < chance:
                shown += 1
                if times is None:
                    break
            else:
                held += 1
        word = "reproduced" if shown else "fixed" if held >= draws.enough else "undecided"
        count = shown + held
        return Tried(word=word, shown=shown, held=held, attempts=count, seconds=TRYING * count)


def drawn(luck: random.Random, culprit: int, kind: "Kind") -> Blame:
    """Search a line of commits whose attempts are drawn."""
    failed = RUNS if kind.rate == 1 else 0
    while not failed:
        failed = sum(luck.random() < kind.rate for _ in range(RUNS))
    odds = Odds(failed, RUNS)
    plan = kind.planned(luck, COMMITS, culprit)
    bench = Draws(culprit, luck, kind.rate, kind.false, plan.broken, plan.masked, kind.each, odds.needed)
    points = [Point(id=str(number), name=str(number), code=str(number)) for number in range(COMMITS)]
    asked = plans.Plan(steady=failed == RUNS, odds=odds)
    return bisecting.Bisect(plans.Range(points), [bench], asked, memory.Memory()).run()


# --- what is searched ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of history."""

    name: str
    rate: float = 1.0
    false: float = 0.0
    each: Literal["run", "start"] = "run"
    unbuildable: float = 0.0  # of all commits, by chance
    block: int = 0  # commits in a row that can't be built
    mask: int = 0  # commits in a row with another bug in front of this one
    merges: int = 0
    options: tuple[str, ...] = ()

    def planned(self, luck: random.Random, commits: int, culprit: int) -> Plan:
        """Plan one: the ends can be judged, blocks are anywhere else."""
        inner = range(1, commits - 1)
        broken = {each for each in inner if luck.random() < self.unbuildable}
        broken |= set(_block(luck, self.block, commits))
        masked = set(_block(luck, self.mask, commits))
        return Plan(
            commits=commits,
            culprit=culprit,
            broken=broken,
            masked=masked,
            rate=self.rate,
            false=self.false,
            each=self.each,
            merges=self.merges,
            breaks="build" if BUILD in self.options else "start",
        )


def _block(luck: random.Random, length: int, commits: int) -> Iterable[int]:
    first = luck.randrange(1, commits - length - 1) if length else 0
    return range(first, first + length)


STEADY = [
    Kind("shows each time"),
    Kind("8 % can't be started", unbuildable=0.08),
    Kind("a block of 50 can't be built", block=50, options=("--build", BUILD)),
    Kind("both", unbuildable=0.08, block=50),
]
MASKED = [
    Kind("another bug in front of it in 50", mask=50),
    Kind("another bug in front of it in 200", mask=200),
]
FLAKY = [
    Kind("shows in 50 %", rate=0.5),
    Kind("shows in 50 %, and in 2 % where it is not", rate=0.5, false=0.02),
    Kind("shows in 90 %", rate=0.9),
    Kind("shows in 90 %, and in 2 % where it is not", rate=0.9, false=0.02),
    Kind("shows in 30 %", rate=0.3),
    Kind("shows in 50 %, 8 % can't be started", rate=0.5, unbuildable=0.08),
    Kind("shows in 50 % of the starts", rate=0.5, each="start"),
]


@dataclass
class Score:
    """What became of all histories of a kind."""

    right: int = 0
    listed: int = 0  # several candidates, the culprit among them
    unknown: int = 0  # none is named
    wrong: int = 0
    tests: list[int] = field(default_factory=list)
    visits: list[int] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def count(self, blame: Blame, culprit: str, seconds: float) -> None:
        """Take note of one."""
        suspects = [each.point.id for each in blame.suspects if each.probability > 0]
        if blame.outcome == "found" and blame.culprit is not None:
            is_right = blame.culprit.id == culprit
            self.right, self.wrong = self.right + is_right, self.wrong + (not is_right)
        elif blame.outcome == "candidates":
            self.listed, self.wrong = self.listed + (culprit in suspects), self.wrong + (culprit not in suspects)
        else:
            self.unknown += 1
        self.tests.append(blame.spent.tests)
        self.visits.append(blame.spent.visits)
        self.attempts.append(blame.spent.attempts)
        self.seconds.append(seconds)

    def row(self, name: str) -> str:
        """Write a line of the table."""
        counts = f"{self.right} | {self.listed} | {self.unknown} | {self.wrong}"
        numbers = " | ".join(f"{median(each):.0f}, {max(each)}" for each in (self.tests, self.visits, self.attempts))
        return f"| {name} | {len(self.tests)} | {counts} | {numbers} | {median(self.seconds):.2f} |"


HEAD = (
    "| | histories | right | in a list | not found | wrong | tests: median, most | builds | attempts | seconds |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def simulated(asked: argparse.Namespace, folder: Path) -> None:
    """Search histories whose attempts are drawn."""
    del folder
    print(f"\n## Simulated: {asked.trials} histories of {COMMITS} commits each\n\n{HEAD}")
    for kind in (*STEADY, *MASKED, *FLAKY):
        luck, score = random.Random(kind.name), Score()
        for _ in range(asked.trials):
            culprit, began = luck.randrange(1, COMMITS), time.perf_counter()
            score.count(drawn(luck, culprit, kind), str(culprit), time.perf_counter() - began)
        print(score.row(kind.name), flush=True)


def others(asked: argparse.Namespace, folder: Path) -> None:
    """Halve the same histories, with what a script does: so many attempts at each commit, and one word for it."""
    del folder
    print(f"\n## Halving: {asked.trials} histories of {COMMITS} commits each\n")
    print(
        "| the bug | attempts at each commit | fails in another way: counts as | right | wrong |\n|---|---|---|---|---|"
    )
    for kind in (MASKED[1], *FLAKY[:4]):
        for tries in (1,) if kind.mask else (1, 5, 10):
            for is_bad in (True, False) if kind.mask else (True,):
                luck, right = random.Random(kind.name), 0
                for _ in range(asked.trials):
                    culprit = luck.randrange(1, COMMITS)
                    right += halved(luck, culprit, kind, tries, is_bad=is_bad) == culprit
                word = ("bad" if is_bad else "good") if kind.mask else "-"
                print(f"| {kind.name} | {tries} | {word} | {right} | {asked.trials - right} |", flush=True)


def halved(luck: random.Random, culprit: int, kind: Kind, tries: int, *, is_bad: bool) -> int:
    """Halve a line of commits whose attempts are drawn; return who is blamed."""
    draws = Draws(culprit, luck, kind.rate, kind.false, masked=kind.planned(luck, COMMITS, culprit).masked)
    good, bad = 0, COMMITS - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        tried = Draw(draws, middle).attempt(tries)
        shows = is_bad if tried.word == "different" else tried.shown > 0
        good, bad = (good, middle) if shows else (middle, bad)
    return bad


# --- live ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What the command line came to."""

    code: int
    blame: Blame | None
    seconds: float
    err: str


def bisected(history: History, homes: Path, *words: object) -> Told:
    """Run a bisect in a repository."""
    began = time.perf_counter()
    done = subprocess.run(
        command(*words, "--json", "--quiet"), cwd=history.folder, env=variables(homes), capture_output=True, text=True,
        timeout=DEADLINE, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    blame = blame_of(done.stdout) if done.stdout.strip() else None
    return Told(done.returncode, blame, seconds, done.stderr)


def live(title: str, kinds: Iterable[Kind], count: int, folder: Path) -> None:
    """Search repositories with the command line."""
    print(f"\n## {title}\n\n{HEAD}")
    for kind in kinds:
        luck, score = random.Random(kind.name), Score()
        bundle = recorded(folder / f"{len(list(folder.glob('*.pd')))}.pd", failed=round(RUNS * kind.rate), runs=RUNS)
        for _ in range(count):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                plan = kind.planned(luck, COMMITS, luck.randrange(1, COMMITS - 1))
                history = made(Path(place) / "repository", plan)
                before = kept(history)
                told = bisected(history, Path(place), *bisect_words(bundle), *kind.options)
                assert told.blame is not None, told
                assert kept(history) == before
                score.count(told.blame, history.culprit, told.seconds)
        print(score.row(kind.name), flush=True)


def steady(asked: argparse.Namespace, folder: Path) -> None:
    """Search for a bug that shows each time."""
    live("A bug that shows each time", STEADY, asked.repositories, folder)


def masked(asked: argparse.Namespace, folder: Path) -> None:
    """Search for a bug with another one in front of it."""
    live("Another bug in front of this one", MASKED, asked.repositories, folder)


def flaky(asked: argparse.Namespace, folder: Path) -> None:
    """Search for a bug that shows only sometimes, with the command line."""
    live("A bug that shows only sometimes", FLAKY[:2], min(LIVE, asked.repositories), folder)


def merges(asked: argparse.Namespace, folder: Path) -> None:
    """Search for a bug that came with a branch of five commits."""
    print("\n## Merges\n\n| | repositories | the commit | the merge | tests: median, most |\n|---|---|---|---|---|")
    bundle = recorded(folder / "merges.pd", failed=RUNS, runs=RUNS)
    for name, options in (("first the merges, then inside", ()), ("all commits at once", ("--all-parents",))):
        luck, right, merge, tests = random.Random(name), 0, 0, []
        for _ in range(min(LIVE, asked.repositories)):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                history, brought = with_merges(luck, Path(place) / "repository")
                told = bisected(history, Path(place), *bisect_words(bundle), *options)
                assert told.blame is not None, told
                right += told.blame.culprit is not None and told.blame.culprit.id == history.culprit
                merge += told.blame.merge is not None and told.blame.merge.id == brought  # fmt: skip
                tests.append(told.blame.spent.tests)
        print(f"| {name} | {len(tests)} | {right} | {merge} | {median(tests):.0f}, {max(tests)} |", flush=True)


def with_merges(luck: random.Random, folder: Path) -> tuple[History, str]:
    """Make a repository with merges whose culprit is in one of the branches; return the merge that brought it too."""
    shape = made(folder.with_name("shape"), Plan(commits=COMMITS, culprit=1, merges=4))
    merged = [number for number in shape.main[:-1] if len(shape.parents[number]) > 1]
    merge = luck.choice(merged)
    culprit = merge - luck.randrange(1, 6)
    shutil.rmtree(shape.folder)
    history = made(folder, Plan(commits=COMMITS, culprit=culprit, merges=4))
    return history, history.hashes[merge]


# --- killed -------------------------------------------------------------------------------------


def killed(asked: argparse.Namespace, folder: Path) -> None:
    """Kill it at random moments, and let it go on."""
    del asked
    luck = random.Random("killed")
    bundle = recorded(folder / "killed.pd", failed=RUNS, runs=RUNS)
    history = made(folder / "killed", Plan(commits=COMMITS, culprit=luck.randrange(1, COMMITS)))
    (history.folder / "CHANGES.md").write_text("not committed\n")
    words = bisect_words(bundle)
    whole = bisected(history, folder / "whole", *words)
    assert whole.code == 0, whole
    same = clean = early = over = anew = resumed = 0
    for number in range(KILLS):
        homes, before = folder / f"homes{number}", kept(history)
        process = subprocess.Popen(
            command(*words), cwd=history.folder, env=variables(homes), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(luck.random() * whole.seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        same += kept(history) == before
        clean += not left_of(homes)
        last = last_line(homes)
        is_over = last.startswith(b'{"k":"end"')
        early, over = early + (not last), over + is_over
        goes_on = last and not is_over
        told = bisected(history, homes, "bisect", "--resume") if goes_on else bisected(history, homes, *words)
        is_right = told.blame is not None and told.blame.culprit is not None and (
            told.blame.culprit.id == history.culprit
        )  # fmt: skip
        resumed, anew = (resumed + is_right, anew) if goes_on else (resumed, anew + is_right)
        assert trees_of(history) == [], trees_of(history)
    print(f"\n## Killed with SIGKILL at {KILLS} random moments of {whole.seconds:.1f} s\n")
    print("| | of them |\n|---|---|")
    print(f"| the repository is as it was: status, HEAD, refs, index, reflogs | {same} |")
    print(f"| no process is left | {clean} |")
    print(f"| nothing to go on with: killed before anything was written down | {early} |")
    print(f"| nothing to go on with: the journal says that it was over | {over} |")
    print(f"| the same commit from one that is begun anew instead | {anew} of {early + over} |")
    print(f"| the same commit with --resume | {resumed} of {KILLS - early - over} |", flush=True)


def last_line(homes: Path) -> bytes:
    """Return the last whole line of the journal of a bisect with these homes; none where there is no journal."""
    lines = [line for path in homes.rglob("journal.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
    return lines[-1] if lines else b""


# --- time ---------------------------------------------------------------------------------------


def wall(asked: argparse.Namespace, folder: Path) -> None:
    """Compare it with `git bisect run`."""
    del asked
    compileall.compile_dir(Path(bisecting.__file__).parent, quiet=1)  # as pip leaves it
    bundle = recorded(folder / "wall.pd", failed=RUNS, runs=RUNS)
    shutil.copy(KEEPER, folder)
    judge = folder / "judge.py"
    judge.write_text(JUDGE)
    replay = ["replay", bundle, *NAMES, "--start", START]
    ways: dict[str, Callable[[History, Path], Any]] = {
        "git bisect run, a script by hand, one attempt": lambda history, _: by_git(
            history, sys.executable, judge, 1, 1
        ),
        f"the same, {ATTEMPTS} attempts, both ends first, the culprit once more": lambda history, _: by_git_checked(
            history, sys.executable, judge, ATTEMPTS
        ),
        THE_SAME: lambda history, _: by_git_checked(
            history, sys.executable, judge, ATTEMPTS, bad=search.STARTS, parent=search.CONFIRMED
        ),
        "git bisect run replaykit replay": lambda history, _: by_git(history, *command(*replay)),
        "replaykit bisect": lambda history, homes: by_bisect(history, homes, bundle),
        "replaykit bisect --jobs 2": lambda history, homes: by_bisect(history, homes, bundle, "--jobs", "2"),
    }
    luck = random.Random("wall")
    plans = [Plan(commits=COMMITS, culprit=luck.randrange(1, COMMITS - 1)) for _ in range(ROUNDS)]
    histories = [made(folder / f"wall{number}", plan) for number, plan in enumerate(plans)]
    print(f"\n## Wall time: median of {ROUNDS} repositories of {COMMITS} commits\n")
    took: dict[str, list[tuple[float, bool, int]]] = {name: [] for name in ways}
    for place, history in enumerate(histories):  # one way after the other, so that a busy machine is so for all
        for number, (name, way) in enumerate(ways.items()):
            began = time.perf_counter()
            found, count = way(history, folder / f"wall-homes-{number}-{place}")
            took[name].append((time.perf_counter() - began, found == history.culprit, count))
    print("| | seconds | beside the script that does the same | right | tries of a commit |\n|---|---|---|---|---|")
    for name, each in took.items():
        beside = median(one[0] / other[0] for one, other in zip(each, took[THE_SAME], strict=True))
        seconds, right, count = (
            median(one[0] for one in each),
            sum(one[1] for one in each),
            median(one[2] for one in each),
        )
        print(f"| {name} | {seconds:.2f} | {beside:.2f} x | {right} | {count:.0f} |", flush=True)


def by_git(history: History, *words: object) -> tuple[str, int]:
    """Let `git bisect run` find it; return the commit, and how often one was tried."""
    history.git("bisect", "start", "main", "v1.0")
    ran = subprocess.run(
        ["git", "bisect", "run", *map(str, words)], cwd=history.folder, env=variables(history.folder.parent),
        capture_output=True, text=True, timeout=DEADLINE, check=True,
    )  # fmt: skip
    found = history.git("rev-parse", "refs/bisect/bad")
    history.git("bisect", "reset")
    return found, ran.stdout.count("running ")


def by_git_checked(history: History, *words: object, bad: int = 1, parent: int = 1) -> tuple[str, int]:
    """Do by hand what a bisect does beside: try both ends first, and the culprit and its parent once more at last.

    The bad end is tried with so many starts of the service, and so is the parent.
    """

    def judged(commit: str, starts: int = 1) -> int:
        history.git("checkout", "--quiet", "--detach", commit)
        return subprocess.run([*map(str, words), str(starts)], cwd=history.folder, check=False).returncode

    assert [judged("main", bad), judged("v1.0")] == [1, 0]
    history.git("checkout", "--quiet", "main")
    found, steps = by_git(history, *words, 1)
    assert [judged(found), judged(f"{found}^", parent)] == [1, 0]
    history.git("checkout", "--quiet", "main")
    return found, steps + 4


def by_bisect(history: History, homes: Path, bundle: Path, *options: str) -> tuple[str | None, int]:
    """Let `replaykit bisect` find it; return the commit, and how often one was tried."""
    told = bisected(history, homes, *bisect_words(bundle), *options)
    assert told.blame is not None, told
    return told.blame.culprit and told.blame.culprit.id, told.blame.spent.visits


PARTS: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "simulated": simulated,
    "others": others,
    "steady": steady,
    "masked": masked,
    "flaky": flaky,
    "merges": merges,
    "killed": killed,
    "time": wall,
}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description="What a bisect is held to.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--repositories", type=int, default=REPOSITORIES)
    parser.add_argument("--trials", type=int, default=TRIALS)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="bisects-") as folder:
        for name in asked.parts or PARTS:
            PARTS[name](asked, Path(folder))


if __name__ == "__main__":
    main()
