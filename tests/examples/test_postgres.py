"""ToyBank's PostgreSQL: found or started, and gone without a trace whatever happens."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from conftest import ROOT, environment, processes

from examples.toybank import launcher, postgres
from examples.toybank.postgres import reached

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")

SERVICE = """
import os, sys
import psycopg
from examples.toybank.postgres import reached

with reached(None) as url:
    try:
        print(url, flush=True)
        sys.stdin.read()
    finally:
        with psycopg.connect(url) as connection:
            print(os.geteuid(), *connection.execute("SELECT 'still there'").fetchone(), flush=True)
"""

# A container forbids namespaces like this: seccomp(2), with a filter that answers unshare with EPERM.
WITHOUT_NAMESPACES = """
import ctypes, os, struct
number = {"x86_64": 272, "aarch64": 97}[os.uname().machine]
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(program)))) == 0
"""


@pytest.fixture
def room() -> Iterator[Path]:
    """Give a folder for temporary files that anybody may enter; its path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="room-"))
    folder.chmod(0o755)
    yield folder
    for pid in processes(str(folder)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def service(room: Path, script: str = SERVICE, *prefix: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a service that wants a database, in a session of its own as a terminal would."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", script],
        cwd=ROOT, env=environment(TMPDIR=str(room), **more), text=True, start_new_session=True,
        stdin=pipe, stdout=pipe, stderr=pipe,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ran(room: Path, script: str = SERVICE, *prefix: str, **more: str) -> tuple[int, str, str]:
    """Run a service that ends at once, and give its exit code and what it wrote."""
    with service(room, script, *prefix, **more) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def programs(folder: Path, **scripts: str) -> str:
    """Write shell scripts in place of PostgreSQL's programs."""
    folder.mkdir()
    for name, script in {"initdb": "true", "postgres": "true", **scripts}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def servers(room: Path) -> list[int]:
    """List PostgreSQL's processes that work in a folder, whatever they call themselves."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str(room) in str((entry / "cwd").readlink()):
                found.append(int(entry.name))
    return found


def launchers(room: Path) -> list[int]:
    """List the launchers whose PostgreSQL works in a folder."""
    return processes(f"{launcher.__file__} {room}")


def left(room: Path, patience: float = 10, *, files: bool = True) -> list[object]:
    """List the processes, and the files, that are left in a folder once they had time to go."""
    deadline = time.monotonic() + patience
    while True:
        found = [*servers(room), *launchers(room), *(room.glob("toybank-*") if files else ())]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def host(url: str) -> Path:
    """Read the folder of the socket from a URL."""
    return Path(parse_qs(urlsplit(url.strip()).query)["host"][0])


def installed() -> Path:
    """Find a PostgreSQL on this machine that did not come with a wheel."""
    for folder in postgres._candidates():
        if "site-packages" not in folder.parts and postgres._is_server(folder):
            return folder
    return pytest.skip("no PostgreSQL is installed on this machine")


def owners(*folders: Path) -> dict[Path, tuple[str, int, int]]:
    """Note the modes and owners of folders and of all that they stand in."""
    found = {}
    for folder in folders:
        for path in (folder, *folder.parents):
            state = path.stat()
            found[path] = (stat.filemode(state.st_mode), state.st_uid, state.st_gid)
    return found


@LINUX
def test_gives_a_database_and_takes_it_away_in_an_error_too(room, monkeypatch):
    """Without a URL there is a new PostgreSQL, which is gone afterwards, also when an error is raised inside."""
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    with pytest.raises(ZeroDivisionError), reached(None) as url, psycopg.connect(url) as connection:
        [version] = connection.execute("SELECT version()").fetchone()
        during = servers(room)
        raise ZeroDivisionError

    assert version.startswith("PostgreSQL ")
    assert during
    assert [] == left(room, patience=0)


def test_only_its_user_can_connect_also_where_temporary_files_have_long_paths(tmp_path, monkeypatch):
    """There is no port, only a socket in a private folder, in /tmp if its path were too long for a socket."""
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with reached(None) as url, psycopg.connect(url) as connection:
        mode = stat.S_IMODE(host(url).stat().st_mode)
        [addresses] = connection.execute("SHOW listen_addresses").fetchone()

    assert 0o700 == mode
    assert "" == addresses
    assert Path("/tmp") == host(url).parent
    assert not host(url).exists()


def test_a_given_url_is_used_as_it_is(room, monkeypatch):
    """With the URL of a database nothing is looked for and nothing is started."""
    with reached(None) as url:
        monkeypatch.setattr(tempfile, "tempdir", str(room))
        monkeypatch.setenv("TOYBANK_PG_BIN", "/nowhere")
        with reached(url) as given:
            begun = list(room.iterdir())

    assert url == given
    assert [] == begun


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:secret@127.0.0.1:1/bank", "The database at the given URL can't be reached: "),
        (
            "postgresql://me:secret@127.0.0.1:1/bank?secret=1",
            "The database's URL is not one that PostgreSQL understands.",
        ),
    ],
)
def test_a_url_that_leads_nowhere_is_told_without_the_password(url, said, monkeypatch):
    """Where no database answers, the program ends before long, and says what can be done."""
    monkeypatch.setattr(postgres, "PATIENCE", 0.3)
    with pytest.raises(SystemExit) as ended, reached(url):
        pass

    assert str(ended.value).startswith(said)
    assert "secret" not in str(ended.value)
    assert postgres.WAYS_OUT in str(ended.value)


@pytest.mark.parametrize("url", ["mysql://me:secret@127.0.0.1/bank", "host=127.0.0.1 user=me password=secret"])
def test_another_kind_of_url_is_refused_without_being_shown(url):
    """What is no URL of a PostgreSQL ends the program with a message that tells no password."""
    with pytest.raises(SystemExit) as ended, reached(url):
        pass

    assert "The database's URL has to begin with postgresql:// or postgres://." == str(ended.value)


@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_service_leaves_nothing(number, room):
    """A service that is ended by a signal, even by KILL, leaves neither a process nor a file."""
    with service(room) as process:
        process.stdout.readline()
        begun = servers(room)
        process.send_signal(number)
        code = process.wait(5)

        assert begun
        assert -number == code
        assert [] == left(room)


@LINUX
@pytest.mark.parametrize("delay", [0.3, 0.6])
def test_a_killed_service_leaves_nothing_of_a_start(delay, room):
    """A service that is killed while PostgreSQL starts leaves neither a process nor a file."""
    with service(room) as process:
        time.sleep(delay)
        process.kill()

        assert [] == left(room)


@LINUX
def test_a_killed_service_does_not_wait_for_a_start_that_hangs(room, tmp_path):
    """A service that is killed while initdb hangs leaves nothing, at once."""
    chosen = programs(tmp_path / "bin", initdb="exec sleep 600")
    with service(room, TOYBANK_PG_BIN=chosen) as process:
        while not servers(room):
            time.sleep(0.05)
        process.kill()

        assert [] == left(room)


@LINUX
def test_a_killed_launcher_leaves_nothing(room):
    """When the launcher is killed, the kernel stops PostgreSQL, and the service cleans up at its end."""
    with service(room) as process:
        process.stdout.readline()
        begun = servers(room)
        [pid] = launchers(room)
        os.kill(pid, signal.SIGKILL)
        running = left(room, files=False)
        process.communicate(timeout=60)

        assert begun
        assert [] == running
        assert [] == left(room, patience=0)


def test_the_directory_of_a_postgresql_that_still_stops_is_left_to_it(tmp_path):
    """After its launcher was killed, PostgreSQL's directory is removed, but not before its lock is gone."""
    data = tmp_path / "own" / "data"
    data.mkdir(parents=True)
    (data / "postmaster.pid").touch()
    with subprocess.Popen(["sh", "-c", f"sleep 0.3 && touch {data}/written && rm {data}/postmaster.pid"]) as stopping:
        postgres._remove(data.parent)

    assert 0 == stopping.returncode
    assert not data.parent.exists()


@LINUX
def test_control_c_leaves_the_database_to_the_service_until_its_end(room):
    """Neither Ctrl-C nor a signal to the launcher takes the database from a service that is not done with it."""
    with service(room) as process:
        process.stdout.readline()
        [pid] = launchers(room)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)

        assert f"{os.geteuid()} still there\n" == out
        assert "KeyboardInterrupt" in err
        assert [] == left(room, patience=0)


@LINUX
def test_an_ordinary_user_has_a_database(room):
    """A user who is not root runs PostgreSQL directly, without a namespace."""
    prefix = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        prefix = ["unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}"]
        if subprocess.run([*prefix, "true"], check=False).returncode:
            pytest.skip("this machine forbids user namespaces")
    code, out, err = ran(room, WITHOUT_NAMESPACES + SERVICE, *prefix)
    url, _, rest = out.partition("\n")

    assert (0, "") == (code, err)
    assert url.startswith("postgresql://")
    assert not rest.startswith("0 ")
    assert [] == left(room, patience=0)


@ROOT_ONLY
def test_root_gives_no_rights_away(room, monkeypatch):
    """Root's PostgreSQL works in a folder of root's; no mode, no owner and no user changes."""
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    places = (room, postgres._binaries())
    before = owners(*places), pwd.getpwall()
    with reached(None) as url:
        owner = host(url).stat().st_uid
        during = owners(*places), pwd.getpwall()

    assert 0 == owner
    assert before == during
    assert before == (owners(*places), pwd.getpwall())


@ROOT_ONLY
def test_root_without_namespaces_runs_as_an_unprivileged_user(room):
    """Where namespaces are forbidden, root's PostgreSQL runs as a user that was there before, and ends all the same."""
    places = (room, postgres._binaries())
    before = owners(*places), pwd.getpwall()
    with service(room, WITHOUT_NAMESPACES + SERVICE) as process:
        url = process.stdout.readline()
        owner = pwd.getpwuid(host(url).stat().st_uid).pw_name
        runners = {pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name for pid in servers(room)}
        during = owners(*places), pwd.getpwall()
        [pid] = launchers(room)
        os.kill(pid, signal.SIGKILL)
        running = left(room, files=False)
        process.communicate(timeout=60)

        assert owner in launcher.UNPRIVILEGED
        assert {owner} == runners
        assert before == during
        assert [] == running
        assert [] == left(room, patience=0)
        assert before == (owners(*places), pwd.getpwall())


@ROOT_ONLY
def test_binaries_that_nobody_may_read_are_told(room):
    """Where all ways of root fail, the message tells of each what was wrong."""
    private = room / "private"
    private.mkdir(mode=0o700)
    chosen = programs(private / "bin")
    code, out, err = ran(room, WITHOUT_NAMESPACES + SERVICE, TOYBANK_PG_BIN=chosen)

    assert (1, "") == (code, out)
    assert "in a user namespace: refused\n" in err
    assert f"as the user nobody: [Errno 13] Permission denied: '{chosen}/postgres'\n" in err
    assert postgres.WAYS_OUT in err
    assert [] == left(room, patience=0)


@LINUX
def test_a_postgresql_of_the_machine_serves(room):
    """The folder that TOYBANK_PG_BIN names comes before the wheel."""
    chosen = installed()
    told = subprocess.run([chosen / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    script = SERVICE.replace("'still there'", "version()")
    code, out, err = ran(room, script, TOYBANK_PG_BIN=str(chosen))

    assert (0, "") == (code, err)
    assert re.search(r"[\d.]+", told)[0] in out.splitlines()[1]
    assert [] == left(room, patience=0)


def test_without_any_postgresql_the_message_tells_what_to_do(room, monkeypatch):
    """Where no PostgreSQL can be run, the message names what there is to do."""
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    monkeypatch.delenv("TOYBANK_PG_BIN", raising=False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SystemExit) as ended, reached(None):
        pass

    assert f"ToyBank needs a PostgreSQL, and found none.\n\n{postgres.WAYS_OUT}" == str(ended.value)
    assert [] == list(room.iterdir())


def test_a_chosen_folder_without_postgresql_is_told(room):
    """A wrong TOYBANK_PG_BIN ends the service with exit code 1 and a message, and no other binaries are taken."""
    code, out, err = ran(room, TOYBANK_PG_BIN=str(room))

    assert (1, "") == (code, out)
    assert f"TOYBANK_PG_BIN is {room}, but initdb and postgres are not there.\n\n{postgres.WAYS_OUT}\n" == err


@pytest.mark.parametrize("broken", ["initdb", "postgres"])
def test_a_failing_program_is_quoted(broken, room):
    """When initdb or postgres fails, the message ends quickly with the last lines of its log."""
    works = "mkdir data" if broken == "postgres" else "true"
    fails = 'test "$1" = --version && exit; seq 1 99; echo "FATAL: out of luck" >&2; exit 7'
    chosen = programs(room / "bin", **{"initdb": works, broken: fails})
    begun = time.monotonic()
    code, out, err = ran(room, TOYBANK_PG_BIN=chosen)

    assert (1, "") == (code, out)
    assert err.startswith(f"{chosen}/postgres did not start. It ended with exit code 7. The log ends with:\n  89\n")
    assert "  99\n  FATAL: out of luck\n" in err
    assert err.endswith(f"\n\n{postgres.WAYS_OUT}\n")
    assert time.monotonic() - begun < 5
    assert [] == left(room, patience=0)


@LINUX
def test_a_missing_library_is_told(room):
    """Programs without their libraries are told with what the linker says."""
    chosen = programs(room / "bin", postgres="echo libpq.so.5: cannot open shared object file >&2; exit 127")
    code, _, err = ran(room, TOYBANK_PG_BIN=chosen)

    assert 1 == code
    assert "libpq.so.5: cannot open shared object file\n" in err


@LINUX
def test_a_full_disk_is_told(room):
    """A disk that is too small for a database is told, although there is no room for a log."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    mounted = ["sh", "-c", f'mount -t tmpfs -o size=4m none {room} && exec "$@"', "sh"]
    if subprocess.run([*namespace, *mounted, "true"], check=False).returncode:
        pytest.skip("this machine forbids mounts")
    code, _, err = ran(room, SERVICE, *namespace, *mounted)

    assert 1 == code
    assert re.search(rf"\nThe disk of {room} has only \d MB left\.\n", err)


def test_a_start_that_takes_too_long_is_told(tmp_path):
    """A program that is still not ready when time is up is an error."""
    (tmp_path / "log").write_text("thinking\n")
    with subprocess.Popen(["sleep", "600"]) as process:
        with pytest.raises(launcher.StartError) as raised:
            launcher._await(lambda: False, process, tmp_path, time.monotonic() - 1)
        process.kill()

    assert "It took more than 30 seconds. The log ends with:\n  thinking" == str(raised.value)[:63]


def test_the_newest_version_comes_first(tmp_path):
    """Folders are tried by the numbers in their names, not by their letters."""
    for version in ("9.6", "18", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
    found = postgres._newest_first(str(tmp_path), "*/bin")

    assert ["18", "15", "9.6"] == [path.parent.name for path in found]
