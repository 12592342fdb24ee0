"""git bisect run with `replaykit replay` as its script, over a repository of a service's versions."""

import subprocess
import sys
import textwrap
from pathlib import Path

from conftest import NAMES, ROOT, environment, replaykit

VERSIONS = 12
CULPRIT = 7
BROKEN = (4, 5, 8)  # versions that can't start

APP = textwrap.dedent(
    """
    # version {version}
    import sys
    import uvicorn
    from examples.leaderboard.service import application
    uvicorn.run(application(frozenset({bugs})), port=int(sys.argv[1]), log_level="warning")
    """
)


def git(repository: Path, *words: str, **more: str) -> str:
    """Run git in a repository."""
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
                "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(repository), *words], env={**environment(), **identity, **more}, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 or words[0] == "bisect", done.stderr
    return done.stdout + done.stderr


def history(folder: Path, broken: tuple[int, ...]) -> list[str]:
    """Make a repository with a version of the service in each commit; return the commits."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commits = []
    for version in range(VERSIONS):
        text = APP.format(version=version, bugs=["duplicate-names"] if version >= CULPRIT else [])
        (folder / "app.py").write_text("import nothing_of_that_name\n" * (version in broken) + text)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"version {version}")
        commits.append(git(folder, "rev-parse", "HEAD").strip())
    return commits


def bisect(repository: Path, commits: list[str], *script: str) -> str:
    """Bisect from the last commit to the first, and return what git said."""
    git(repository, "bisect", "start", commits[-1], commits[0])
    return git(repository, "bisect", "run", *script, PYTHONPATH=str(ROOT))


def script(bundle: Path, *more: str) -> list[str]:
    """Write the command that judges one version."""
    return [sys.executable, "-m", "replaykit", "replay", str(bundle), *NAMES, "--start", "python app.py {port}", *more]


def test_bisect_names_the_commit_that_brought_the_bug(duplicate_names: Path, tmp_path: Path):
    """Without broken versions, the first bad commit is the one that brought the bug."""
    commits = history(tmp_path / "repository", ())
    said = bisect(tmp_path / "repository", commits, *script(duplicate_names))

    assert f"{commits[CULPRIT]} is the first bad commit" in said


def test_bisect_leaves_out_commits_that_can_not_start(duplicate_names: Path, tmp_path: Path):
    """Versions that can't start are skipped, and no innocent commit is named."""
    commits = history(tmp_path / "repository", BROKEN)
    said = bisect(tmp_path / "repository", commits, *script(duplicate_names))

    assert f"{commits[CULPRIT]} is the first bad commit" in said, said
    assert "bisect skip" in git(tmp_path / "repository", "bisect", "log")


def test_bisect_is_stopped_by_what_is_the_same_at_every_commit(duplicate_names: Path, tmp_path: Path):
    """A wrong option, and a bundle that is broken, stop the bisect, and name no commit."""
    commits = history(tmp_path / "repository", ())
    broken = tmp_path / "broken.pd"
    broken.write_bytes(duplicate_names.read_bytes()[:-5])
    for words in (script(duplicate_names, "--no-such-option"), script(broken)):
        said = bisect(tmp_path / "repository", commits, *words)

        assert "first bad commit" not in said
        assert "is < 0 or >= 128" in said


def test_replay_in_a_repository_leaves_it_as_it_was(duplicate_names: Path, tmp_path: Path):
    """A replay writes nothing into the checkout besides what the service's Python does."""
    commits = history(tmp_path / "repository", ())
    ran = replaykit(
        *script(duplicate_names)[3:], cwd=tmp_path / "repository", PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1"
    )

    assert 1 == ran.code, ran
    assert "" == git(tmp_path / "repository", "status", "--porcelain")
    assert commits[-1] == git(tmp_path / "repository", "rev-parse", "HEAD").strip()
    assert sorted(path.name for path in (tmp_path / "repository").iterdir()) == [".git", "app.py"]
