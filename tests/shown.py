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

# by the file of a test: its name, the page, its languages, what stands above its blocks (anything, where that is empty)
CLAIMS = {
    "examples/test_ci.py": [
        ("test_guide_quotes_the_recipe", "guides/ci", "yaml groovy makefile", ""),
    ],
    "journeys/test_benchmarks.py": [
        ("test_isolation_counts_what_is_in_the_files", "explanation/cassettes", "sh console", "benchmark: isolation$"),
        (
            "test_cassettes_measures_recording_playing_and_loading",
            "explanation/cassettes",
            "sh console",
            "benchmark: cassettes$",
        ),
        ("test_corpus_is_made_anew_as_it_is", "explanation/corpus", "sh console", "benchmark: corpus$"),
        ("test_fidelity_tells_what_vcrpy_loses", "explanation/fidelity", "sh console", "benchmark: fidelity$"),
        ("test_peers_find_and_shrink_the_same_bug", "explanation/peers", "sh console", "benchmark: peers$"),
        (
            "test_hunts_count_what_is_split_and_what_is_mixed",
            "explanation/scorecard",
            "sh console",
            "benchmark: hunts$",
        ),
        ("test_scorecard_finds_without_shrinking", "explanation/scorecard", "sh console", "benchmark: scorecard$"),
    ],
    "journeys/test_bisect_guide.py": [
        ("test_what_is_printed_is_what_the_guide_shows", "guides/bisect", "console", ""),
    ],
    "journeys/test_campaign_guides.py": [
        ("test_the_integration_guide_holds", "guides/integration", "sh python", "(run|start): "),
    ],
    "journeys/test_chaos_guide.py": [
        ("test_the_guide_shows_what_is_printed", "guides/chaos", "console python toml diff", ""),
    ],
    "journeys/test_config.py": [
        ("test_example_in_the_docs_is_what_is_printed", "reference/configuration", "console", ""),
    ],
    "journeys/test_corpus.py": [
        ("test_page_of_the_corpus_holds", "explanation/corpus", "sh", "exit: "),
    ],
    "journeys/test_docs.py": [
        ("test_tutorial_shows_what_is_printed", "tutorial", "console python toml diff", ""),
    ],
    "journeys/test_exchange.py": [
        ("test_the_guides_adapter_finds_and_replays_offline_with_1", "guides/other-clients", "python", ""),
    ],
    "journeys/test_bundle_page.py": [
        ("test_guide_shows_what_is_printed", "guides/html", "console", ""),
    ],
    "journeys/test_from_vcrpy.py": [
        ("test_the_guide_holds", "guides/migrating-from-vcrpy", "python sh", ""),
    ],
    "journeys/test_init_traffic.py": [
        ("test_the_guide_holds", "guides/starting-from-traffic", "python sh", ""),
    ],
    "journeys/test_invariants_guide.py": [
        ("test_every_program_of_the_guide_is_one_of_these", "guides/invariants", "python", "(finds|blind|alarm): "),
        ("test_commands_of_the_guide", "guides/invariants", "sh", "exit: "),
    ],
    "journeys/test_jobs.py": [
        ("test_script_of_the_guide_runs_as_it_stands", "guides/many-machines", "python", ""),
    ],
    "journeys/test_linting.py": [
        ("test_the_guide_shows_what_is_printed", "guides/models", "console python", "lint$"),
        ("test_the_page_shows_what_is_printed", "reference/lint", "console", ""),
    ],
    "journeys/test_looking_guide.py": [
        ("test_the_guide_shows_what_is_printed", "guides/looking-closely", "console", ""),
        ("test_the_line_of_the_reference_counts", "reference/reports", "sh", "exit: "),
    ],
    "journeys/test_migrating.py": [
        ("test_each_command_prints_what_the_guide_shows", f"guides/migrating-from-{name}", "console python", "")
        for name in ("hypothesis", "propertydamage", "rackcheck")
    ],
    "journeys/test_offline.py": [
        ("test_the_guide_shows_what_happens", "guides/offline", "sh", "exit: "),
        ("test_the_program_of_the_guide_runs", "guides/offline", "python", ""),
    ],
    "journeys/test_probe.py": [
        ("test_the_guide_finds_the_commit", "guides/git-bisect", "sh", "run: probe"),
        ("test_the_guide_judges_a_service_that_others_start", "guides/git-bisect", "sh", "run: url"),
    ],
    "journeys/test_recording_guide.py": [
        ("test_the_guide_holds", "guides/recording", "python sh", ""),
    ],
    "journeys/test_reports_guide.py": [
        ("test_the_guide_holds", "guides/reports", "sh python", ""),
        ("test_the_guide_holds", "reference/reports", "python", ""),
    ],
    "journeys/test_serve.py": [
        ("test_the_guide_shows_what_is_printed", "guides/serving", "console python js", ""),
    ],
    "journeys/test_starting_guide.py": [
        ("test_the_guide_shows_what_is_printed", "guides/starting", "console python diff", ""),
    ],
    "journeys/test_suites.py": [
        ("test_the_guide_holds", "guides/suite", "console python toml", ""),
    ],
    "journeys/test_tickets.py": [
        ("test_the_commands_of_the_guide_do_what_it_says", "guides/tickets", "sh", "run$"),
    ],
    "journeys/test_versions.py": [
        ("test_the_guide_says_what_the_tests_do", "guides/bisect-versions", "sh", ""),
    ],
    "test_answer.py": [
        ("test_the_example_of_the_docs_runs", "reference/json", "python", ""),
    ],
    "test_hunt.py": [
        ("test_guide_does_what_it_says", "guides/hunting", "python", ""),
    ],
    "test_pytest_bundle.py": [
        ("test_the_guide_holds", "guides/pytest", "sh toml", ""),
    ],
}
REGISTER = [
    (f"docs/{page}.md", languages, above, f"tests/{path}::{name}")
    for path, claims in CLAIMS.items()
    for name, page, languages, above in claims
]


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
