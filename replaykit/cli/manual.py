"""The manual: one table of what the help texts say of each command beside its options.

A row says where the command lives, what it is for in a line, how it is called, and what its exit codes mean. The
help of the program is written from it, so that `replaykit --help` imports no command; what the shells complete is
too. Tests hold it against the commands: each has a row, each option a section, each example can be read.

A new command is a function under `@command()` in a module of this package, and a row here.
"""

from typing import NamedTuple

Codes = dict[int, str]

BROKEN = "bad bundle, model that can't be imported, a mistake in replaykit"

_DEAF = "wrong option, missing file, it can't listen there"

COMMON: Codes = {  # of all commands, where their rows say nothing else
    128: BROKEN,
    129: "wrong option, missing file, wrong configuration",
    130: "Ctrl-C (143: TERM)",
}

OVERALL: Codes = {
    0: "nothing found; the saved bug is fixed",
    1: "a bug was found; the saved bug is still there",
    125: "could not be judged here: service not healthy, another failure, stale",
    **COMMON,
}


class Row(NamedTuple):
    """What is said of a command."""

    place: str  # module:name, inside of this package
    short: str  # what it is for, in a line
    examples: tuple[str, ...]
    codes: Codes


def _done(said: str) -> Codes:
    """Say of a command that judges nothing what its 0 means."""
    return {0: said}


HUNTING = """\
replaykit integration --model shop.model:Shop --adapter shop.model:ShopApi \\
    --start "python -m shop --port {port}" --save-failures failures/"""

_WRITTEN: Codes = {0: "it is written", 128: "a file that is no bundle", 129: "there is no such bundle, or no room"}
_REPLAYED: Codes = {
    0: "fixed: it ran to its end, and all checks hold",
    1: "reproduced: it failed as it was recorded",
    125: "another failure, stale, or the service is not there",
}

GROUPS: dict[str, dict[str, Row]] = {
    "Begin": {
        "demo": Row(
            "demo:demo",
            "A guided tour: find a bug, save it, replay it.",
            ("replaykit demo",),
            {**_done("all came as it should"), 128: "it did not"},
        ),
        "init": Row(
            "init:init",
            "Write a first model, from an API description or recorded traffic.",
            (
                "replaykit init --openapi openapi.yaml",
                "replaykit init --openapi openapi.yaml --output shop --url http://127.0.0.1:8000",
                "replaykit init --har session.har --host api.example.com",
                "replaykit init --cassette tests/cassettes/shop.yaml --name shop",
            ),
            {
                **_done("it is written"),
                129: "wrong option, a file that is missing or can't be read, a generated file that was changed by hand",
            },
        ),
        "lint": Row(
            "lint:lint",
            "Look for mistakes in a model and its adapter.",
            (
                "replaykit lint shop.model:Shop --adapter shop.model:ShopApi",
                "replaykit lint --profile shop --ignore RK4",
                "replaykit lint shop.model:Shop --json",
            ),
            {0: "nothing to say, or notes only", 1: "an error or a warning"},
        ),
    },
    "Find bugs": {
        "integration": Row(
            "integration:integration",
            "Test a service with random sequences of commands.",
            (
                HUNTING,
                "replaykit integration --profile shop --hunt 5 --time 10m --save-failures failures/",
                "replaykit integration --profile shop --parallel 3x3 --report html=report.html",
                "replaykit integration --model shop.model:Shop --mock --runs 20",
            ),
            {
                0: "nothing was found",
                1: "a bug was found",
                125: "the service was not healthy or died, or no run could be judged",
            },
        ),
        "reshrink": Row(
            "reshrink:reshrink",
            "Shrink a saved bug again, with more time.",
            (
                'replaykit reshrink failures/bug.pd --start "python -m shop --port {port}"',
                "replaykit reshrink failures/bug.pd --profile shop --shrink-time 900 --output smaller.pd",
            ),
            {
                0: "the search came to its end",
                125: "the bug does not show any more, or can't be judged here",
            },
        ),
    },
    "Replay, and gate on it": {
        "replay": Row(
            "replay:replay",
            "Run saved bugs again: are they still there?",
            (
                'replaykit replay failures/bug.pd --start "python -m shop --port {port}"',
                "replaykit replay failures/bug.pd --offline",
                "replaykit replay failures/bug.pd --url http://127.0.0.1:8000 --verbose --until 3",
                "replaykit replay failures/*.pd --profile shop --json",
            ),
            {**_REPLAYED, 1: f"{_REPLAYED[1]} (--expect reproduces swaps 0 and 1)"},
        ),
        "suite": Row(
            "suite:suite",
            "Replay all saved bugs, and hold each against its status.",
            (
                "replaykit suite",
                "replaykit suite failures/ --offline --report junit=suite.xml",
                "replaykit suite --profile shop --jobs 4 --status fixed",
            ),
            {
                0: "all is as expected",
                1: "a bug that was fixed is there again, or an open one does not show any more",
                125: "something could not be judged, or there is nothing",
            },
        ),
        "recheck": Row(
            "recheck:recheck",
            "Judge what was recorded with today's model, without any HTTP.",
            (
                "replaykit recheck failures/bug.pd",
                "replaykit recheck failures/*.pd --model shop.model:Shop",
            ),
            {
                0: "all holds",
                1: "the recorded failure or another one is seen",
                125: "it can't be judged",
            },
        ),
        "noise": Row(
            "noise:noise",
            "Propose noise rules, from running a bundle several times.",
            (
                'replaykit noise failures/bug.pd --start "python -m shop --port {port}"',
                "replaykit noise failures/bug.pd --profile shop --repeat 5 --output noise.toml",
            ),
            {
                0: "rules cover all that differs",
                1: "something was refused",
                125: "the runs can't be compared",
            },
        ),
    },
    "Bisect": {
        "bisect": Row(
            "bisect:bisect",
            "Find the commit that brought a saved bug.",
            (
                'replaykit bisect failures/bug.pd --good v1.2 --build "make" --start "./shop --port {port}"',
                "replaykit bisect failures/bug.pd --profile shop --jobs 4 --markdown blame.md",
                "replaykit bisect failures/bug.pd --profile shop --versions 'shop==1.0..2.4'",
                "replaykit bisect --resume",
            ),
            {
                0: "one commit is found",
                1: "the range is wrong: not bad at bad, or not good at good",
                125: "several commits are left",
            },
        ),
        "probe": Row(
            "probe:probe",
            "Build, start, replay, stop: is the bug in this checkout?",
            (
                'git bisect run replaykit probe ../bug.pd --build "make" --start "./shop --port {port}"',
                "replaykit probe ../bug.pd --profile shop",
            ),
            {**_REPLAYED, 125: f"{_REPLAYED[125]}, or the build fails"},
        ),
    },
    "Look": {
        "show": Row(
            "show:show",
            "Show what a bundle holds.",
            (
                "replaykit show failures/bug.pd",
                "replaykit show failures/bug.pd --verbose",
                "replaykit show failures/bug.pd --html bug.html",
                "replaykit show failures/bug.pd --json",
            ),
            {**_done("it is shown"), 128: "a file that is no bundle, or was changed"},
        ),
        "list": Row(
            "listing:list_",
            "List saved bugs, with what is known of them.",
            (
                "replaykit list",
                "replaykit list failures/ --status open",
                "replaykit list --json",
            ),
            {**_done("they are listed"), 128: "one of them can't be read"},
        ),
        "diff": Row(
            "diff:diff",
            "Say in what two bundles differ.",
            (
                "replaykit diff failures/bug.pd failures/other.pd",
                "replaykit diff failures/bug.pd failures/other.pd --all --json",
            ),
            {0: "they are alike", 1: "they differ"},
        ),
    },
    "Keep": {
        "close": Row(
            "status:close",
            "Say of saved bugs that they are fixed.",
            (
                "replaykit close failures/bug.pd --ticket SHOP-12",
                'replaykit close failures/bug.pd --status wontfix --note "by design"',
            ),
            _WRITTEN,
        ),
        "reopen": Row(
            "status:reopen",
            "Say of saved bugs that they are open.",
            (
                'replaykit reopen failures/bug.pd --note "back since 2.4"',
                'replaykit reopen failures/*.pd --ticket ""',
            ),
            _WRITTEN,
        ),
        "verify": Row(
            "bundles:verify",
            "Say whether bundles are as they were written.",
            (
                "replaykit verify failures/*.pd",
                "replaykit verify --quiet failures/*.pd",
            ),
            {0: "all are whole", 128: "one is not", 129: "one can't be read"},
        ),
        "repair": Row(
            "bundles:repair",
            "Close a bundle whose end is missing.",
            (
                "replaykit repair failures/bug.pd",
                "replaykit repair failures/bug.pd --output mended.pd",
            ),
            {**_done("it has an end"), 128: "it was edited, or is no bundle"},
        ),
        "migrate": Row(
            "bundles:migrate",
            "Write bundles in the present format.",
            (
                "replaykit migrate failures/*.pd",
                "replaykit migrate failures/bug.pd --canonical --output new.pd",
            ),
            {**_done("they are in the present format"), 128: "one is no bundle, or was changed"},
        ),
        "scan": Row(
            "scan:scan",
            "Look for secrets in bundles and cassettes.",
            (
                "replaykit scan failures/",
                'git diff --cached --name-only --diff-filter=d -- "*.pd" | xargs -r replaykit scan',
            ),
            {0: "there is none", 1: "there is one", 128: "a file can't be looked into"},
        ),
    },
    "Exchange": {
        "serve": Row(
            "serve:serve",
            "Answer clients in any language from a bundle.",
            (
                "replaykit serve failures/bug.pd --port 4700",
                "replaykit serve failures/bug.pd --order any --json",
                "replaykit serve failures/bug.pd --all-used --once",
            ),
            {
                0: "all was asked for (--once), or it was ended with all asked for (--all-used)",
                125: "something was missed or never asked for (--once, --all-used)",
                129: _DEAF,
            },
        ),
        "export": Row(
            "exporting:export",
            "Write a bundle in the words of another tool.",
            (
                "replaykit export failures/bug.pd --format curl",
                "replaykit export failures/bug.pd --format ticket --output bug.md",
                "replaykit export failures/bug.pd --format pytest --output test_bug.py",
            ),
            {**_done("it is written"), 129: "it can't be said in that format, or holds what may be a secret"},
        ),
        "import": Row(
            "importing:import_",
            "Read what another tool has recorded, or a ticket, as a bundle.",
            (
                "replaykit import cassette.yaml --output recorded.pd",
                "replaykit import bug.md --output bug.pd",
                "replaykit import - --output bug.pd < bug.md",
            ),
            {**_done("it is written"), 128: "nothing in it can be read", 129: "another file is there already"},
        ),
    },
    "Set up": {
        "config": Row(
            "config:config",
            "Show which options count, and where they come from.",
            (
                "replaykit config",
                "replaykit config --profile shop --json",
                "REPLAYKIT_RUNS=500 replaykit config integration --url http://127.0.0.1:8000",
            ),
            _done("they are shown"),
        ),
        "git-setup": Row(
            "git_setup:git_setup",
            "Let git keep bundles as they are, and show them readably.",
            (
                "replaykit git-setup",
                "replaykit git-setup --check",
            ),
            {**_done("everything is set up"), 129: "something is missing (--check), or this is no repository"},
        ),
        "completion": Row(
            "completion:completion",
            "Let a shell complete what is typed.",
            (
                "replaykit completion bash --install",
                "replaykit completion zsh > ~/.zfunc/_replaykit",
                "replaykit completion powershell >> $PROFILE",
            ),
            _done("the script is printed, or written"),
        ),
        "proxy": Row(
            "proxy:proxy",
            "Run a proxy that speaks Toxiproxy's API.",
            (
                "replaykit proxy",
                "replaykit proxy --port 0 --seed 7",
            ),
            {**_done("never: it runs until Ctrl-C"), 129: _DEAF},
        ),
    },
}

ROWS: dict[str, Row] = {name: row for group in GROUPS.values() for name, row in group.items()}

FIRST = (  # what the help of the program begins with
    "replaykit demo",
    HUNTING,
    "replaykit replay failures/bug.pd --offline",
    'replaykit bisect failures/bug.pd --good v1.2 --start "./shop --port {port}"',
)

LAST = """\
`replaykit COMMAND --help` says more, with examples and the exit codes of the command. Each option has a variable \
in the environment too: REPLAYKIT_RUNS=500 for --runs. `replaykit config` shows what counts, and where it comes from."""

MANY = 12  # options, up to which they are listed in one section

SECTIONS: dict[str, tuple[str, ...]] = {  # of a long list of options, in their order
    "Model and adapter": ("--profile", "--model", "--adapter", "--set"),
    "Service": (
        "--url", "--start", "--health", "--health-timeout", "--reset-url", "--reset-command", "--reset-restart",
        "--restart", "--latency", "--transport", "--toxiproxy", "--proxy-port",
    ),
    "Build": ("--build", "--build-timeout", "--setup", "--setup-file", "--keep"),
    "Range": ("--good", "--bad", "--find-fix", "--all-parents", "--versions", "--with", "--python", "--pre"),
    "What is run": (
        "--mock", "--offline", "--order", "--runs", "--commands", "--seed", "--hunt", "--time", "--plateau",
        "--max-time", "--max-replays", "--max-skips", "--replay-timeout", "--resume", "--known", "--stop-on-fail",
        "--fail-fast", "--jobs", "--dask", "--isolation", "--swarm", "--parallel", "--repeat", "--stutter", "--times",
        "--pace", "--status", "--select",
    ),
    "Shrinking": ("--shrink-executions", "--shrink-time", "--no-shrink"),
    "How it is judged": ("--expect", "--lenient", "--confidence", "--fail-on-drift", "--require-coverage"),
    "A closer look": ("--verbose", "--until", "--step", "--pdb"),
    "What is saved": ("--save-failures", "--record", "--with-times", "--output"),
    "Reports": ("--report", "--report-path", "--coverage", "--markdown", "--json", "--html", "--quiet"),
}  # fmt: skip


def meanings(name: str) -> Codes:
    """Return what each exit code means for a command, in their order."""
    return dict(sorted({**COMMON, **ROWS[name].codes}.items()))


def section_of(flag: str) -> str | None:
    """Return the section that an option stands in where there are many; None where it has none."""
    return next((title for title, flags in SECTIONS.items() if flag in flags), None)
