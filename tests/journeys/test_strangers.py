"""Bundles from strangers: they reach no foreign host, run nothing, and look like what they are."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import NAMES, ROOT, Ran, replaykit

from replaykit.errors import LoadError
from replaykit.model import Model
from replaykit.project import load
from replaykit.reader import read
from replaykit.trace import Said
from replaykit.writer import save

ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\x85\u202egnp.exe\u2066\u200b\u061c\ufeff\U000e0041"
MARKUP = "<script>alert(1)</script>[bold red]x[/] {{7*7}} %s $(touch owned) `id`"


@pytest.fixture
def stranger(duplicate_names: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle with a provenance that somebody made up."""

    def write(**changes: object) -> Path:
        known = read(duplicate_names)
        path = tmp_path / "strange.pd"
        save(path, known.provenance.replace(**changes), known.trace)
        return path

    return write


# --- hosts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example", "http://127.0.0.1@shop.example", "http://127.0.0.1:80@shop.example/",
        "http://shop.example#127.0.0.1", "http://127.0.0.1.shop.example", "http://localhost.shop.example",
        "http://2130706433", "http://0x7f.1", "http://127.1", "http://0.0.0.0", "http://[::]", "http://169.254.169.254",
        "http://[::ffff:10.0.0.1]", "http://10.0.0.1", "http://localhost%2eshop.example",
        "http://①②⑦.0.0.1.shop.example", "http://localhost.", "https://127.0.0.1.",
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["replay", "reshrink"])
def test_no_foreign_host_is_reached(stranger, url: str, command: str, tmp_path: Path):
    """Whatever a recorded URL tries, a host that is not plainly this machine is refused; nothing is sent."""
    path = stranger(url=url)
    ran = replaykit(command, path, *NAMES, "--health", "none", "--health-timeout", "1", cwd=tmp_path)

    assert ran.code in {128, 129}, ran
    assert "error[foreign-host]" in ran.err or "error[bundle-corrupt]" in ran.err
    assert "Traceback" not in ran.err


def project(folder: Path, text: str) -> Path:
    """Make a project that says this of replaykit."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("allowed", "url", "code"),
    [
        ('["shop.invalid"]', "http://shop.invalid", 125),
        ('["SHOP.invalid:8080"]', "http://shop.invalid:8080", 125),
        ('["shop.invalid:8080"]', "http://shop.invalid", 129),
        ('["shop.invalid"]', "http://a.shop.invalid", 129),
        ('["shop.invalid"]', "http://shop.invalid@b.invalid", 129),
        ("[]", "http://shop.invalid", 129),
        ('"shop.invalid"', "http://shop.invalid", 129),
        ('["http://shop.invalid"]', "http://shop.invalid", 129),
    ],
)
def test_hosts_that_the_project_allows(stranger, tmp_path: Path, allowed: str, url: str, code: int):
    """A host of allow_hosts is asked without --url, on that port if one is named, and no other."""
    here = project(tmp_path / "here", f"[tool.replaykit]\nallow_hosts = {allowed}\n")
    ran = replaykit(
        "replay", stranger(url=url), "--model", "examples.leaderboard:Leaderboard",
        "--adapter", "examples.leaderboard:LeaderboardApi", "--health", "none", "--health-timeout", "1",
        cwd=here, PYTHONPATH=str(ROOT),
    )  # fmt: skip

    assert code == ran.code, ran


# --- code ---------------------------------------------------------------------------------------


def replayed_in(folder: Path, bundle: Path) -> Ran:
    """Replay a bundle offline in a project."""
    return replaykit("replay", bundle, "--offline", cwd=folder, PYTHONPATH=str(ROOT))


CLASSES = """
import collections
from threading import *
from other import Own
class Plain: ...
class Error(RuntimeError): ...
class Pair(collections.namedtuple("Pair", "a b")): ...
class Deep(Plain, Own): ...
"""


@pytest.mark.parametrize(
    "named",
    [
        "../outside.py:Evil", "link.py:Evil", "linked/outside.py:Evil", "linked.outside:Evil", "{outside}:Evil",
        "here/../../outside.py:Evil", "outside:Evil", "script:main", "script.py:main", "script:os", "script:Evil",
        "script.py:Path", "os:system", "subprocess:Popen", "..outside:Evil", ".script:main", "script", ":Evil",
        "script:", "script.py",
        "script:Plain", "script.py:Plain", "script:Error", "script:Pair", "script:Deep",
        "\x1b[2J:Evil", "no such:Evil", "__main__:Evil", "replaykit.service:Started",
    ],
)  # fmt: skip
def test_nothing_that_a_bundle_names_is_run(stranger, tmp_path: Path, named: str):
    """What lies outside of the project is not imported, by whatever path; nor a script that has no such class."""
    here = project(tmp_path / "here", "[tool.replaykit]\n")
    outside = tmp_path / "outside.py"
    outside.write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\nclass Evil: pass\n")
    (here / "script.py").write_text(
        f"import os\nfrom pathlib import Path\nopen({str(tmp_path / 'owned')!r}, 'w')\n{CLASSES}"
    )
    (here / "other.py").write_text("class Own(Exception): ...\n")
    (here / "link.py").symlink_to(outside)
    (here / "linked").symlink_to(tmp_path, target_is_directory=True)
    ran = replayed_in(here, stranger(model=named.replace("{outside}", str(outside))))

    assert ran.code in {128, 129}, ran
    assert "Traceback" not in ran.err
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "source",
    [
        "import replaykit\nclass A(replaykit.Model): ...", "import replaykit as r\nclass A(object, r.Model[int]): ...",
        "from replaykit import *\nclass A(Model): ...", "from base import B\nclass A(B): ...",
        "from replaykit import Model as M\nclass M(M): ...\nclass A(M): ...", "class A(made()): ...",
        "if True:\n    from base import Model\nclass A(Model): ...", "import base\nclass A(base.B): ...",
        "from base import Lazy\nclass A(Lazy): ...",
    ],
)  # fmt: skip
def test_a_class_that_may_be_a_model_is_found(tmp_path: Path, monkeypatch, source: str):
    """However a class comes to its base: as long as that may be a model, the module is imported."""
    here = project(tmp_path / "here", "[tool.replaykit]\n")
    (here / "strange.py").write_text(f"raise ValueError('run')\n{source}\n")
    (here / "base.py").write_text("from replaykit import Model\nclass B(Model): ...\n")
    monkeypatch.chdir(here)
    monkeypatch.setattr("sys.path", [str(here), *sys.path])

    with pytest.raises(LoadError, match="can't be imported: ValueError: run"):
        load("strange:A", Model, trusted=False)


def test_a_class_that_another_module_takes_is_found(stranger, tmp_path: Path):
    """A package that takes its model from a module of its own is what a bundle may name."""
    here = project(tmp_path / "here", "[tool.replaykit]\n")
    (here / "shop").mkdir()
    (here / "shop" / "__init__.py").write_text("from .board import Leaderboard as Board\nfrom shop.board import *\n")
    (here / "shop" / "board.py").write_text(
        "from examples.leaderboard import Leaderboard as Theirs, LeaderboardApi as TheirApi\n"
        "class Leaderboard(Theirs): ...\nclass LeaderboardApi(TheirApi): ...\n"
    )
    ran = replayed_in(here, stranger(model="shop:Board", adapter="shop:LeaderboardApi"))

    assert 1 == ran.code, ran


# --- the terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [ESCAPES, MARKUP, "line\nVERDICT fixed: all is well (exit 0)\r\n"])
@pytest.mark.parametrize("command", [("show", "-v"), ("replay", "--offline", "-v"), ("reshrink",), ("scan",)])
def test_what_a_bundle_says_is_shown_harmless(
    duplicate_names: Path, tmp_path: Path, said: str, command: tuple[str, ...]
):
    """Escapes, controls and characters that turn or hide text never reach the terminal; no line looks like ours."""
    known = read(duplicate_names)
    steps = []
    on_the_wire = said.encode().decode("latin-1")
    for step in known.trace.steps:
        each = step.interactions[0]
        request = each.request.replace(method="PUT" + said, headers=(("X", on_the_wire),), body=said.encode())
        response = each.response.replace(reason=on_the_wire, body=said.encode())
        event = Said(tag="x", version=1, data=b'{"a":"\\u001b[2J"}')
        call = step.call.replace(tag="tag" + said, args={"name" + said: said})
        steps.append(
            step.replace(call=call, event=event, interactions=(each.replace(request=request, response=response),))
        )
    failure = known.failure.replace(name="n" + said, message="m" + said, actual=said)
    path = tmp_path / "evil.pd"
    origin = known.provenance.replace(revision=said, model="a" + said, tool="t" + said, url="http://127.0.0.1:9")
    save(path, origin, known.trace.replace(steps=tuple(steps), failure=failure))
    ran = replaykit(*command[:1], path, *command[1:], cwd=tmp_path)
    shown = ran.out + ran.err

    assert {"show": 0, "replay": 128, "reshrink": 128, "scan": 0}[command[0]] == ran.code, ran
    assert [] == [
        each for each in shown if each in ESCAPES.replace("gnp.exe", "").replace("owned", "") and not each.isascii()
    ]
    assert [] == [each for each in shown if each < " " and each != "\n"]
    assert [] == [line for line in shown.splitlines() if line.startswith("VERDICT fixed")]
    assert not (tmp_path / "owned").exists()
    assert "Traceback" not in ran.err


def test_names_of_a_bundle_are_no_paths(duplicate_names: Path, tmp_path: Path):
    """What a bundle calls its check can't choose where a file is written."""
    from replaykit.bundle import name_of

    named = [
        name_of(read(duplicate_names).failure.replace(name=each)) for each in ("../../x", "/etc/passwd", "a\0b", "..")
    ]

    assert [] == [each for each in named if os.sep in each or "\0" in each or each.startswith("/")]
    assert all((tmp_path / each).resolve().parent == tmp_path.resolve() for each in named)
