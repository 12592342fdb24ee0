"""A package index on loopback, with versions of a small package that were made here."""

import base64
import contextlib
import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NOT_FINAL = ("1.9b1", "2.0rc1")
WHEELS = ("1.0", "1.1", "1.2", "1.10", "2.0", *NOT_FINAL)
OTHER_PYTHON = "1.5"  # only for a Python of long ago
BROKEN = "1.6"  # raises while it is built


@dataclass
class Index:
    """A running index: where it is, what it was asked, and whether it answers."""

    url: str
    asked: list[str] = field(default_factory=list)
    answers: bool = True

    @property
    def settings(self) -> dict[str, str]:
        """What makes pip ask this index and nothing else."""
        return {
            "PIP_INDEX_URL": f"{self.url}/simple",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_RETRIES": "1",
        }


def asked_alone(there: Index, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Let pip ask this index and no other, whatever its configuration says."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in there.settings.items():
        monkeypatch.setenv(name, value)
    there.asked.clear()
    there.answers = True
    return there


@contextlib.contextmanager
def index(folder: Path) -> Iterator[Index]:
    """Serve the versions of `parrot`, and the one of `cage`."""
    made = {"parrot": folder / "simple" / "parrot", "cage": folder / "simple" / "cage"}
    for path in made.values():
        path.mkdir(parents=True)
    for version in (*WHEELS, OTHER_PYTHON):
        _wheel(made["parrot"], "parrot", version, f"VERSION = {version!r}\n")
    _broken(made["parrot"])
    _wheel(made["cage"], "cage", "1.0", "BARS = 12\n")
    for path in made.values():
        needs = ' data-requires-python="&lt;3"'
        links = [
            f'<a href="{file.name}"{needs if f"-{OTHER_PYTHON}-" in file.name else ""}>{file.name}</a>'
            for file in sorted(path.iterdir())
        ]
        (path / "index.html").write_text("<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given) -> None:
            super().__init__(*given, directory=str(folder))

        def do_GET(self) -> None:
            there.asked.append(self.path)
            if there.answers:
                super().do_GET()
            else:
                self.send_error(503)

        def log_message(self, *_) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there = Index(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield there
        finally:
            server.shutdown()
            thread.join()


def _wheel(folder: Path, name: str, version: str, code: str) -> None:
    """Write a wheel with one module."""
    info = f"{name}-{version}.dist-info"
    extra = "Provides-Extra: caged\nRequires-Dist: cage; extra == 'caged'\n" if name == "parrot" else ""
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extra}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            wheel.writestr(path, text)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _broken(folder: Path) -> None:
    """Write a source distribution whose own build backend raises."""
    top = f"parrot-{BROKEN}"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: parrot\nVersion: {BROKEN}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": "raise RuntimeError('the parrot is no more')\n",
    }
    with tarfile.open(folder / f"{top}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
