"""Export and import through the command line, and adapters that use other clients: exit code first."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import vcr
from conftest import ROOT, environment, leaderboard, replaykit

from replaykit.importing.vcr import read as read_cassette
from replaykit.reader import read

DOCS = ROOT / "docs"
CASSETTE = """interactions:
- request: {method: GET, uri: 'http://127.0.0.1:9/a', headers: {Authorization: [Bearer abcdef0123456789]}}
  response: {status: {code: 200, message: OK}, body: {string: hello}}
"""
BOMB = b"a: &a [x,x]\n" + b"".join(b"b%d: &a [*a,*a]\n" % number for number in range(40))


def files_in(folder: Path) -> list[str]:
    """List the names in a folder."""
    return sorted(each.name for each in folder.iterdir())


# --- export -------------------------------------------------------------------------------------


def test_an_exported_cassette_is_0_and_plays(duplicate_names: Path, tmp_path: Path):
    """What is exported is played by vcrpy, request for request; the bundle is as it was."""
    before, path = duplicate_names.read_bytes(), tmp_path / "new" / "bug.yaml"
    ran = replaykit("export", duplicate_names, "--format", "vcr", "--output", path)
    recorded = read(duplicate_names).trace.interactions()
    with vcr.use_cassette(str(path), record_mode="none"), httpx.Client() as client:
        answers = [
            client.request(each.request.method, each.request.url, content=each.request.body) for each in recorded
        ]

    assert 0 == ran.code, ran
    assert "" == ran.out
    assert [each.response.body for each in recorded] == [answer.content for answer in answers]
    assert before == duplicate_names.read_bytes()


def test_an_export_without_a_file_is_printed_to_the_byte(duplicate_names: Path, tmp_path: Path):
    """Standard output gets what the file gets."""
    path = tmp_path / "bug.yaml"
    printed = replaykit("export", duplicate_names, "--format", "vcr")
    dashed = replaykit("export", duplicate_names, "--format", "vcr", "--output", "-")
    replaykit("export", duplicate_names, "--format", "vcr", "--output", path)

    assert 0 == printed.code, printed
    assert path.read_text(encoding="utf-8") == printed.out == dashed.out


def test_an_export_does_not_overwrite_its_bundle(duplicate_names: Path, tmp_path: Path):
    """The file that is read is not the one to write to; it stays as it was."""
    bundle = tmp_path / "bug.pd"
    bundle.write_bytes(duplicate_names.read_bytes())
    ran = replaykit("export", bundle, "--format", "vcr", "--output", bundle)

    assert 129 == ran.code, ran
    assert "is the bundle that is read" in ran.err
    assert duplicate_names.read_bytes() == bundle.read_bytes()


def test_a_truncated_bundle_is_exported_and_said(duplicate_names: Path, tmp_path: Path):
    """What is there is exported, and standard error says that there is no end."""
    path = tmp_path / "cut.pd"
    path.write_bytes(duplicate_names.read_bytes()[:-20])
    ran = replaykit("export", path, "--format", "vcr")

    assert 0 == ran.code, ran
    assert len(read_cassette(ran.out.encode())) > 1
    assert "has no end" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.pd", "--format", "vcr"], 129, "error[missing-file]"),
        (["bad.pd", "--format", "vcr"], 128, "error[bundle-corrupt]"),
        (["good.pd", "--format", "tapes"], 129, "error[usage]"),
        (["good.pd"], 129, "error[usage]"),
        (["good.pd", "--format", "vcr", "--output", "."], 129, "error[unwritable]"),
    ],
    ids=["no file", "no bundle", "no such format", "no format", "a folder"],
)
def test_what_can_not_be_exported_is_128_or_129(
    arguments: list[str], code: int, said: str, duplicate_names: Path, tmp_path: Path
):
    """Nothing is printed on standard output then, and nothing is written."""
    (tmp_path / "bad.pd").write_text("hello")
    (tmp_path / "good.pd").write_bytes(duplicate_names.read_bytes())
    ran = replaykit("export", *arguments, cwd=tmp_path, PYTHONPATH=str(ROOT))

    assert code == ran.code, ran
    assert said in ran.err
    assert "" == ran.out
    assert ["bad.pd", "good.pd"] == files_in(tmp_path)


def test_a_full_disk_is_129_and_a_reader_that_is_gone_is_0(duplicate_names: Path):
    """What can't be printed is told; that nobody reads on is nobody's fault."""
    command = f"{sys.executable} -m replaykit export {duplicate_names} --format vcr"
    full, gone = (
        subprocess.run(
            ["bash", "-c", f"{command} {rest}"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        for rest in ("> /dev/full", "| true; exit ${PIPESTATUS[0]}")
    )

    assert 129 == full.returncode, full
    assert "error[unwritable]" in full.stderr
    assert (0, "") == (gone.returncode, gone.stderr)


# --- import -------------------------------------------------------------------------------------


def test_an_imported_cassette_is_0_and_can_be_shown(tmp_path: Path):
    """A cassette becomes a bundle, without its secrets, that can be shown and exported again."""
    path, bundle = tmp_path / "login.yaml", tmp_path / "login.pd"
    path.write_text(CASSETTE)
    ran = replaykit("import", path, "--output", bundle)
    shown = replaykit("show", bundle)
    again = replaykit("export", bundle, "--format", "vcr")

    assert 0 == ran.code, ran
    assert f"1 request written to {bundle}" in ran.out
    assert 0 == shown.code, shown
    assert "GET /a  200" in shown.out
    assert 0 == again.code, again
    assert "hello" in again.out
    assert b"abcdef0123456789" not in bundle.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "code", "slug"),
    [
        ("none.yaml", None, 129, "missing-file"),
        ("bad.yaml", b"hello", 128, "foreign-file"),
        ("tag.yaml", b"interactions: !!python/object/apply:os.mkdir [made]", 128, "foreign-file"),
        ("bomb.yaml", BOMB, 128, "foreign-file"),
        ("bundle.pd", b'version: 1\n# {"k":"bundle","format":1}\ninteractions: []\n', 129, "usage"),
    ],
    ids=["no file", "no cassette", "a program", "a bomb", "a bundle"],
)  # fmt: skip
def test_what_can_not_be_imported_is_128_or_129(name: str, content: bytes | None, code: int, slug: str, tmp_path: Path):
    """No bundle is written then, nothing is run, and nothing is left behind."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ran = replaykit("import", name, "--output", "out.pd", cwd=tmp_path, PYTHONPATH=str(ROOT))

    assert code == ran.code, ran
    assert f"error[{slug}]" in ran.err
    assert [] == [each for each in files_in(tmp_path) if each != name]


def test_a_cassette_is_not_overwritten_by_its_own_import(tmp_path: Path):
    """The file that is read can't be the one that is written; neither can a folder or standard output."""
    path = tmp_path / "a.yaml"
    path.write_text(CASSETTE)
    codes = [replaykit("import", path, "--output", output, cwd=ROOT).code for output in (path, tmp_path, "-")]

    assert [129, 129, 129] == codes
    assert CASSETTE == path.read_text()
    assert ["a.yaml"] == files_in(tmp_path)


# --- other clients ------------------------------------------------------------------------------


def example(page: str, name: str) -> str:
    """Return a file that a page of the documentation shows."""
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", (DOCS / "guides" / page).read_text(encoding="utf-8"))
    return next(block for block in blocks if block.startswith(f"# {name}\n"))


def test_the_guides_adapter_finds_and_replays_offline_with_1(tmp_path: Path):
    """The adapter of the guide, which uses requests, finds the bug (1), and its bundle reproduces offline (1)."""
    (tmp_path / "by_requests.py").write_text(example("other-clients.md", "by_requests.py"), encoding="utf-8")
    names = ("--model", "examples.leaderboard:Leaderboard", "--adapter", "by_requests.py:ByRequests")
    found = replaykit(
        "integration", *names, "--start", leaderboard("duplicate-names"), "--runs", "100", "--seed", "1",
        "--stop-on-fail", "--save-failures", "failures", cwd=tmp_path, PYTHONPATH=str(ROOT),
    )  # fmt: skip
    [bundle] = (tmp_path / "failures").glob("*.pd")
    again = replaykit("replay", bundle, *names, "--offline", cwd=tmp_path, PYTHONPATH=str(ROOT))
    agents = {
        value
        for each in read(bundle).trace.interactions()
        for name, value in each.request.headers
        if name.lower() == "user-agent"
    }

    assert 1 == found.code, found
    assert 1 == again.code, again
    assert again.verdict.startswith("VERDICT reproduced")
    assert ["python-requests", "replaykit"] == sorted(agent.partition("/")[0] for agent in agents)


@pytest.mark.parametrize("command", ["show", "export"])
def test_vcrpy_and_yaml_are_imported_only_where_they_are_used(command: str, duplicate_names: Path):
    """Help and show import neither; an export needs YAML and not vcrpy."""
    arguments = [command, str(duplicate_names), *(["--format", "vcr"] if command == "export" else [])]
    script = (
        "import sys; from replaykit.cli import main; code = main(sys.argv[1:]);"
        "print(code, sorted({'vcr', 'yaml', 'aiohttp', 'requests'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"0 {['yaml'] if command == 'export' else []}" == done.stderr.strip()
