"""What a bisect says to type next, typed: exit code first."""

import re
import shutil
import subprocess
from pathlib import Path

from bisected import homes, variables
from conftest import Ran, replaykit
from histories import KEEPER, NAMES, START, Plan, made, recorded

from replaykit.reader import read
from replaykit.writer import save

PROFILE = f"""[tool.replaykit.profiles.ledger]
model = "bookkeeper.py:Ledger"
adapter = "bookkeeper.py:LedgerApi"
start = "{START}"
"""


def commands(ran: Ran) -> list[str]:
    """List the commands that are printed below `next`."""
    return re.findall(r"(?m)^    (\S.*)$", ran.out.partition("\nnext\n")[2])


def typed(line: str, folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Type a command into a shell."""
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env=variables(home), capture_output=True, text=True, check=False
    )


def test_the_bug_is_tried_by_hand_where_only_the_newest_commit_has_model_and_profile(tmp_path: Path):
    """The culprit is checked out, built and started in its own folder; all else is the user's, and secrets stay so."""
    history = made(tmp_path / "ledger", Plan(commits=12, culprit=5, mended=9))
    shutil.copy(KEEPER, history.folder)
    secret, report = "hunter2-4711-hunter2", tmp_path / "report.md"
    redact = '[tool.replaykit.redact]\nenv = ["LEDGER_TOKEN"]\n'
    (history.folder / "pyproject.toml").write_text(f"{PROFILE.replace(START, f'{START} {secret}')}{redact}")
    bundle = recorded(tmp_path / "pay.pd")
    ran = replaykit(
        *("bisect", bundle, "--good", "v1.0", "--bad", history.hashes[7], "--build", "python -c 'pass'"),
        *("--profile", "ledger", "--quiet", "--markdown", report),
        cwd=history.folder,
        LEDGER_TOKEN=secret,
        **homes(tmp_path),
    )

    assert 0 == ran.code, ran
    assert secret not in ran.out + report.read_text()
    assert "exec python app.py" in report.read_text()
    show, checkout, build, replay, _ = commands(ran)
    for line in (show, checkout, build):
        assert 0 == typed(line, history.folder, tmp_path).returncode, line
    there = typed(replay, history.folder, tmp_path)
    here = replaykit("replay", bundle, "--profile", "ledger", cwd=history.folder, **homes(tmp_path))
    assert (1, 0) == (there.returncode, here.code), (replay, there, here)


def test_what_mended_a_bug_is_searched_for_as_it_is_said(tmp_path: Path):
    """Where the bug is gone that was recorded at an older commit, the command that is offered finds who mended it."""
    history = made(tmp_path / "ledger", Plan(commits=12, culprit=4, mended=9))
    shutil.copy(KEEPER, history.folder)
    (history.folder / "pyproject.toml").write_text(PROFILE)
    found, bundle = read(recorded(tmp_path / "pay.pd")), tmp_path / "gone.pd"
    save(bundle, found.provenance.replace(revision=history.hashes[6]), found.trace)
    gone = replaykit("bisect", bundle, "--good", "v1.0", "--profile", "ledger", cwd=history.folder, **homes(tmp_path))

    assert 1 == gone.code, gone
    search = next(line for line in commands(gone) if "--find-fix" in line)
    fixed = typed(search, history.folder, tmp_path)
    assert (0, f"FIX {history.hashes[9]}") == (fixed.returncode, fixed.stdout.splitlines()[0]), fixed
    close = next(line for line in commands(Ran(0, fixed.stdout, "")) if "close" in line)
    assert 0 == typed(close, history.folder, tmp_path).returncode
    assert history.hashes[9][:7] in (tmp_path / "status.toml").read_text()


def test_who_goes_on_is_told_so(tmp_path: Path):
    """After a stop, the first line says that it goes on, and how much is known; profile and ends are those of then."""
    history = made(tmp_path / "ledger", Plan(commits=12, culprit=8))
    shutil.copy(KEEPER, history.folder)
    (history.folder / "pyproject.toml").write_text(f'{PROFILE}good = "v1.0"\n')
    words = ("bisect", recorded(tmp_path / "pay.pd"), "--profile", "ledger", "--max-replays", "4")
    stopped = replaykit(*words, cwd=history.folder, **homes(tmp_path))
    again = ("bisect", "--resume", "--max-replays", "99")
    ended = replaykit(*again, cwd=history.folder, **homes(tmp_path))

    assert (125, 0) == (stopped.code, ended.code), (stopped, ended)
    assert re.match(r"It goes on: what [4-6] attempts at 2 commits came to is known already\.\n", ended.err)
    assert "It goes on" not in stopped.err


def test_a_newer_commit_is_no_older_end(tmp_path: Path):
    """Where the bug was recorded at a commit that came later, or that nobody knows, no fix is searched for."""
    history = made(tmp_path / "ledger", Plan(commits=12, culprit=8))
    found = read(recorded(tmp_path / "pay.pd"))
    for number, revision in enumerate((history.hashes[10], "c" * 40)):
        bundle = tmp_path / f"{number}.pd"
        save(bundle, found.provenance.replace(revision=revision), found.trace)
        words = ("--good", "v1.0", "--bad", history.hashes[6], "--start", START, *NAMES)
        ran = replaykit("bisect", bundle, *words, cwd=history.folder, **homes(tmp_path))

        assert 1 == ran.code, ran
        assert "--find-fix" not in ran.out
