"""Random bundles with hostile strings, read by our reader, by vcrpy with libyaml, and by vcrpy without it.

python tests/benchmarks/yaml_readers.py --bundles 1000
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from vcr.request import HeadersDict
from vcr.serialize import deserialize
from vcr.serializers import yamlserializer

from replaykit.bundle import Origin
from replaykit.interaction import Headers, Interaction, Request, Response
from replaykit.reader import read_bytes
from replaykit.secret import Policy
from replaykit.trace import Trace
from replaykit.writer import save

BITS = [
    "", " ", "\x00", "\x07", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "\ue000",
    "\U0001f600", "\U0010ffff", "\\U0001F600", "\\\\ud83d\\ude00", "\\", "\\\\", "\\n", "'", '"', "''", "#", " #",
    "# {", "- ", "- x", ": ", "a: b", "{", "}", "[", "]", "{}", "[]", ",", "!!binary", '"body": !!binary "QQ=="',
    "!!python/object:os.system", "%", "%YAML 1.2", "@", "`", "&a", "*a", "|", ">", "|-", "---", "...", "\r\n", "\n",
    "\n\n", "\t", "null", "~", "yes", "no", "true", "1e3", "0x10", "012", "1_000", ".inf", "2001-01-01", "=", "<<", "é",
    "\xff", "€", "</script>", "\x1b[31m", "version: 1\n", "interactions:\n", '# {"k":"end"}',
]  # fmt: skip
NAMES = ["A", "a", "X-A", "Set-Cookie", "null", "yes", "1", "~", "#", "x" * 1200, "<<", "=", "!x", "*a", "@"]


def python_loader() -> type[Any]:
    """Make vcrpy's own loader on the YAML parser in Python, with the same constructors."""
    made = type("_PythonLoader", (yaml.SafeLoader,), {})
    made.yaml_constructors = dict(yamlserializer._CassetteLoader.yaml_constructors)
    return made


class WithLoader:
    """A serializer of vcrpy with another loader."""

    def __init__(self, loader: type[Any]) -> None:
        self.loader = loader

    def deserialize(self, text: str) -> Any:
        """Load a cassette."""
        return yaml.load(text, Loader=self.loader)  # noqa: S506


def text(draw: random.Random) -> str:
    """Draw a hostile text."""
    return "".join(
        draw.choice(BITS) if draw.random() < 0.8 else chr(draw.randrange(256)) for _ in range(draw.randrange(6))
    )


def body(draw: random.Random) -> bytes:
    """Draw a body: a hostile text, or bytes."""
    return draw.randbytes(draw.randrange(30)) if draw.random() < 0.2 else text(draw).encode("utf-8")


def headers(draw: random.Random) -> Headers:
    """Draw header pairs; values are Latin-1, as on the wire."""
    found = [(draw.choice(NAMES), text(draw).encode("utf-8").decode("latin-1")) for _ in range(draw.randrange(4))]
    return tuple(found)


def drawn(draw: random.Random) -> Trace:
    """Draw what was recorded."""
    return Trace(
        recorded=tuple(
            Interaction(
                request=Request(method="POST", url="http://127.0.0.1:1/a", headers=headers(draw), body=body(draw)),
                response=Response(
                    status=draw.choice([200, 204, 404]), reason=draw.choice(["OK", "", "é", "a: b"]),
                    headers=headers(draw), body=body(draw),
                ),
            )
            for _ in range(draw.randrange(3))
        ),
        ending="recorded",
    )  # fmt: skip


def grouped(pairs: Headers) -> dict[str, list[str]]:
    """Group headers as a cassette has them: in ASCII, and without names that are too long for a YAML key."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if len(name) <= 1000:
            found.setdefault(name, []).append(value.encode("ascii", "backslashreplace").decode("ascii"))
    return found


def said(trace: Trace) -> list[tuple[Any, ...]]:
    """Say what was recorded as vcrpy says cassettes."""
    rows = []
    for each in trace.recorded:
        response = each.response
        assert response is not None
        reason = response.reason.encode("ascii", "backslashreplace").decode("ascii")
        rows.append((
            each.request.method, each.request.url, each.request.body, held(HeadersDict(grouped(each.request.headers))),
            response.status,
            reason, grouped(response.headers), response.body,
        ))  # fmt: skip
    return rows


def theirs(content: bytes, serializer: Any) -> list[tuple[Any, ...]]:
    """Read a bundle as vcrpy reads a cassette."""
    rows = []
    requests, responses = deserialize(content.decode("ascii"), serializer)
    for request, response in zip(requests, responses, strict=True):
        string = response["body"]["string"]
        rows.append((
            request.method, request.uri, request.body or b"", held(request.headers), response["status"]["code"],
            response["status"]["message"], response["headers"],
            string.encode("utf-8") if isinstance(string, str) else string,
        ))  # fmt: skip
    return rows


def held(headers: HeadersDict) -> dict[str, str]:
    """Say which headers of a request vcrpy holds: of each name, whatever its case, one value."""
    return dict(headers._store.values())


def differences(seed: int, bundles: int, readers: dict[str, Callable[[bytes], Any]]) -> dict[str, tuple[int, float]]:
    """Count, for each reader, the bundles that it reads in another way than they were made, and its seconds."""
    draw = random.Random(seed)
    found = dict.fromkeys(readers, (0, 0.0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pd"
        for _ in range(bundles):
            made = drawn(draw)
            save(path, Origin(), made, policy=Policy(enabled=False))
            content = path.read_bytes()
            if read_bytes(content).trace != made:
                raise AssertionError(made)
            wanted = said(made)
            for name, reader in readers.items():
                began = time.perf_counter()
                seen = reader(content)
                wrong, seconds = found[name]
                found[name] = (wrong + (seen != wanted), seconds + time.perf_counter() - began)
    return found


READERS: dict[str, Callable[[bytes], Any]] = {
    "replaykit": lambda content: said(read_bytes(content).trace),
    "vcrpy with libyaml": lambda content: theirs(content, yamlserializer),
    "vcrpy without libyaml": lambda content: theirs(content, WithLoader(python_loader())),
}


def main() -> None:
    """Read so many bundles, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundles", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = differences(options.seed, options.bundles, READERS)
    print("| reader | bundles | read otherwise | ms a bundle |")
    print("|---|---|---|---|")
    for name, (wrong, seconds) in found.items():
        print(f"| {name} | {options.bundles} | {wrong} | {seconds / options.bundles * 1000:.1f} |")
    sys.exit(any(wrong for wrong, _ in found.values()))


if __name__ == "__main__":
    main()
