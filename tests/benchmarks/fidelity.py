"""Odd answers, recorded and played by replaykit and by vcrpy, beside what was on the wire.

    python tests/benchmarks/fidelity.py [--answer NAME]...

Each answer is asked for without a recorder, with one, and from what was recorded. It counts if what the client can
tell of it is the same: status, reason, version, header pairs, body, the error with its message, and where it came.
The last column forgives that the case and the order of header names are lost.
"""

import argparse
import importlib.metadata
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import vcr
from vcr.errors import CannotOverwriteExistingCassetteException

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from replaykit.network import Network
from replaykit.transport import AsyncTap, Tap
from replaykit.version import __version__
from tests.odd import CASES, Case, hear, odd_service
from tests.test_fidelity import Nowhere, Playing, Recording, heard, heard_async, kept, limits

PATIENCE = 1.0  # seconds that an answer may take that never ends


def ours(case: Case, wire: str, folder: Path) -> str:
    """Say whether replaykit plays an answer as it was on the wire."""
    tape = Recording()
    with odd_service(case) as url:
        if wire == "async":
            expected = heard_async(case, url, httpx.AsyncHTTPTransport(limits=limits(case)))
            heard_async(case, url, AsyncTap(httpx.AsyncHTTPTransport(limits=limits(case)), tape))
        else:
            expected = heard(case, url, httpx.HTTPTransport(limits=limits(case)))
            heard(case, url, Tap(Network(lean=wire == "lean", connections=case.connections), tape))
    playing = Playing(kept(tape.kept, folder))
    tap, hearing = (AsyncTap, heard_async) if wire == "async" else (Tap, heard)
    return difference(expected, hearing(case, url, tap(Nowhere(), playing)))


def theirs(case: Case, folder: Path) -> tuple[str, str]:
    """Say whether vcrpy plays an answer as it was on the wire, and as it was but for the order and case of headers."""
    cassette = str(folder / "cassette.yaml")
    Path(cassette).unlink(missing_ok=True)

    def ask(url: str) -> Any:
        with httpx.Client(transport=httpx.HTTPTransport(limits=limits(case))) as client:
            return hear(client, case, url)

    with odd_service(case) as url:
        expected = ask(url)
        try:
            with vcr.use_cassette(cassette):
                ask(url)
        except Exception as error:
            said = f"no: {word(error)} while it was recorded"
            return said, said
    try:
        with vcr.use_cassette(cassette, record_mode="none"):
            actual = ask(url)
    except Exception as error:
        said = f"no: {word(error)}"
        return said, said
    return difference(expected, actual), difference(forgiven(expected), forgiven(actual))


def word(error: Exception) -> str:
    """Name an error; that of vcrpy which means that nothing was recorded says so."""
    return "not recorded" if isinstance(error, CannotOverwriteExistingCassetteException) else type(error).__name__


def forgiven(told: Any) -> Any:
    """Return what was heard with its header names in lower case and in order."""
    if isinstance(told, tuple):
        return tuple(map(forgiven, told))
    if isinstance(told, list) and told and len(told[0]) == 2:
        return sorted((name.lower(), value) for name, value in told)
    return [forgiven(each) for each in told] if isinstance(told, list) else told


def difference(expected: tuple[Any, ...], actual: tuple[Any, ...]) -> str:
    """Say what of an answer is not as it was."""
    if expected == actual:
        return "yes"
    names = ["status", "reason", "version", "headers", "hops", "body", "error", "message"]
    if len(expected) != len(actual):
        return "no: error"
    if len(expected) < len(names) - 2:
        names = names[-3:]
    wrong = [name for name, one, other in zip(names, expected, actual, strict=False) if one != other]
    return f"no: {', '.join(wrong)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answer", action="append", choices=CASES)
    chosen = parser.parse_args().answer or list(CASES)
    same: Counter[str] = Counter()
    print("| answer | replaykit | through httpx's transport | async | vcrpy | vcrpy, forgiven |")
    print("|---|---|---|---|---|---|")
    for name in chosen:
        each = CASES[name]
        case = each._replace(timeout={"read": PATIENCE}) if each.reads is not None else each
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            found = {wire: ours(case, wire, folder) for wire in ("lean", "httpx", "async")}
            found["vcrpy"], found["forgiven"] = theirs(case, folder)
        same.update(who for who, said in found.items() if said == "yes")
        print(f"| {name} | {' | '.join(found.values())} |", flush=True)
    counts = " | ".join(f"**{same[who]} of {len(chosen)}**" for who in ("lean", "httpx", "async", "vcrpy", "forgiven"))
    print(f"| **as it was** | {counts} |")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("httpx", "vcrpy"))
    print(f"\nreplaykit {__version__}, {versions}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
