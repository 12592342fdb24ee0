"""Plays a bundle, and the cassette that is exported from it, in several versions of vcrpy and in pytest-recording.

    python tests/benchmarks/vcr_versions.py --folder /tmp/versions

makes an environment for each version with pip, which asks its index, and prints a table. It is no part of the tests
for that reason; the version that is installed is tested in tests/test_exchange.py.
"""

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

from replaykit.bundle import Origin
from replaykit.export import render
from replaykit.interaction import Interaction, Request, Response
from replaykit.reader import read
from replaykit.trace import Trace
from replaykit.writer import save

VERSIONS = ("6.0.2", "7.0.0", "8.2.1", "9.4.2")
URL = "http://127.0.0.1:9"
BODIES = (
    b"",
    b"plain",
    b"\x00\xff\x1f\x8b",
    '{"a": "ü \U0001f600 \x7f \u2028"}'.encode(),
    b"- !!binary 'x'\n# {",
    b"a" * 70_000,
)

PLAY = """
import json, sys, httpx, vcr
path, expected = sys.argv[1], json.load(open(sys.argv[2]))
with vcr.use_cassette(path, record_mode="none") as cassette, httpx.Client() as client:
    for asked, status, reason, headers, body in expected:
        answer = client.request(*asked)
        said = [answer.status_code, answer.reason_phrase, answer.content.hex()]
        assert said == [status, reason, body], (asked, said)
        for name, values in headers.items():
            assert answer.headers.get_list(name) == values, (name, answer.headers.get_list(name))
    assert cassette.all_played
"""

RECORDED = """
import httpx, pytest

@pytest.mark.vcr
def test_it(vcr):
    with httpx.Client() as client:
        for number in range({count}):
            client.post("{url}/" + str(number))
    assert vcr.all_played
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the environments are made, and kept")
    parser.add_argument("versions", nargs="*", default=VERSIONS)
    options = parser.parse_args()
    folder: Path = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    files, expected = written(folder)
    print(f"{'vcrpy':8} {'bundle':8} {'export':8} {'pytest-recording':16}")
    for version in options.versions:
        python = environment(folder / f"v{version}", version)
        played = [ran(python, "-c", PLAY, file, expected) for file in files]
        (folder / "test_recorded.py").write_text(RECORDED.format(count=len(BODIES), url=URL))
        cassettes = folder / "cassettes" / "test_recorded"
        cassettes.mkdir(parents=True, exist_ok=True)
        (cassettes / "test_it.yaml").write_bytes(files[0].read_bytes())
        recorded = ran(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_recorded.py", cwd=folder)
        print(f"{version:8} {played[0]:8} {played[1]:8} {recorded:16}")


def written(folder: Path) -> tuple[list[Path], Path]:
    """Write a bundle of odd answers, its export, and what is expected of both."""
    headers = (("X-Upper", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Type", "text/plain; x='#'"))
    recorded = tuple(
        Interaction(
            request=Request(method="POST", url=f"{URL}/{number}", headers=(("Accept", "*/*"),)),
            response=Response(status=200 + number, reason=f"Fine {number}", headers=headers, body=body),
        )
        for number, body in enumerate(BODIES)
    )
    bundle, export, expected = folder / "odd.pd", folder / "odd.yaml", folder / "expected.json"
    save(bundle, Origin(), Trace(recorded=recorded, ending="recorded"))
    export.write_text(render(read(bundle), "vcr"), encoding="utf-8")
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    said = [
        [["POST", f"{URL}/{number}"], 200 + number, f"Fine {number}", grouped, body.hex()]
        for number, body in enumerate(BODIES)
    ]
    expected.write_text(json.dumps(said), encoding="utf-8")
    return [bundle, export], expected


def environment(folder: Path, version: str) -> Path:
    """Make an environment with a version of vcrpy, unless it is there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        wanted = [f"vcrpy=={version}", "httpx", "pytest", "pytest-recording"]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return python


def ran(python: Path, *arguments: object, cwd: Path | None = None) -> str:
    """Run something; say whether it went well."""
    done = subprocess.run([python, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
    return "no" if done.returncode else "yes"


if __name__ == "__main__":
    main()
