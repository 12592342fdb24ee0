"""replaykit demo."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import click

from replaykit.cli import variables
from replaykit.cli.console import conclude, program, say
from replaykit.cli.page import command
from replaykit.errors import UsageError

FOLDER = Path(".replaykit") / "demo"
COMMAND = "python -m examples.leaderboard --port {port}"
BUG = "--bug duplicate-names"
INTERRUPTED = (130, 143)  # exit codes after Ctrl-C and TERM


@command("demo")
@click.pass_obj
def demo(run: Callable[[list[str]], int]) -> int:
    """Start a small service that has a bug, find the bug, shrink it, save it, and replay it.

    Takes a few seconds, and works in a clone of the project with the extra `examples` installed.
    """
    sys.path.insert(0, str(Path.cwd()))
    for module in ("examples.leaderboard", "starlette", "uvicorn"):
        if _is_missing(module):
            raise UsageError(
                f"The demo needs {module}, which is not here.",
                'Run it in a clone of the project, after: pip install -e ".[examples]"',
            )
    say("1. A leaderboard service is started. It has a bug: a name that is taken is accepted once more.")
    say("   replaykit asks it random things, and compares its answers with a model of what it should do.\n")
    variables.forget()
    start = f"{COMMAND} {BUG}"
    where = [
        "--profile",
        "",
        "--model",
        "examples.leaderboard:Leaderboard",
        "--adapter",
        "examples.leaderboard:LeaderboardApi",
    ]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.pd"):
        old.unlink()
    search = ["--seed", "1", "--stop-on-fail", "--save-failures", str(FOLDER)]
    code = run(["integration", *where, "--start", start, *search])
    if code in INTERRUPTED:
        return code
    codes, bundles = [code], sorted(FOLDER.glob("*.pd"))
    if not bundles:
        raise UsageError("The demo found no bug.", "Something else may run under the name of the example; see above.")
    bundle = str(bundles[0])
    for said, how in (
        ("2. The bug is now one small file. It is replayed against the service with the bug: exit code 1.", start),
        ("3. The same against the service without the bug: exit code 0, it is fixed.", COMMAND),
        ("4. And without any service, from the recorded answers in the file: exit code 1 again.", None),
    ):
        say(f"\n{said}\n")
        code = run(["replay", bundle, "--profile", "", *(["--offline"] if how is None else ["--start", how])])
        if code in INTERRUPTED:
            return code
        codes.append(code)
    expected = [1, 1, 0, 1]
    say()
    if codes != expected:
        conclude("demo", f"the exit codes were {codes}, and should have been {expected}", 128)
        return 128
    say(f"The bug is saved in {bundle}; look at it with: {program()} show {bundle}")
    say(f'Replay it: {program()} replay {bundle} --start "{start}"')
    return 0


def _is_missing(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is None
    except ImportError:
        return True
