"""The documentation: its tutorial is run, its help texts, errors, example and links are held against the truth."""

import difflib
import functools
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import ROOT, environment

from replaykit import errors, reader

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
FILE = ("python", "toml")  # blocks that are files of the tutorial, named by their first line
RUNS = "25"  # of the tutorial's campaigns, which have a hundred
FOUND, REPRODUCED, OFFLINE, FIXED = 1, 1, 1, 0  # exit codes of the story, in its order


def blocks(text: str) -> list[tuple[str, str]]:
    """List the fenced blocks of a page: the word after the fence, and the text."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", text)


# --- the tutorial -------------------------------------------------------------------------------


@dataclass
class Command:
    """One command of the tutorial, with the output that the page shows, and what came of it."""

    line: str
    shown: list[str] = field(default_factory=list)
    code: int = -1
    output: str = ""


def commands_of(block: str) -> list[Command]:
    """Read the commands of a console block, and what stands below each."""
    found: list[Command] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif found[-1].line.endswith("\\"):
            found[-1].line += f"\n{line}"
        else:
            found[-1].shown.append(line)
    return found


def changed(text: str, patch: list[str]) -> str:
    """Apply a diff block to the text of a file."""
    before, after = ("\n".join(line[1:] for line in patch if line[:1] in {" ", sign}) for sign in "-+")
    assert text.count(before) == 1, before
    return text.replace(before, after)


class Story:
    """The tutorial, or another page, done by a reader in an empty folder, with an environment of their own.

    The reader stops after so many replays, or else at its end.
    """

    def __init__(self, folder: Path, replays: int | None = None, page: str = "tutorial.md", **more: str) -> None:
        self.folder = folder
        folder.mkdir()
        identity = {f"GIT_{who}_{what}": "reader" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        own = {**identity, "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8", "REPLAYKIT_RUNS": RUNS}
        self.environment = environment(**{**own, **more})
        self.commands: list[Command] = []
        for kind, block in blocks((DOCS / page).read_text(encoding="utf-8")):
            if kind == "console":
                for command in commands_of(block):
                    self.run(command)
                    if len(self.replays()) == replays:
                        return
            elif kind in {*FILE, "diff"}:
                self.write(kind, block)

    def write(self, kind: str, block: str) -> None:
        """Write a file of the tutorial, or change it as its diff says."""
        named, *lines = block.splitlines()
        path = self.folder / named.removeprefix("# ")
        path.write_text(block if kind in FILE else changed(path.read_text(encoding="utf-8"), lines), encoding="utf-8")

    def run(self, command: Command) -> None:
        """Run a command in the folder, as the shell that ran the one before."""
        before = self.commands[-1].code if self.commands else 0
        done = subprocess.run(
            ["bash", "-c", f"(exit {before}); {command.line}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        command.code, command.output = done.returncode, done.stdout
        self.commands.append(command)

    def replays(self) -> list[Command]:
        """List the replays, in their order, without the one in the bisect."""
        return [command for command in self.commands if command.line.startswith("replaykit replay ")]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Run the tutorial once."""
    return Story(tmp_path_factory.mktemp("tutorial") / "shop")


def test_tutorial_ends_in_the_exit_codes_that_it_tells(story: Story):
    """The bug is found (1), reproduced live (1) and offline (1), and fixed after the repair (0)."""
    hunt = next(each for each in story.commands if "integration" in each.line and "--mock" not in each.line)
    live, offline, repaired = story.replays()

    assert [hunt.code, live.code, offline.code, repaired.code] == [FOUND, REPRODUCED, OFFLINE, FIXED], hunt.output
    assert "--offline" in offline.line


def test_tutorial_saves_a_bundle_of_as_many_commands_as_it_tells(story: Story):
    """The bundle that is saved has the number of commands that the tutorial claims."""
    claimed = re.search(r"came to (\d+) commands", (DOCS / "tutorial.md").read_text(encoding="utf-8"))
    [saved] = (story.folder / "failures").glob("*.pd")

    assert claimed is not None
    assert int(claimed[1]) == len(reader.read(saved).trace.steps)


def test_tutorial_bisects_to_the_commit_that_it_tells(story: Story):
    """The bisect blames the commit that reverted the repair."""
    [bisect] = [each for each in story.commands if each.line.startswith("git bisect run")]
    blamed = re.search(r"^(\w+) is the first bad commit$", bisect.output, re.MULTILINE)

    assert blamed is not None, bisect.output
    subject = subprocess.run(
        ["git", "show", "--no-patch", "--format=%s", blamed[1]],
        cwd=story.folder, env=story.environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert subject.startswith('Revert "shop: a removed item leaves no count behind"')


def test_tutorial_shows_what_is_printed(story: Story):
    """Each command prints what stands below it, whatever the numbers are and whatever `...` stands for."""
    for command in story.commands:
        holds(command)


def holds(command: Command) -> None:
    """Fail where a command printed anything else than what the page shows below it; show the difference."""
    printed = [line.rstrip() for line in command.output.splitlines() if not is_heartbeat(line)]
    difference = "\n".join(difflib.unified_diff(command.shown, printed, "shown", "printed", lineterm=""))
    assert shown_as(command.shown).fullmatch("\n".join(printed)), f"{command.line}\n{difference}"


def is_heartbeat(line: str) -> bool:
    """Say whether a line tells of progress, which depends on the time that a machine takes."""
    return bool(re.match(r"run \d+/\d+, |shrinking \w+: ", line))


def shown_as(lines: list[str]) -> re.Pattern[str]:
    """Make a pattern of lines that a page shows: numbers are free, `...` is any text, alone it is any lines."""
    parts = []
    for line in lines:
        free = re.escape(line.rstrip()).replace(r"\.\.\.", ".*")
        free = re.sub(r"\\\[(\\ )*\d+\\\]", r"\\[ *\\d+\\]", free)
        parts.append(r"(?s:.*)" if line == "..." else re.sub(r"(?<!\\)\d+(?!\\\])", r"\\d+", free))
    return re.compile("\n".join(parts))


def test_exit_codes_that_the_tutorial_shows_are_exact(story: Story):
    """What `echo $?` prints is what the tutorial shows, to the digit."""
    shown = [(each.shown, each.output.split()) for each in story.commands if each.line == "echo $?"]

    assert shown
    assert [each for each, _ in shown] == [each for _, each in shown]


# --- help ---------------------------------------------------------------------------------------


def helps() -> dict[str, str]:
    """Read the help texts in cli.md, by command; that of the group is under the empty name."""
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    return dict(re.findall(r"(?ms)^<!-- help: ?([\w-]*) ?-->\n+```text\n(.*?)^```$", text))


def words(text: str) -> list[str]:
    """Split a help text into words, since where lines break depends on the version of click."""
    return text.split()


@functools.cache
def real_help(name: str) -> str:
    """Ask the program for its help."""
    done = subprocess.run(
        [sys.executable, "-c", "from replaykit.cli import entry; entry()", *name.split(), "--help"],
        env=environment(COLUMNS="80", TERM="dumb"),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    return done.stdout


def test_every_command_has_its_help_in_the_docs():
    """The commands of the program are those that cli.md shows the help of."""
    from replaykit.cli.app import commands

    assert {"", *commands.commands} == set(helps())


@pytest.mark.parametrize("name", sorted(helps()))
def test_help_in_the_docs_is_the_real_one(name: str):
    """The help that cli.md shows is what `--help` prints."""
    assert words(helps()[name]) == words(real_help(name))


def test_every_key_of_a_profile_is_in_the_docs():
    """The keys of a profile are those in the table of cli.md."""
    from replaykit.profile import KEYS

    section = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8").split("\n## Profiles\n")[1].split("\n## ")[0]

    assert set(KEYS) == set(re.findall(r"(?m)^\| `(\w+)` \|", section))


# --- errors -------------------------------------------------------------------------------------


def slugs_of(kind: type[errors.ReplaykitError]) -> set[str]:
    """Collect the slugs of an error and of all errors below it."""
    return {kind.slug}.union(*map(slugs_of, (each for each in kind.__subclasses__() if is_ours(each))))


def is_ours(kind: type) -> bool:
    """Say whether an error is replaykit's own, rather than one of a test."""
    return kind.__module__.startswith("replaykit.")


def test_every_slug_has_its_section_and_no_section_has_none():
    """The sections of errors.md are the slugs of errors.py, and `internal`."""
    sections = re.findall(r"(?m)^## (.*)$", (DOCS / "reference" / "errors.md").read_text(encoding="utf-8"))

    assert {f"`{slug}`" for slug in {*slugs_of(errors.ReplaykitError), "internal"}} == set(sections)
    assert len(sections) == len(set(sections))


def test_every_section_tells_the_exit_code_of_its_error():
    """The exit code in each section of errors.md is the one that the error ends in."""
    from replaykit.verdict import INTERNAL, exit_code

    def all_of(kind: type[errors.ReplaykitError]) -> list[type[errors.ReplaykitError]]:
        return [kind, *(deeper for each in kind.__subclasses__() if is_ours(each) for deeper in all_of(each))]

    text = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    told = {slug: int(code) for slug, code in re.findall(r"(?m)^## `(.*)`\n\n\*\*Exit code (\d+)\.\*\*", text)}
    real = {kind.slug: exit_code(kind("It happened.")) for kind in all_of(errors.ReplaykitError)}

    assert {**real, "internal": INTERNAL} == told


# --- the example bundle -------------------------------------------------------------------------


def example() -> bytes:
    """Return the bundle in bundle-format.md."""
    text = (DOCS / "reference" / "bundle-format.md").read_text(encoding="utf-8")
    [found] = re.findall(r"(?ms)^<!-- example bundle -->\n+```yaml\n(.*?)^```$", text)
    return found.encode("ascii")


def test_example_bundle_is_whole():
    """The bundle in bundle-format.md is read to its end, digest included, and holds the tutorial's failure."""
    read = reader.read_bytes(example())

    assert read.whole
    assert read.failure.fingerprint == "3c039d06"


def test_example_bundle_is_a_cassette(tmp_path: Path):
    """The bundle in bundle-format.md is loaded by vcrpy, request for request."""
    from vcr.cassette import Cassette

    path = tmp_path / "example.pd"
    path.write_bytes(example())
    played = Cassette.load(path=str(path), record_mode="none")

    recorded = reader.read_bytes(example()).trace.interactions()
    assert [(each.request.method, each.request.url) for each in recorded] == [
        (each.method, each.uri) for each in played.requests
    ]


# --- links --------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """Return a page without its fenced blocks and code, in which a bracket is no link."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^```.*?^```$", "", text))


def links(text: str) -> list[str]:
    """List the relative links of a page."""
    found = re.findall(r"\]\(([^()\s]+)\)", prose(text))
    return [link for link in found if not re.match(r"[a-z][a-z0-9+.-]*:", link)]


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as they are made on the web."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"(?m)^#+ (.*)$", text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_points_to_something(page: Path):
    """Each relative link leads to a file that is there, and to a heading in it."""
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert not broken
