"""What the docs show is run: each block by somebody, and here those that no other test runs."""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import storefront
import yaml
from conftest import ROOT, environment, replaykit
from shown import PAGES, PLACES, READ, REGISTER, TEXT, Block, blocks, commands, every
from test_docs import shown_as

from replaykit import service

MOST_NOT_RUN = 29  # blocks that say why they are not run; see what can be run before this grows
FEW, SHORT = 2, 12  # runs of a campaign on the examples, and commands of each
SHELL = re.compile(r"[$`*?~|&;<>()]")  # what only a shell understands
HASTE = {"REPLAYKIT_QUIET": "1", "REPLAYKIT_SEED": "1", "REPLAYKIT_RUNS": "3", "REPLAYKIT_SHRINK_EXECUTIONS": "10"}


# --- the register -------------------------------------------------------------------------------


def test_every_block_is_run_by_somebody():
    """A block of code has one test that runs it, or it is read, or it says why it is not run."""
    left = []
    for block in every():
        claims = len(set(block.runners())) + bool(block.place) + (block.said("not run") is not None)
        wanted = 0 if block.language in TEXT else 1
        if claims != wanted and not (block.language in READ and not claims):
            left.append(f"{block.page}:{block.line} {block.language}: {claims} claims")

    assert [] == left


def test_every_test_of_the_register_is_there_and_reads_its_page():
    """The tests that the register names exist, in a file that names the page."""
    wrong = []
    for page, _, _, test in REGISTER:
        path, _, name = test.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        if f"def {name}(" not in text or Path(page).stem not in text:
            wrong.append(f"{page}: {test}")
        if not any(test in block.runners() for block in blocks(ROOT / page)):
            wrong.append(f"{page}: nothing is left for {test}")

    assert [] == wrong


def test_what_is_not_run_says_why_and_is_little():
    """A block that nobody runs has a reason of some words above it, and there are few of them."""
    reasons = [reason for block in every() if (reason := block.said("not run")) is not None]

    assert all(len(reason.split()) >= 4 for reason in reasons)
    assert len(reasons) <= MOST_NOT_RUN


@pytest.mark.parametrize(
    "block", [each for each in every() if each.language in READ], ids=lambda each: f"{each.page}:{each.line}"
)
def test_data_is_well_formed(block: Block):
    """What is shown as TOML, YAML or JSON is such."""
    text = textwrap.dedent(block.text)
    if block.language == "toml":
        tomllib.loads(text)
    elif block.language == "yaml":
        yaml.safe_load(text)
    else:
        json.loads(re.sub(r"(?m)^(\s*)\.\.\.,?$", "", text))


# --- run ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Open the shop that is copied for each page."""
    return storefront.opened(tmp_path_factory.mktemp("shown") / "shop")


@pytest.fixture(scope="module")
def urls(open_shop: Path) -> Iterator[list[str]]:
    """Serve the shop twice, for commands that name a service that runs."""
    start = f"python {open_shop}/shop.py {{port}}"
    with (
        service.reached(url=None, start=start, health=None, patience=60) as one,
        service.reached(url=None, start=start, health=None, patience=60) as two,
    ):
        yield [one, two]


def known_at(text: str, urls: list[str]) -> str:
    """Put the services that run in the place of those that a page names."""
    text = re.sub(r"http://127\.0\.0\.1:(8000|4000|4600)", urls[0], text)
    text = text.replace("http://127.0.0.1:4001", urls[1]).replace("--url URL", f"--url {urls[0]}")
    return text.replace("TOKEN=... ", "TOKEN=what-only-the-reader-knows ")


def hastened(line: str) -> str:
    """Let a command do few runs where it would do more than nine."""
    return re.sub(r"--runs \d{2,}", f"--runs {FEW}", line)


def with_marks(place: str) -> list[Path]:
    """List the pages with blocks that are run in a place."""
    return [page for page in PAGES if any(block.place == place for block in blocks(page))]


def hasty(folder: Path, more: dict[str, str]) -> dict[str, str]:
    """Give what is in the environment of a reader in a folder, who has little time."""
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "GIT_CONFIG_GLOBAL": os.devnull, **HASTE, **more}


def ran(words: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a reader does."""
    return subprocess.run(
        words, cwd=folder, env=environment(**hasty(folder, more)), text=True, timeout=250, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def typed(line: str, folder: Path, *, is_exact: bool, **more: str) -> tuple[int, str]:
    """Type a command, and return its exit code, and what it printed, in its order where that is exact.

    One that is replaykit's alone is forked, as in other tests, which saves its imports.
    """
    if line.startswith("replaykit ") and not SHELL.search(line) and not is_exact:
        words = shlex.split(line.replace("\\\n", " "), comments=True)[1:]
        forked = replaykit(*words, cwd=folder, timeout=250, **hasty(folder, more))
        return forked.code, forked.out + forked.err
    done = ran(["bash", "-c", line], folder, **more)
    return done.returncode, done.stdout


def held(page: Path, place: str, folder: Path, urls: list[str], **more: str) -> None:
    """Run the blocks of a page in a folder: commands exit as the page tells, and programs print what it shows."""
    own = [block for block in blocks(page) if block.place == place]
    for block in own:
        if block.language == "python":
            continue
        told = (block.said(place) or "").split()
        asked = commands(block.text)
        lines = [known_at(hastened(line), urls) for line, _ in asked]
        done = [typed(line, folder, is_exact=block.is_exact, **more) for line in lines]
        codes = [str(code) for code, _ in done]

        assert len(told) == len(codes), (block.page, block.line, lines)
        assert all(code in each.split("/") for code, each in zip(codes, told, strict=True)), (
            block.page, block.line, codes, [text for _, text in done],
        )  # fmt: skip
        for (_, shown), (_, text) in zip(asked if block.is_exact else [], done, strict=False):
            printed = [line.rstrip() for line in text.splitlines() if line]
            assert shown_as(shown).fullmatch("\n".join(printed)), (block.page, block.line, text)
    programs = [block for block in own if block.language == "python"]
    if not programs:
        return
    text = storefront.program([(block.said(place) or "", known_at(block.text, urls)) for block in programs])
    done = ran([sys.executable, "-W", "error", "-c", text], folder, **more)

    assert 0 == done.returncode, done.stdout
    outputs = dict(zip(programs, done.stdout.split(f"{storefront.SEPARATOR}\n"), strict=False))
    for block, after in zip(all_ := blocks(page), all_[1:], strict=False):
        if block in outputs and after.said("prints") is not None:
            shown = [line.rstrip() for line in after.text.splitlines()]
            assert shown_as(shown).fullmatch(outputs[block].rstrip("\n")), (shown, outputs[block])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", with_marks("shop"), ids=lambda page: page.stem)
def test_blocks_about_a_shop_hold(page: Path, open_shop: Path, urls: list[str], tmp_path: Path):
    """The commands of a page exit as the comments above them tell, and its programs end well, in a shop of its own."""
    folder = tmp_path / "shop"
    subprocess.run(["cp", "-a", open_shop, folder], check=True)
    held(page, "shop", folder, urls, XDG_CACHE_HOME=str(tmp_path / "caches"), XDG_STATE_HOME=str(tmp_path / "state"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", with_marks("here"), ids=lambda page: page.stem)
def test_blocks_about_the_examples_hold(page: Path, urls: list[str], tmp_path: Path, database: str):
    """Likewise in a copy of this project, with few and short runs."""
    for name in ("examples", "failures", "replaykit", "pyproject.toml"):
        subprocess.run(["cp", "-a", ROOT / name, tmp_path / name], check=True)
    few = {"REPLAYKIT_RUNS": str(FEW), "REPLAYKIT_COMMANDS": str(SHORT)}
    held(page, "here", tmp_path, urls, DATABASE_URL=database, **few)


def test_marks_name_places_that_there_are():
    """No block is marked for a place that does not exist."""
    assert {each.place for each in every()} <= {"", *PLACES}
