"""The house: one reading order, one door for each library, the public names."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import replaykit

PACKAGE = Path(replaykit.__file__).parent

# From the ground up: each module imports only from modules that stand before it.
READING_ORDER = [
    # ground
    "version",
    "errors",
    "hint",
    "visible",
    "document",
    "value",
    "surface",
    "ledger",
    "yaml",
    "interaction",
    "coding",
    "difference",
    "change",
    "placeholder",
    "disguise",
    "secret",
    "place",
    "redact",
    "wire",
    "turn",
    "network",
    "tampering",
    "transport",
    "client",
    "trouble",
    "blockade",
    "deck",
    "foreign",
    "lock",
    "port",
    "supervisor",
    "lifeline",
    "errand",
    "claim",
    "toxic",
    "loop",
    "link",
    "listener",
    "relay",
    "proxy",
    "toxiproxy",
    "rendition",
    "guest",
    "environments",
    "reset",
    "service",
    "commit",
    "repository",
    "project",
    # words
    "source",
    "generator",
    "combinator",
    "gen",
    "command",
    "fault",
    "injector",
    "dispatch",
    "model",
    "adapter",
    "sequence",
    "verdict",
    "trace",
    "axis",
    "worktree",
    "latency",
    "profile",
    "binding",
    # workshop
    "rate",
    "pace",
    "stutter",
    "generate",
    "gist",
    "likeness",
    "cassette",
    "caller",
    "linearize",
    "chaos",
    "history",
    "run",
    "witness",
    "aftermath",
    "backlog",
    "argument",
    "simplify",
    "shrink",
    "notation",
    "bundle",
    "parcel",
    "archive",
    "lines",
    "upgrade",
    "noise",
    "rule",
    "canonical",
    "writer",
    "reader",
    "culprit",
    "condition",
    "schema",
    "coverage",
    "scan",
    "naming",
    "prediction",
    "contrast",
    "gate",
    "report",
    "report.page",
    "report.chart",
    "report.faults",
    # exchange
    "export",
    "export.vcr",
    "export.judge",
    "export.leaves",
    "export.template",
    "export.claims",
    "export.carried",
    "export.plan",
    "export.har",
    "export.curl",
    "export.python",
    "export.pytest",
    "importing",
    "importing.text",
    "importing.vcr",
    "importing.har",
    # journeys
    "looking",
    "cover",
    "judging",
    "attempts",
    "replaying",
    "rechecking",
    "proposal",
    "stage",
    "shadow",
    "probing",
    "status",
    "suite",
    "blame",
    "doubt",
    "onlooker",
    "minutes",
    "shelf",
    "memory",
    "configuration",
    "suspects",
    "plan",
    "gauge",
    "survey",
    "search",
    "bisecting",
    "ancestry",
    "installer",
    "releases",
    "inquiry",
    "settling",
    "finding",
    "terms",
    "result",
    "watcher",
    "report.steps",
    "report.sheet",
    "report.grounds",
    "report.lineage",
    "report.blame",
    "report.failure",
    "report.verdict",
    "docket",
    "sitting",
    "report.roll",
    "report.coverage",
    "report.discovery",
    "report.terminal",
    "report.plain",
    "account",
    "report.outline",
    "report.case",
    "report.junit",
    "report.json",
    "report.recheck",
    "portrait",
    "inventory",
    "ruling",
    "report.bodies",
    "report.why",
    "report.timeline",
    "report.versus",
    "report.teller",
    "report.story",
    "report.bundle_html",
    "pair",
    "report.pair",
    "report.ctrf",
    "report.html",
    "report.ndjson",
    "report.mermaid",
    "report.markdown",
    "report.github",
    "report.suite_junit",
    "report.suite_json",
    "report.suite_markdown",
    "report.suite_github",
    "report.blame_json",
    "report.blame_markdown",
    "export.ticket",
    "reporting",
    "oracle",
    "runner",
    "crew",
    "hand",
    "worker",
    "cluster",
    "pool",
    "panel",
    "court",
    "publishing",
    "corpus",
    "keeper",
    "journal",
    "resuming",
    "campaign",
    "hunt",
    "integration",
    "reshrinking",
    "tape",
    "drift",
    "recording",
    "desk",
    "serving",
    # beginnings
    "lint",
    "lint.limit",
    "lint.passage",
    "lint.remark",
    "lint.mutant",
    "lint.guess",
    "lint.rehearsal",
    "lint.domain",
    "lint.drawing",
    "lint.meeting",
    "lint.reading",
    "lint.checking",
    "lint.running",
    "linting",
    "openapi",
    "openapi.word",
    "openapi.description",
    "openapi.pattern",
    "openapi.fit",
    "openapi.schema",
    "openapi.look",
    "openapi.operation",
    "openapi.values",
    "openapi.contract",
    "openapi.request",
    "openapi.api",
    "openapi.code",
    "openapi.shape",
    "openapi.link",
    "openapi.sketch",
    "openapi.draft",
    "openapi.scaffold",
    "traffic.sample",
    "traffic.shape",
    "traffic.route",
    "traffic.descent",
    "traffic.credential",
    "traffic.title",
    "traffic.document",
    "traffic",
    # faces
    "answer",
    "cli.console",
    "cli.variables",
    "cli.manual",
    "cli.page",
    "cli.candidates",
    "cli.ticker",
    "cli.screen",
    "cli.progress",
    "cli.tracking",
    "cli.options",
    "cli.reports",
    "cli.hunting",
    "cli.integration",
    "cli.html",
    "cli.stepping",
    "cli.postmortem",
    "cli.looking",
    "cli.drift",
    "cli.replay",
    "cli.building",
    "cli.probe",
    "cli.bisect",
    "cli.recheck",
    "cli.noise",
    "cli.diff",
    "cli.suite",
    "cli.status",
    "cli.reshrink",
    "cli.show",
    "cli.listing",
    "cli.bundles",
    "cli.git_setup",
    "cli.scan",
    "cli.exporting",
    "cli.importing",
    "cli.init",
    "cli.demo",
    "cli.proxy",
    "cli.serve",
    "cli.config",
    "cli.completion",
    "cli.lint",
    "cli.roster",
    "cli.app",
    "cli",
    "pytest_bundle",
    "pytest_plugin",
    "__main__",
    "__init__",
]

DOORS = {
    "pydantic": {"value"},
    "pydantic_core": {"value"},
    "deepdiff": {"difference"},
    "httpx": {"client", "network", "tampering", "transport", "recording"},
    "httptools": {"wire"},
    "h11": {"guest", "wire"},
    "git": {"repository"},
    "pytest": {"pytest_plugin", "pytest_bundle"},
    "yaml": {"yaml"},
    "vcr": {"foreign"},
    "jsonschema": {"openapi.fit"},
    "referencing": {"openapi.fit"},
    "rich": {"cli.screen"},
    "distributed": {"cluster"},
    "tomlkit": {"status"},
    "packaging": {"releases"},
    "jinja2": {"report.page"},
    "markupsafe": {"report.page"},
    "click": {
        "cli.app",
        "cli.console",
        "cli.variables",
        "cli.page",
        "cli.candidates",
        "cli.completion",
        "cli.roster",
        "cli.options",
        "cli.reports",
        "cli.hunting",
        "cli.integration",
        "cli.looking",
        "cli.drift",
        "cli.replay",
        "cli.building",
        "cli.probe",
        "cli.bisect",
        "cli.recheck",
        "cli.noise",
        "cli.diff",
        "cli.suite",
        "cli.status",
        "cli.reshrink",
        "cli.show",
        "cli.listing",
        "cli.bundles",
        "cli.git_setup",
        "cli.exporting",
        "cli.importing",
        "cli.init",
        "cli.demo",
        "cli.proxy",
        "cli.serve",
        "cli.config",
        "cli.lint",
    },
}

PUBLIC = """
Adapter Budget Bundle Command Entity Event Failure Like Mock Model Observation Rechecked Ref Replayed ReplaykitError
Trace Verdict Wait Waited __version__ check eventually expects fail fault gen handles integration invariant like
load_failure observes on play read recheck record recovers replay requires same serve within
""".split()


@functools.cache
def modules() -> dict[str, Path]:
    """Find all modules of the package, by their name inside of it."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


@functools.cache
def imports(path: Path) -> set[str]:
    """List all modules that a file imports anywhere: lazily, or for types only, counts too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they point"
            module = str(node.module)
            own = set(modules())
            for alias in node.names:
                inside = f"{module}.{alias.name}".removeprefix("replaykit.")
                found.add(f"replaykit.{inside}" if module.startswith("replaykit") and inside in own else module)
    return found


def test_every_module_stands_in_the_reading_order():
    """The reading order lists all modules, and no others."""
    assert sorted(READING_ORDER) == sorted(modules())


def test_arrows_only_fall():
    """No module imports from one that stands after it in the reading order."""
    places = {name: place for place, name in enumerate(READING_ORDER)}
    wrong = []
    for name, path in modules().items():
        for imported in imports(path):
            if not imported.startswith("replaykit."):
                continue
            target = imported.removeprefix("replaykit.")
            if target not in places or places[target] >= places[name]:
                wrong.append(f"{name} imports {target}")

    assert wrong == []


def test_every_library_has_one_door():
    """A third-party library is imported only by its door."""
    wrong = []
    for name, path in modules().items():
        for imported in imports(path):
            library = imported.partition(".")[0]
            if library == "replaykit" or library in sys.stdlib_module_names:
                continue
            if name not in DOORS.get(library, set()):
                wrong.append(f"{name} imports {library}")

    assert wrong == []


def test_public_names_are_pinned():
    """The public names are these, and each can be imported."""
    assert sorted(PUBLIC) == sorted(replaykit.__all__)
    assert all(getattr(replaykit, name) is not None for name in PUBLIC)


def test_public_names_are_listed_once_for_types_and_once_for_use():
    """The imports for type checkers and the table of homes name the same things."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.name: (str(node.module).removeprefix("replaykit").removeprefix("."))
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert typed == replaykit._HOMES


def test_replay_is_the_function_even_after_its_module_was_imported():
    """`replaykit.replay` is callable, whatever was imported before."""
    import replaykit.replaying

    assert callable(replaykit.replay)
    assert replaykit.replay is replaykit.replaying.replay


def test_help_does_not_pay_for_what_it_does_not_need():
    """What is slow to import is imported where it is used: `replaykit --help` needs neither pydantic nor httpx."""
    slow = {"httpx", "jinja2", "pydantic", "rich", "vcr", "yaml"}
    look = f"import sys; import replaykit.cli.app; print(*sorted({slow} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert found.stdout.split() == []


def test_a_command_does_not_read_what_each_installed_package_says_of_itself():
    """`replaykit show` starts as fast beside a hundred packages as beside ten: nothing looks for plugins in them."""
    golden = Path(__file__).parent / "bundles" / "format-1.pd"
    look = (
        f"import atexit, sys; sys.argv[1:] = ['show', {str(golden)!r}]; from replaykit.cli import entry; "
        "atexit.register(lambda: print('pydantic' in sys.modules, 'importlib.metadata' in sys.modules)); entry()"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert found.stdout.splitlines()[-1] == "True False"
