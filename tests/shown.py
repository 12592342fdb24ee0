"""The register of what the docs show: each block of code in them, and who runs it.

A block is run by the test that REGISTER names for its page and language; or by tests/journeys/test_shown.py, where the
comment above it says in which project, and what each command exits with (`<!-- shop: 1 0 -->`); or it is not run, and
the comment says why (`<!-- not run: it installs packages -->`). A text is no code; TOML, YAML and JSON are read.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*(each for each in DOCS.rglob("*.md") if "_build" not in each.parts), ROOT / "README.md"])
TEXT = {"text", "markdown"}
READ = {"toml", "yaml", "json"}
PLACES = ("shop", "here")

# page, its languages, what stands above its blocks (anything, where that is empty), who runs them
REGISTER = [
    *(
        (f"docs/explanation/{page}.md", "sh console", f"benchmark: {name}$", f"tests/journeys/test_benchmarks.py::{test}")
        for page, name, test in (
            ("cassettes", "isolation", "test_isolation_counts_what_is_in_the_files"),
            ("cassettes", "cassettes", "test_cassettes_measures_recording_playing_and_loading"),
            ("corpus", "corpus", "test_corpus_is_made_anew_as_it_is"),
            ("fidelity", "fidelity", "test_fidelity_tells_what_vcrpy_loses"),
            ("peers", "peers", "test_peers_find_and_shrink_the_same_bug"),
            ("scorecard", "hunts", "test_hunts_count_what_is_split_and_what_is_mixed"),
            ("scorecard", "scorecard", "test_scorecard_finds_without_shrinking"),
        )
    ),
    ("docs/explanation/corpus.md", "sh", "exit: ", "tests/journeys/test_corpus.py::test_page_of_the_corpus_holds"),
    ("docs/guides/bisect-versions.md", "sh", "", "tests/journeys/test_versions.py::test_the_guide_says_what_the_tests_do"),
    ("docs/guides/bisect.md", "console", "", "tests/journeys/test_bisect_guide.py::test_what_is_printed_is_what_the_guide_shows"),
    ("docs/guides/chaos.md", "console python toml diff", "", "tests/journeys/test_chaos_guide.py::test_the_guide_shows_what_is_printed"),
    ("docs/guides/ci.md", "yaml groovy makefile", "", "tests/examples/test_ci.py::test_guide_quotes_the_recipe"),
    ("docs/guides/git-bisect.md", "sh", "run: probe", "tests/journeys/test_probe.py::test_the_guide_finds_the_commit"),
    ("docs/guides/git-bisect.md", "sh", "run: url", "tests/journeys/test_probe.py::test_the_guide_judges_a_service_that_others_start"),
    ("docs/guides/hunting.md", "python", "", "tests/test_hunt.py::test_guide_does_what_it_says"),
    ("docs/guides/integration.md", "sh python", "(run|start): ", "tests/journeys/test_campaign_guides.py::test_the_integration_guide_holds"),
    ("docs/guides/invariants.md", "python", "(finds|blind|alarm): ", "tests/journeys/test_invariants_guide.py::test_every_program_of_the_guide_is_one_of_these"),
    ("docs/guides/invariants.md", "sh", "exit: ", "tests/journeys/test_invariants_guide.py::test_commands_of_the_guide"),
    ("docs/guides/looking-closely.md", "console", "", "tests/journeys/test_looking_guide.py::test_the_guide_shows_what_is_printed"),
    ("docs/guides/many-machines.md", "python", "", "tests/journeys/test_jobs.py::test_script_of_the_guide_runs_as_it_stands"),
    ("docs/guides/offline.md", "sh", "exit: ", "tests/journeys/test_offline.py::test_the_guide_shows_what_happens"),
    ("docs/guides/offline.md", "python", "", "tests/journeys/test_offline.py::test_the_program_of_the_guide_runs"),
    ("docs/guides/other-clients.md", "python", "", "tests/journeys/test_exchange.py::test_the_guides_adapter_finds_and_replays_offline_with_1"),
    ("docs/guides/pytest.md", "sh toml", "", "tests/test_pytest_bundle.py::test_the_guide_holds"),
    ("docs/guides/recording.md", "python sh", "", "tests/journeys/test_recording_guide.py::test_the_guide_holds"),
    ("docs/guides/reports.md", "sh python", "", "tests/journeys/test_reports_guide.py::test_the_guide_holds"),
    ("docs/guides/suite.md", "console python toml", "", "tests/journeys/test_suites.py::test_the_guide_holds"),
    ("docs/guides/tickets.md", "sh", "run$", "tests/journeys/test_tickets.py::test_the_guide_does_what_it_says"),
    ("docs/reference/configuration.md", "console", "", "tests/journeys/test_config.py::test_example_in_the_docs_is_what_is_printed"),
    ("docs/reference/reports.md", "python", "", "tests/journeys/test_reports_guide.py::test_the_guide_holds"),
    ("docs/reference/reports.md", "sh", "exit: ", "tests/journeys/test_looking_guide.py::test_the_line_of_the_reference_counts"),
    ("docs/tutorial.md", "console python toml diff", "", "tests/journeys/test_docs.py::test_tutorial_shows_what_is_printed"),
]  # fmt: skip


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str  # its path in the repository
    line: int  # where it begins
    language: str
    marks: tuple[str, ...]  # the comments right above it
    text: str

    @property
    def place(self) -> str:
        """Where tests/journeys/test_shown.py runs it; empty where it does not."""
        return next((each for each in PLACES if self.said(each) is not None), "")

    @property
    def is_exact(self) -> bool:
        """Whether what its commands print is what stands below them."""
        return any(mark.partition(":")[0].endswith(" as shown") for mark in self.marks)

    def said(self, word: str) -> str | None:
        """Give what the comment above the block says after a word and a colon."""
        for mark in self.marks:
            if said := re.match(rf"{word}( as shown)?(?:: (.*)|$)", mark):
                return said[2] or ""
        return None

    def runners(self) -> list[str]:
        """List the tests of the register that run it."""
        return [
            test
            for page, languages, above, test in REGISTER
            if page == self.page
            and self.language in languages.split()
            and (not above or any(re.match(above, mark) for mark in self.marks))
        ]


def blocks(page: Path) -> list[Block]:
    """List the fenced blocks of a page."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    marks: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        opening = re.match(r" *(```+|~~~+)([\w{}-]*)$", line)
        if opening:
            end = next(each for each in range(at + 1, len(lines)) if lines[each].strip() == opening[1])
            text = "".join(f"{each}\n" for each in lines[at + 1 : end])
            found.append(Block(str(page.relative_to(ROOT)), at + 1, opening[2], tuple(marks), text))
            at = end
        comment = re.fullmatch(r"<!-- (.*) -->", line)
        if comment:
            marks.append(comment[1])
        elif line:
            marks = []
        at += 1
    return found


def every() -> list[Block]:
    """List the blocks of all pages."""
    return [block for page in PAGES for block in blocks(page)]


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Split a block into its commands, with what stands below each; one that ends in a backslash goes on.

    Without a prompt, each line is a command, and nothing stands below it.
    """
    lines = [each for each in re.split(r"(?<!\\)\n", text) if each.strip()]
    if not any(each.startswith("$ ") for each in lines):
        return [(each, []) for each in lines if not each.startswith("#")]
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found
