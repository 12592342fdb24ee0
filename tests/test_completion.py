"""Completion in real shells: what is proposed when a person presses the tabulator."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from conftest import ROOT, environment, replaykit

PROJECT = """
[tool.replaykit.profiles.shop]
model = "shop.model:Shop"
adapter = "shop.model:ShopApi"

[tool.replaykit.profiles.shop-chaos]
model = "shop.model:ChaosShop"
"""
ASKS = "_REPLAYKIT_COMPLETE"


def shell(name: str) -> str:
    """Return where a shell is. In continuous integration, each is there."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI", "").lower() in {"", "0", "false", "no"}:
        pytest.skip(f"there is no {name} on this machine; .ci/run installs it")
    assert found is not None, name
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make a project with two bugs, two profiles, and a program `replaykit` that a shell finds."""
    (tmp_path / "failures").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "other").mkdir()
    for path in ("failures/board-6f075236.pd", "failures/names-0a0a0a0a.pd", "other/stray.pd", "note.txt"):
        (tmp_path / path).write_text("x")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    program = tmp_path / "bin/replaykit"
    program.write_text(f"#!{sys.executable}\nfrom replaykit.cli import entry\nentry()\n")
    program.chmod(0o755)
    return tmp_path


def variables(home: Path) -> dict[str, str]:
    """Return the environment of the shells."""
    known = environment(
        HOME=str(home), PYTHONPATH=str(ROOT), TERM="dumb", PS1="$ ", LC_ALL="C.UTF-8", ZDOTDIR=str(home)
    )
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_DATA_DIRS"):
        known.pop(name, None)
    return {**known, "PATH": f"{home / 'bin'}{os.pathsep}{known['PATH']}"}


def typed(home: Path, words: list[str], lines: list[bytes], seconds: float = 40) -> str:
    """Type into a shell on a terminal, each line when the one before is done; return all that was shown."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        words, cwd=home, env=variables(home), stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  it is the shell's own terminal
    )  # fmt: skip
    os.close(terminal)
    shown, deadline = b"", time.monotonic() + seconds
    try:
        for line in lines:
            keys, _, awaited = line.partition(b"\0")
            os.write(master, keys)
            seen = len(shown)
            while awaited not in shown[seen:]:
                assert time.monotonic() < deadline, shown.decode()
                if select.select([master], [], [], 0.1)[0]:
                    shown += os.read(master, 65536)
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        os.close(master)
    return shown.decode("utf-8", "replace")


# --- bash ---------------------------------------------------------------------------------------


def proposed_in_bash(home: Path, line: str) -> list[str]:
    """Ask bash's own completion what may follow, as the tabulator does, with the words as bash breaks them."""
    script = replaykit("completion", "bash").out
    ask = f"""
{script}
COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}
compopt() {{ echo "compopt $*"; }}
_replaykit_completion replaykit
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        [shell("bash"), "--norc", "-c", ask], cwd=home, env=variables(home), capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return [each for each in done.stdout.splitlines() if each]


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        ("replaykit sh", ["show"]),
        ("replaykit re", ["reshrink", "replay", "recheck", "reopen", "repair"]),
        ("replaykit replay --pro", ["--profile", "--proxy-port"]),
        ("replaykit replay --order ", ["strict", "fifo", "any"]),
        ("replaykit replay --order=f", ["fifo"]),
        ("replaykit list --status wo", ["wontfix"]),
        ("replaykit integration --profile ", ["shop", "shop-chaos"]),
        ("replaykit integration --model shop.m", ["shop.model:ChaosShop", "shop.model:Shop"]),
        ("replaykit integration --model shop.model:C", ["ChaosShop"]),  # bash keeps what is before the colon
        ("replaykit integration --adapter ", ["shop.model:ShopApi"]),
        ("replaykit show ", ["failures/board-6f075236.pd", "failures/names-0a0a0a0a.pd"]),
        ("replaykit show failures/n", ["failures/names-0a0a0a0a.pd"]),
        ("replaykit show other/", ["other/stray.pd"]),
        ("replaykit show no", ["compopt -o default"]),
        ("replaykit diff failures/board-6f075236.pd failures/n", ["failures/names-0a0a0a0a.pd"]),
        ("replaykit suite -k 6f", ["6f075236"]),
        ("replaykit completion p", ["powershell"]),
    ],
)
def test_bash_proposes(home: Path, line: str, proposed: list[str]):
    """Commands, options, choices, profiles, classes and bundles are proposed, those in failures/ first."""
    assert proposed == proposed_in_bash(home, line)


def test_bash_completes_a_class_behind_its_colon(home: Path):
    """On a real terminal, the tabulator completes `module:Cl` to the class, though bash breaks words at colons."""
    (home / "rc").write_text(f"{replaykit('completion', 'bash').out}\nPS1='$ '\n")
    lines = [
        b"\0$ ",
        b"echo replaykit; replaykit integration --model shop.model:Ch\t\0ChaosShop",
        b" \x01echo \x05\n\0$ ",
    ]
    shown = typed(home, [shell("bash"), "--noprofile", "--rcfile", str(home / "rc"), "-i"], lines)

    assert "--model shop.model:ChaosShop" in shown


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a b.pd", "failures/a"),
        ("a b.pd", '"failures/a'),
        ("a b.pd", "'failures/a"),
        ("a b.pd", 'fail"ures/a'),
        ("a b.pd", '"fail"ures/a'),
        ("a b.pd", "failures/a\\ "),
        ("a b.pd", '"failures/a '),
        ("x$(touch PWNED).pd", "failures/x"),
        ("x$(touch PWNED).pd", '"failures/x'),
        ("x$(touch PWNED).pd", '"failures/x\\$'),
        ("x$(touch PWNED).pd", "'failures/x"),
        ("y`touch PWNED`.pd", '"failures/y'),
        ("q'uote.pd", "'failures/q"),
        ("q'uote.pd", '"failures/q'),
        ('dq".pd', '"failures/d'),
        ("z;touch PWNED;.pd", "failures/z"),
        ("wow!!.pd", '"failures/w'),
        ("wow!!.pd", "failures/w"),
        ("co:lo=n.pd", "failures/c"),
        ("co:lo=n.pd", '"failures/co:'),
        ("co:lo=n.pd", "failures/co:l"),
    ],
)
def test_bash_completes_odd_names_within_any_quotes(home: Path, name: str, start: str):
    """On a real terminal, what the tabulator puts on the line is the name of the file, and runs nothing."""
    (home / "failures" / name).write_text("x")
    (home / "rc").write_text(
        f"{replaykit('completion', 'bash').out}\nPS1='$ '\nbind 'set enable-bracketed-paste off'\n"
    )
    show = b"\x01printf '%s\\n' \x05 > said; echo do''ne\r\0done"
    lines = [b"\0$ ", f"replaykit show {start}\t\0.pd".encode(), show]
    typed(home, [shell("bash"), "--noprofile", "--rcfile", str(home / "rc"), "-i"], lines)

    assert f"replaykit\nshow\nfailures/{name}\n" == (home / "said").read_text()
    assert not (home / "PWNED").exists()


@pytest.mark.parametrize("name", ["e\x01$(touch PWNED).pd", "e\nx.pd", "e\tx.pd", "e\u202ex.pd"])
def test_names_that_a_terminal_would_obey_are_not_proposed(home: Path, name: str):
    """A bundle whose name holds a control character or a line feed is left out; so is such a profile."""
    (home / "failures" / name).write_text("x")
    (home / "pyproject.toml").write_text(f"[tool.replaykit.profiles.{json.dumps(name)}]\nmodel = 'a:B'\n")
    asked = ("show failures/", "suite -k ", "integration --profile ")
    answers = [
        replaykit(cwd=home, **{ASKS: "bash_complete", "COMP_TYPED": f"replaykit {each}", "COMP_BREAKS": ":"}).out
        for each in asked
    ]

    assert ["plain,failures/board-6f075236.pd", "plain,failures/names-0a0a0a0a.pd"] == answers[0].splitlines()
    assert ["board-6f075236", "6f075236", "names-0a0a0a0a", "0a0a0a0a"] == [
        each.removeprefix("plain,") for each in answers[1].splitlines()
    ]
    assert "" == answers[2].strip()


# --- zsh, fish ----------------------------------------------------------------------------------


def test_zsh_proposes(home: Path):
    """On a real terminal, zsh completes a command and a bundle, and lists the commands with what they are for."""
    (home / ".zshrc").write_text(
        f"PROMPT='> '\nunsetopt zle_bracketed_paste 2>/dev/null\nautoload -Uz compinit && compinit -u -D\n"
        f"{replaykit('completion', 'zsh').out}\n"
    )
    lines = [b"\0> ", b"replaykit sh\t\0show ", b"failures/n\t\0names-0a0a0a0a.pd", b"\x15replaykit clo\t\0close"]
    shown = typed(home, [shell("zsh"), "-i"], lines)
    listed = typed(home, [shell("zsh"), "-i"], [b"\0> ", b"replaykit re\t\t\0saved bugs again"])

    assert "names-0a0a0a0a.pd" in shown
    assert "Shrink a saved bug again" in listed


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        ("replaykit sh", {"show"}),
        ("replaykit integration --profile ", {"shop", "shop-chaos"}),
        ("replaykit integration --model shop.model:C", {"shop.model:ChaosShop"}),
        ("replaykit show failures/n", {"failures/names-0a0a0a0a.pd"}),
        ("replaykit replay --order f", {"fifo"}),
    ],
)
def test_fish_proposes(home: Path, line: str, proposed: set[str]):
    """Fish, asked as it asks itself, has the same in mind; its script lies where it looks for it."""
    installed = replaykit("completion", "fish", "--install", HOME=str(home), XDG_CONFIG_HOME="")
    done = subprocess.run(
        [shell("fish"), "-c", f"complete -C {line!r}"], cwd=home, env=variables(home), capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip

    assert 0 == installed.code
    assert proposed == {each.partition("\t")[0] for each in done.stdout.splitlines()}, done.stderr


# --- PowerShell, which is not to be had here ----------------------------------------------------


def test_powershell_is_answered_in_its_protocol(home: Path):
    """For each proposal, PowerShell is given three lines: what kind it is, the word, and what it is for.

    PowerShell itself is not run: this is what its script sends, and what it reads.
    """
    answered = replaykit(
        cwd=home, **{ASKS: "powershell_complete", "COMP_WORDS": "replaykit sho", "COMP_CWORD": "1"}
    )  # fmt: skip
    bundle = replaykit(cwd=home, **{ASKS: "powershell_complete", "COMP_WORDS": "replaykit show", "COMP_CWORD": "2"})
    script = replaykit("completion", "powershell").out

    assert ["plain", "show", "Show what a bundle holds."] == answered.out.splitlines()
    assert ["plain", "failures/board-6f075236.pd", "_"] == bundle.out.splitlines()[:3]
    assert "Register-ArgumentCompleter -Native -CommandName replaykit" in script
    assert f"$env:{ASKS} = 'powershell_complete'" in script


def test_powershell_is_given_values_that_are_quoted(home: Path):
    """What is no plain word is put between quotes, for PowerShell puts it on the line as it is."""
    for name in ("a b.pd", "b;$(touch PWNED).pd", "c'd.pd", "d\u2019;e.pd"):
        (home / "failures" / name).write_text("x")
    ran = replaykit(cwd=home, **{ASKS: "powershell_complete", "COMP_WORDS": "replaykit show", "COMP_CWORD": "2"})

    assert [
        "'failures/a b.pd'",
        "'failures/b;$(touch PWNED).pd'",
        "failures/board-6f075236.pd",
        "'failures/c''d.pd'",
        "'failures/d\u2019\u2019;e.pd'",
        "failures/names-0a0a0a0a.pd",
    ] == ran.out.splitlines()[1::3]


# --- the command --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "powershell"])
def test_install_writes_what_is_printed(home: Path, name: str):
    """With --install, the script is a file that holds what is printed; a folder in its place is an error."""
    folders = {"XDG_DATA_HOME": str(home / "data"), "XDG_CONFIG_HOME": str(home / "config")}
    printed, installed = replaykit("completion", name), replaykit("completion", name, "--install", **folders)
    found = re.fullmatch(r"Written: (.*)\n", installed.out)
    assert found is not None
    path = Path(found[1])

    assert [0, 0] == [printed.code, installed.code]
    assert path.read_text(encoding="utf-8").rstrip() == printed.out.rstrip()
    assert path.is_relative_to(home)
    path.unlink()
    path.mkdir()
    assert 129 == replaykit("completion", name, "--install", **folders).code


def test_a_broken_project_is_no_trouble_while_one_types(home: Path):
    """Where pyproject.toml is broken, nothing is proposed and nothing is said."""
    (home / "pyproject.toml").write_text("[tool.replaykit\n")
    asked = {"COMP_TYPED": "replaykit replay --profile ", "COMP_BREAKS": ":"}
    ran = replaykit(cwd=home, **{ASKS: "bash_complete", **asked})

    assert ("", "") == (ran.out.strip(), ran.err)


@pytest.mark.parametrize("asked", ["bash_complete", "nonsense_complete", "bash_nonsense", "bash", "zsh_complete"])
def test_wrong_questions_are_answered_with_nothing(home: Path, asked: str):
    """A shell that asks in a wrong way is told nothing, rather than a traceback."""
    ran = replaykit(cwd=home, **{ASKS: asked, "COMP_CWORD": "x"})

    assert ran.code in {0, 1}
    assert ran.err == ""
