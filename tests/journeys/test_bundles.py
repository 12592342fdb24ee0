"""Keeping bundles: verify, repair, migrate, git-setup and show --plain, exit code first."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NAMES, ROOT, environment, leaderboard, replaykit

from replaykit import condition
from replaykit.bundle import LARGE
from replaykit.reader import read, read_bytes
from replaykit.writer import save

GOLDEN = ROOT / "tests" / "bundles" / "format-1.pd"
DRAFTED = ROOT / "tests" / "bundles" / "format-0.pd"
CONTENT = GOLDEN.read_bytes()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Give a copy of the golden bundle."""
    path = tmp_path / "bug.pd"
    path.write_bytes(CONTENT)
    return path


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, with nobody's own configuration."""
    identity = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True,
        env=environment(**identity, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull, PYTHONPATH=str(ROOT)),
    )  # fmt: skip
    return done.stdout


# --- verify -------------------------------------------------------------------------------------


def test_verify_says_whole(bundle: Path):
    """Bundles that are as they were written exit with 0, packed ones and drafts too."""
    packed = bundle.with_name("packed.pd.gz")
    packed.write_bytes(gzip.compress(CONTENT))
    ran = replaykit("verify", bundle, packed, DRAFTED)

    assert 0 == ran.code, ran
    assert "VERDICT whole: 3 whole (exit 0)" == ran.verdict
    assert f"{bundle}: whole: format 1, " in ran.out


def test_verify_tells_apart_what_became_of_files(bundle: Path):
    """Truncated, edited, rewritten, newer and no bundle: each is said, and the exit code is 128."""
    made = {
        "truncated": CONTENT[:2000], "edited": CONTENT.replace(b"Created", b"created"),
        "rewritten": CONTENT.replace(b"\n", b"\r\n"), "newer": CONTENT.replace(b'"format":1', b'"format":7'),
        "no bundle": b"hello\n",
    }  # fmt: skip
    paths = []
    for word, content in made.items():
        paths.append(bundle.with_name(f"{word.replace(' ', '-')}.pd"))
        paths[-1].write_bytes(content)
    ran = replaykit("verify", "--quiet", *paths, bundle)

    assert 128 == ran.code, ran
    assert [f"{path}: {word}: " for path, word in zip(paths, made, strict=True)] == [
        line[: len(f"{path}: {word}: ")] for line, path, word in zip(ran.out.splitlines(), paths, made, strict=False)
    ]
    assert ran.verdict.startswith(
        "VERDICT not whole: 1 truncated, 1 edited, 1 rewritten, 1 newer, 1 no bundle, 1 whole"
    )


def test_verify_goes_on_after_a_file_that_is_not_there(bundle: Path):
    """A missing file is told, the others are looked at, and the exit code is 129."""
    ran = replaykit("verify", bundle.with_name("none.pd"), bundle)

    assert 129 == ran.code, ran
    assert "missing-file" in ran.err
    assert f"{bundle}: whole" in ran.out


# --- repair -------------------------------------------------------------------------------------


def test_repair_closes_what_was_cut(bundle: Path):
    """A truncated bundle is whole afterwards, and what was in it is shown; repeated, nothing is done."""
    bundle.write_bytes(CONTENT[:2000])
    ran = replaykit("repair", bundle)

    assert 0 == ran.code, ran
    assert "bytes of a line without its end were left out" in ran.out
    assert condition.CLOSED == read(bundle).trace.reason
    assert 0 == replaykit("verify", bundle).code
    once = bundle.read_bytes()
    again = replaykit("repair", bundle)
    assert (0, f"{bundle} is whole, and stays as it is.\n") == (again.code, again.out)
    assert once == bundle.read_bytes()


def test_a_lost_line_end_is_put_there(bundle: Path):
    """A bundle without its last LF is what it was, and nothing is said to be left out."""
    bundle.write_bytes(CONTENT[:-1])
    ran = replaykit("repair", bundle)

    assert (0, CONTENT) == (ran.code, bundle.read_bytes()), ran
    assert "left out" not in ran.out


def test_who_may_read_a_bundle_stays(bundle: Path):
    """A file that is only for its owner stays so when it is repaired, migrated or saved again, and so is its copy."""
    bundle.write_bytes(CONTENT[:2000])
    bundle.chmod(0o600)
    copy = bundle.with_name("copy.pd")
    modes = []
    for command in (["repair", bundle, "--output", copy], ["repair", bundle], ["migrate", "--canonical", bundle]):
        assert 0 == replaykit(*command).code
        modes.append((bundle.stat().st_mode & 0o777, copy.stat().st_mode & 0o777))
    known = read(bundle)
    save(bundle, known.origin, known.trace)

    assert [(0o600, 0o600)] * 3 == modes
    assert 0o600 == bundle.stat().st_mode & 0o777


def test_repair_writes_elsewhere(bundle: Path):
    """With --output, the file stays as it is; a packed one has no other way."""
    cut = CONTENT[:2000]
    packed = bundle.with_name("cut.pd.gz")
    packed.write_bytes(gzip.compress(cut))
    output = bundle.with_name("closed.pd")

    assert 129 == replaykit("repair", packed).code
    assert 0 == replaykit("repair", packed, "--output", output).code
    assert condition.repaired(cut) == output.read_bytes()
    assert gzip.compress(cut)[10:] == packed.read_bytes()[10:]


@pytest.mark.parametrize(
    "content", [CONTENT.replace(b"Created", b"created"), CONTENT[:-3] + b"x\n", b"", b"version: 1\n"]
)
def test_repair_refuses_what_is_broken_otherwise(content: bytes, bundle: Path):
    """What was edited, or never began, is refused with 128 and stays as it is."""
    bundle.write_bytes(content)
    ran = replaykit("repair", bundle)

    assert (128, content) == (ran.code, bundle.read_bytes()), ran
    assert [bundle] == list(bundle.parent.iterdir())


# --- migrate ------------------------------------------------------------------------------------


def test_migrate_writes_the_present_format_in_its_place(bundle: Path):
    """A draft becomes format 1, says the same, and is not touched a second time; a link to it stays a link."""
    bundle.write_bytes(DRAFTED.read_bytes())
    link = bundle.with_name("link.pd")
    link.symlink_to(bundle)
    ran = replaykit("migrate", link)

    assert 0 == ran.code, ran
    assert f"{link}: from format 0 to 1, " in ran.out
    assert link.is_symlink()
    assert read(DRAFTED) == read(bundle)
    before = bundle.stat()
    again = replaykit("migrate", bundle)
    assert (0, f"{bundle}: nothing to change.\n") == (again.code, again.out)
    assert before.st_ino == bundle.stat().st_ino


def test_nobody_is_asked_at_a_port_that_is_not_kept(duplicate_names: Path, tmp_path: Path):
    """Where the service had a free port, a live replay of a canonical bundle has to be told where it runs."""
    ran = replaykit("replay", duplicate_names, *NAMES, cwd=tmp_path)

    assert 129 == ran.code, ran
    assert "had a free port, which is not kept" in ran.err
    assert "--start" in ran.err


def test_migrate_makes_canonical(bundle: Path):
    """With --canonical, times and the free port are gone, and an offline replay still shows the bug."""
    ran = replaykit("migrate", "--canonical", bundle)

    assert 0 == ran.code, ran
    assert b"58657" not in bundle.read_bytes()
    assert b"elapsed" not in bundle.read_bytes()
    assert 1 == replaykit("replay", "--offline", bundle).code


def test_migrate_changes_no_file_if_one_of_them_is_bad(bundle: Path):
    """Of several files, all are read before one is written."""
    bundle.write_bytes(DRAFTED.read_bytes())
    cut = bundle.with_name("cut.pd")
    cut.write_bytes(CONTENT[:2000])
    ran = replaykit("migrate", bundle, cut)

    assert 128 == ran.code, ran
    assert DRAFTED.read_bytes() == bundle.read_bytes()


def test_migrate_has_one_output_for_one_file(bundle: Path):
    """Two files can't be written to one place, and where nothing can be written, that is told."""
    assert 129 == replaykit("migrate", bundle, DRAFTED, "--output", bundle.with_name("x.pd")).code
    assert 129 == replaykit("migrate", DRAFTED, "--output", bundle.parent / "none" / "x.pd").code
    assert 0 == replaykit("migrate", DRAFTED, "--output", bundle.with_name("y.pd")).code


# --- saving the same bug again ------------------------------------------------------------------


def test_the_same_bug_saved_again_is_the_same_file(tmp_path: Path):
    """On another port and at another time, the same seed saves the same bytes; --with-times does not."""

    def saved(folder: str, *more: str) -> dict[str, bytes]:
        ran = replaykit(
            "integration", *NAMES, "--start", leaderboard("duplicate-names", "tie-order"), "--seed", "1",
            "--runs", "8", "--save-failures", tmp_path / folder, "--quiet", *more, anew=True,
        )  # fmt: skip
        assert 1 == ran.code, ran
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}

    once, timed = saved("one"), saved("timed", "--with-times")

    assert len(once) >= 2
    assert once == saved("other") == saved("one")
    assert set(once) == set(timed)
    assert all(b'"canonical":true' not in content and b'"elapsed"' in content for content in timed.values())
    for path in (tmp_path / "one").iterdir():
        assert 1 == replaykit("replay", "--offline", path).code


def test_a_large_bundle_is_warned_of(bundle: Path):
    """A bundle that mail and forges may not take is written, and said to be large."""
    known = read(bundle)
    [first, *rest] = known.trace.resetting
    assert first.response is not None
    large = first.replace(response=first.response.replace(body=b"x" * (1 << 21)))
    save(bundle, known.origin, known.trace.replace(resetting=(*[large] * (LARGE // (1 << 21) + 1), *rest)))
    ran = replaykit("migrate", "--canonical", bundle)

    assert 0 == ran.code, ran
    assert "warning: " in ran.err
    assert "MB" in ran.err


# --- git ----------------------------------------------------------------------------------------


def test_git_setup_is_done_once(tmp_path: Path):
    """Attributes and textconv are written once; what was there stays; --check says whether something is missing."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitattributes").write_text("*.png binary", encoding="utf-8")
    (tmp_path / "inside").mkdir()

    assert 129 == replaykit("git-setup", "--check", cwd=tmp_path, PYTHONPATH=str(ROOT)).code
    assert "*.png binary" == (tmp_path / ".gitattributes").read_text(encoding="utf-8")
    first = replaykit("git-setup", cwd=tmp_path / "inside", PYTHONPATH=str(ROOT))
    assert 0 == first.code, first
    assert 2 == first.out.count("Written: ")
    files = [(tmp_path / ".gitattributes").read_bytes(), (tmp_path / ".git" / "config").read_bytes()]
    assert b"*.png binary\n*.pd text eol=lf diff=replaykit\n" == files[0]
    second = replaykit("git-setup", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert (0, "Everything is set up.\n") == (second.code, second.out)
    assert files == [(tmp_path / ".gitattributes").read_bytes(), (tmp_path / ".git" / "config").read_bytes()]
    assert 0 == replaykit("git-setup", "--check", cwd=tmp_path, PYTHONPATH=str(ROOT)).code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"{sys.executable} -m replaykit show --plain", 0), ("replaykit show --plain", 0),
        ("{here}/replaykit show --plain", 0), ("{here}/gone/python -m replaykit show --plain", 129),
        ("cat", 129), ("replaykit show --plain; true", 129),
    ],
)  # fmt: skip
def test_git_setup_knows_itself_however_it_is_called(command: str, code: int, tmp_path: Path):
    """A command that shows bundles and is there is enough; one that is gone, or another one, is replaced."""
    program = tmp_path / "replaykit"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = {"cwd": tmp_path, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "diff.replaykit.textconv", command.format(here=tmp_path))
    (tmp_path / ".gitattributes").write_text("*.pd text eol=lf diff=replaykit\n", encoding="utf-8")

    assert code == replaykit("git-setup", "--check", **here).code
    assert 0 == replaykit("git-setup", **here).code
    assert 0 == replaykit("git-setup", "--check", **here).code


def test_a_later_line_of_the_attributes_does_not_undo_it(tmp_path: Path):
    """Since the last line that fits counts in git, ours is put behind one that says otherwise."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitattributes").write_text("*.pd text eol=lf diff=replaykit\n*.pd -text\n", encoding="utf-8")

    assert 0 == replaykit("git-setup", cwd=tmp_path, PYTHONPATH=str(ROOT)).code
    assert "text: set" in git(tmp_path, "check-attr", "text", "a.pd")


def test_git_setup_needs_a_repository(tmp_path: Path):
    """Outside of a repository, that is told with 129."""
    ran = replaykit("git-setup", cwd=tmp_path, PYTHONPATH=str(ROOT))

    assert 129 == ran.code, ran
    assert "no git repository" in ran.err


def test_git_shows_what_changed_in_a_bundle(bundle: Path):
    """After git-setup, git diff shows commands and answers; a broken bundle is shown too, and breaks nothing."""
    folder = bundle.parent
    git(folder, "init", "-q")
    assert 0 == replaykit("git-setup", cwd=folder, PYTHONPATH=str(ROOT)).code
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    known = read(bundle)
    [step, *rest] = known.trace.steps
    changed = step.replace(call=step.call.replace(args={"name": "somebody else"}))
    save(
        bundle, known.origin.replace(recorded="2027-01-01T00:00:00+00:00"), known.trace.replace(steps=(changed, *rest))
    )
    shown = git(folder, "diff")

    assert "-[0] create_player(name='a')\n+[0] create_player(name='somebody else')" in shown
    assert "2027" not in shown
    bundle.write_bytes(CONTENT.replace(b"# {", b"<<<<<<< HEAD\n# {", 3))
    assert "+no bundle: the file, line 2: this is no line of a bundle." in git(folder, "diff")


def test_plain_is_the_same_for_the_same_bundle(bundle: Path):
    """With --plain, neither the name of the file, nor times, nor colours are shown; and bodies are whole."""
    ran = replaykit("show", "--plain", bundle)
    migrated = bundle.with_name("again.pd")
    migrated.write_bytes(condition.migrated(CONTENT))

    assert 0 == ran.code, ran
    assert ran.out == replaykit("show", "--plain", migrated).out
    assert str(bundle) not in ran.out
    assert "2026-11-21" not in ran.out
    assert '    {\n      "name": "a"\n    }\n  < HTTP/1.1 201 Created\n' in ran.out
    assert [] == [line for line in ran.out.splitlines() if "\x1b" in line]
    assert read_bytes(CONTENT).failure.message in ran.out
