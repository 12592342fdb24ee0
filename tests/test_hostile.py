"""Hostile and broken files: always a named error with a line, in bounded time and memory; nothing is imported."""

import gzip
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import environment, replaykit
from test_bundle import interaction, trace, written

from replaykit.archive import unpacked
from replaykit.bundle import Bundle
from replaykit.condition import condition_of, migrated, repaired
from replaykit.errors import BundleError
from replaykit.reader import read_bytes

GOLDEN = (Path(__file__).parent / "bundles" / "format-1.pd").read_bytes()
MEMORY = 1 << 30  # bytes that may be mapped while the worst file is read
SECONDS = 20  # of processor time for it


def outcome(content: bytes, name: str = "bug.pd") -> Bundle | None:
    """Read what may be a bundle, in all ways that commands do; None where it is refused, as it should be."""
    try:
        found = read_bytes(unpacked(content, name), name)
    except BundleError as error:
        if not re.search(r"line \d+|is empty|has the format", str(error)):
            raise
        found = None
    for work in (condition_of, repaired, lambda each: migrated(each, settled=True)):
        try:
            work(content)
        except BundleError:
            continue
    return found


def mutations(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Break a bundle in many ways, line by line and byte by byte."""
    lines = content.splitlines(keepends=True)
    for number in range(len(lines)):
        yield f"line {number} twice", b"".join([*lines[: number + 1], *lines[number:]])
        yield f"line {number} gone", b"".join([*lines[:number], *lines[number + 1 :]])
        yield f"line {number} joined", content.replace(lines[number], lines[number][:-1], 1)
        for other in range(number + 1, len(lines)):
            swapped = [*lines]
            swapped[number], swapped[other] = swapped[other], swapped[number]
            if swapped != lines:
                yield f"lines {number} and {other} swapped", b"".join(swapped)
    for odd in (
        b"\x00",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\t",
        b"\n",
        b"---\n",
        b"...\n",
        b"%YAML 1.2\n",
        b"&a ",
    ):
        draw = random.Random(repr(odd))
        for place in [0, len(content), *(draw.randrange(len(content)) for _ in range(40))]:
            yield f"{odd!r} at {place}", content[:place] + odd + content[place:]


def test_lines_that_are_doubled_lost_or_swapped_are_noticed():
    """Whatever happens to lines, and whatever is put in, it is an error or not whole: never a bundle that says less."""
    for what, changed in mutations(GOLDEN):
        found = outcome(changed)

        assert found is None or not found.whole, what


def test_random_damage_is_noticed(tmp_path: Path):
    """Some bytes overwritten, a part cut out, a part from elsewhere: an error or not whole."""
    content = written(
        tmp_path, trace("\U0001f600 {owner~1}", nonce="ab").replace(closing=(interaction(body=b"\xff\x00"),))
    )
    draw = random.Random(5)
    for _ in range(1500):
        changed = bytearray(content)
        for _ in range(draw.randrange(1, 4)):
            start = draw.randrange(len(changed))
            length = draw.choice([1, 1, 2, 8, 200])
            kind = draw.randrange(3)
            if kind == 0:
                changed[start : start + length] = draw.randbytes(length)
            elif kind == 1:
                del changed[start : start + length]
            else:
                changed[start:start] = changed[draw.randrange(len(changed)) :][:length]
        found = outcome(bytes(changed))

        assert found is None or not found.whole or bytes(changed) == content


def line_of(value: str, kind: str = "command") -> bytes:
    """Put JSON from a stranger into a record of a bundle, in a place that the reader looks at."""
    return (
        b'version: 1\n# {"k":"bundle","format":1,"tool":"t"}\n'
        + f'# {{"k":"{kind}","step":0,"tag":"x","version":1,"args":{value},"data":{value}}}\n'.encode(
            "utf-8", "replace"
        )
    )


@pytest.mark.parametrize("kind", ["command", "event", "weather"])
@pytest.mark.parametrize(
    "value",
    [
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"a":' * 3000 + "1" + "}" * 3000, '{"a":' + "[" * 201 + "]" * 201 + "}",
        '{"a":' + "9" * 5000 + "}", '{"a":1e999}', '{"a":-1e999}', '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}',
        '{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', '{"a":"\x00"}', '{"a":"\r"}', '{"a":"\t"}', '{"a":01}', '{"a":0x10}',
        "{'a':1}", '{"a":1,}', '{"a":"\\U00110000"}', '{"a":"\\x41"}', '{"a":"\xe9"}', "{", "", '{"a":!!binary "QQ=="}',
    ],
    ids=lambda value: value[:24],
)  # fmt: skip
def test_json_that_is_none_of_ours_is_an_error_with_its_line(kind: str, value: str):
    """Deep, huge, doubled, not finite, not JSON: the line is named, in records that nobody knows too."""
    with pytest.raises(BundleError, match="line 3: ") as told:
        read_bytes(line_of(value, kind))

    assert len(str(told.value)) < 1000


@pytest.mark.parametrize(
    "value",
    ["[]", '"x"', "null", "true", "-1", "1.5", "1e400", "99999999999999999999", '{"$ref":1}', '"\\ud800"', "[[[]]]"],
)
@pytest.mark.parametrize("key", ["k", "step", "tag", "version", "args", "raw", "branch", "twice", "repeats"])
def test_any_value_in_any_place_of_a_command_is_taken_or_an_error(key: str, value: str):
    """A command with a value that it can't have is a BundleError, and never another exception."""
    data = {"k": "command", "step": 0, "tag": "x"}
    said = json.dumps({**data, key: "@"}).replace('"@"', value)
    content = b'version: 1\n# {"k":"bundle","format":1}\n# ' + said.encode() + b"\n"
    found = outcome(content)

    assert found is None or not found.whole


WORST = {
    "lists in an unknown key": b'{"k":"weather","a":[' + b"[]," * 5_000_000 + b"[]]}",
    "lists in arguments": b'{"k":"command","step":0,"tag":"x","args":{"a":[' + b"[]," * 5_000_000 + b"[]]}}",
    "objects": b'{"k":"weather","a":[' + b'{"":0},' * 2_000_000 + b"{}]}",
    "numbers": b'{"k":"weather","a":[' + b"0.1," * 4_000_000 + b"0]}",
    "long integers": b'{"k":"weather","a":[' + (b"9" * 4300 + b",") * 3_800 + b"0]}",
    "short texts": b'{"k":"weather","a":[' + b'"ab",' * 3_200_000 + b'""]}',
    "escapes": b'{"k":"weather","a":"' + b"\\U0001F600" * 1_600_000 + b'"}',
    "backslashes": b'{"k":"weather","a":"' + b"\\\\" * 8_000_000 + b'"}',
    "keys": b'{"k":"weather",' + b",".join(b'"%d":0' % number for number in range(1_300_000)) + b"}",
    "depth": b'{"k":"weather","a":' + b"[" * 8_000_000 + b"]" * 8_000_000 + b"}",
}

READ = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
from pathlib import Path
from replaykit.errors import BundleError
from replaykit.reader import read
try:
    print("whole" if read(Path(sys.argv[1])).whole else "not whole")
except BundleError as error:
    print("refused", str(error)[:200])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MB", file=sys.stderr)
"""


def limited(path: Path) -> str:
    """Read a file in a process that may not have more than so much memory and time; return what came of it."""
    done = subprocess.run(
        [sys.executable, "-c", READ.format(memory=MEMORY, seconds=SECONDS), str(path)],
        env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("line", WORST.values(), ids=WORST)
def test_the_worst_line_takes_bounded_memory_and_time(line: bytes, tmp_path: Path):
    """A line as long as may be, of what takes most room in memory, is read or refused within the limits."""
    path = tmp_path / "worst.pd"
    path.write_bytes(b'version: 1\n# {"k":"bundle","format":1}\n# ' + line + b"\n")

    assert re.match("not whole|refused .*line 3: ", limited(path))


@pytest.mark.parametrize("name", ["lines.pd", "lines.txt", "bomb.pd.gz", "packed.pd.gz", "spaces.md"])
def test_the_worst_file_takes_bounded_memory_and_time(name: str, tmp_path: Path):
    """A file as large as may be is read or refused within the limits: four worst lines, empty lines, a bomb."""
    head = b'version: 1\n# {"k":"bundle","format":1}\n'
    short = b'# {"k":"command","step":0,"tag":"x","args":{"a":[' + b'"ab",' * 3_200_000 + b'""]}}\n'
    contents: dict[str, Callable[[], bytes]] = {
        "lines.pd": lambda: head + short * 4,
        "lines.txt": lambda: head + b"\n" * (60 << 20),
        "bomb.pd.gz": lambda: gzip.compress(bytes(300 << 20), 1),
        "packed.pd.gz": lambda: gzip.compress(head + short * 4, 1),
        "spaces.md": lambda: (b" " * 1000 + b"version: 1\n") * 60_000,
    }
    path = tmp_path / name
    path.write_bytes(contents[name]())

    assert re.match("not whole|refused .*(line|bytes)", limited(path))


def test_nothing_is_imported_or_fetched_by_reading(tmp_path: Path):
    """A bundle that names modules, files and hosts is read without any of them, and without a socket."""
    (tmp_path / "evil.py").write_text("raise SystemExit(66)\n", encoding="utf-8")
    path = tmp_path / "bug.pd"
    path.write_bytes(
        GOLDEN.replace(b"examples.leaderboard:Leaderboard", b"evil:Shop").replace(b"127.0.0.1", b"10.9.8.7")
    )
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit(67)\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from replaykit.cli import main\n"
        f"codes = [main([word, {str(path)!r}]) for word in ('show', 'verify', 'repair', 'migrate')]\n"
        f"codes.append(main(['show', '--plain', {str(path)!r}]))\n"
        "loaded = sorted({'evil', 'yaml', 'pickle', 'vcr', 'replaykit.client'} & set(sys.modules))\n"
        "print('END', codes, loaded)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )

    assert "END [128, 128, 128, 128, 0] []" == done.stdout.splitlines()[-1], done.stdout + done.stderr


HOSTILE = {
    "truncated.pd": GOLDEN[:900],
    "flipped.pd": GOLDEN.replace(b"Created", b"created", 1),
    "deep.pd": line_of("[" * 100_000),
    "nul.pd": GOLDEN[:700] + b"\x00" + GOLDEN[700:],
    "crlf.pd": GOLDEN.replace(b"\n", b"\r\n"),
    "bom.pd": b"\xef\xbb\xbf" + GOLDEN,
    "bomb.pd.gz": gzip.compress(bytes(80 << 20), 1),
    "escapes.pd": b'version: 1\n# {"k":"bundle","format":1,"tool":"\\u001b[31m"}\n# \x1b[31m\n',
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("command", ["show", "verify", "replay", "migrate"])
def test_the_command_line_ends_in_128_without_a_traceback(command: str, name: str, tmp_path: Path):
    """Each command tells what is wrong with a file, and exits with 128; nothing that a terminal obeys is printed."""
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    ran = replaykit(command, path)

    shown = command == "show" and name == "truncated.pd"
    assert (0 if shown else 128) == ran.code, ran
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.out + ran.err
    assert path.read_bytes() == HOSTILE[name]
