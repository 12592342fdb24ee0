"""The service: started, waited for, spoken to, stopped with all that belongs to it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from conftest import environment, gone, processes

from replaykit import port, service
from replaykit.client import Client, require_loopback
from replaykit.errors import ForeignHostError, MachineError, UnreachableError, UsageError
from replaykit.port import free_port
from replaykit.reset import Resets
from replaykit.service import Running, Started, await_health, health_url, is_healthy, opened, reached

SERVER = textwrap.dedent(
    """
    import http.server, subprocess, sys, time
    port, how, mark = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if how == "never":
        time.sleep(600)
    if how == "dies":
        print("no database here", flush=True)
        sys.exit(3)
    if how == "children":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", mark], start_new_session=True)
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", deaf, mark])
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            self.send_response(503 if how == "sick" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        def log_message(self, *_):
            pass
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
    """
)  # fmt: skip


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the script of a small service, and let `python` be the one that runs the tests."""
    monkeypatch.setenv("PATH", environment()["PATH"])
    path = tmp_path / "service.py"
    path.write_text(SERVER)
    return path


def test_started_service_is_reached_and_stopped(script: Path):
    """A started service is healthy inside of the context, and gone after it."""
    mark = f"mark-{script}"
    with reached(url=None, start=f"python {script} {{port}} well {mark}", health="/", patience=10) as url:
        assert httpx.get(url).status_code == 200
        assert processes(mark)

    assert gone(mark)


def test_restarted_service_is_another_process_at_the_same_place(script: Path):
    """A restart ends what was asked something, with all that belongs to it, and gives a healthy one at the same URL."""
    mark = f"mark-{script}"
    with opened(
        url=None, start=f"python {script} {{port}} children {mark}", health="/", patience=10,
        resets=Resets(restart=True),
    ) as running, Client(running.url) as client:  # fmt: skip
        before, url = set(processes(mark)), running.url
        running.reset(client)
        untouched = set(processes(mark))
        client.get("/")
        running.reset(client)
        after = set(processes(mark))
        answered, hung_up = client.get("/").status_code, client.hung_up

        assert len(before) >= 3
        assert before == untouched  # nothing was asked of it yet
        assert set() == before & after
        assert (200, url, 0) == (answered, running.url, hung_up)
    assert gone(mark)


def test_only_a_service_that_is_started_here_can_be_restarted():
    """Without a command there is nothing to start again, which is told before anything is asked."""
    for asked in ({"revives": True}, {"resets": Resets(restart=True)}):
        with pytest.raises(UsageError, match="can't be started again"):
            with opened(url="http://127.0.0.1:9", start=None, health=None, patience=None, **asked):
                pytest.fail("it is not there")


def test_what_is_wrong_with_a_service_is_said_as_soon_as_it_is(script: Path):
    """A service is well, until its process ends: then that is said at once, with its exit code."""
    with opened(url=None, start=f"python {script} {{port}} well x", health="/", patience=10) as running:
        with Client(running.url) as client:
            well = running.trouble(client)
            [pid] = [each for each in processes(str(script)) if b"supervisor" not in cmdline(each)]
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            wrong = running.trouble(client)

    assert (None, "the service ended (exit code 137)") == (well, wrong)
    assert time.monotonic() - began < 5


def cmdline(pid: int) -> bytes:
    """Return the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_service_that_dies_again_and_again_is_started_as_often(script: Path):
    """It is started again as often as it is asked for: how often is worth it, the campaign says."""
    start = f"python {script} {{port}} well x"
    with opened(url=None, start=start, health="/", patience=10, revives=True) as running:
        with Client(running.url) as client:
            revived = [running.revive(client) for _ in range(5)]

    assert ([True] * 5, 5) == (revived, running.restarts)


def test_log_is_that_of_the_life_that_ended(tmp_path: Path):
    """What a service printed before it was started again is not taken for what it printed last."""
    script = tmp_path / "lives.sh"
    script.write_text("echo life $$; echo no line end | tr -d '\\n'; sleep 30")
    with Started(f"sh {script} {{port}}") as started:
        first = printed(started)
        started.restart()
        second = printed(started)

    assert ([2, 2], 2) == ([len(first), len(second)], len({first[0], second[0]}))


def printed(started: Started) -> list[str]:
    """Return what a service has printed when it has printed all."""
    deadline = time.monotonic() + 10
    while "no line end" not in started.log() and time.monotonic() < deadline:
        time.sleep(0.01)
    return started.log().splitlines()


def test_start_command_that_only_a_shell_reads_is_told():
    """A variable before the program is what no program is called; the error says how to write it."""
    with pytest.raises(
        UsageError, match=r"There is no program DB=/tmp/x .*\nNo shell reads .*write env DB=/tmp/x \.\.\."
    ):
        Started("DB=/tmp/x python -m shop {port}")


def test_the_log_of_a_chatty_service_stays_short_and_keeps_its_end(tmp_path: Path):
    """A service that prints for ever fills no disk, and its last lines are there."""
    script = tmp_path / "chatty.py"
    script.write_text("import sys\nfor number in range(200_000):\n    print(f'{number:060}')\nsys.exit(3)\n")
    with Started(f"{sys.executable} {script} {{port}}") as started:
        most = 0
        while started.alive():
            most = max(most, os.fstat(started._log.fileno()).st_size)
            time.sleep(0.01)
        last = started.log().splitlines()

    assert 0 < most < 11_000_000  # of 12 MB; how much of it stands there between two looks depends on the machine
    assert (15, f"  | {199_999:060}", 3) == (len(last), last[-1], started.exit_code)


def test_a_service_that_drips_its_answer_is_not_waited_for_longer_than_was_said():
    """A health check that is answered a byte at a time ends with the patience for all of it."""

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.daemon_threads, server.block_on_close = True, False
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # nobody listens any more
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="no answer within"):
        await_health(f"http://127.0.0.1:{server.server_port}/", patience=0.6)
    took = time.monotonic() - began
    server.shutdown()
    server.server_close()
    thread.join()

    assert took < 4


def test_a_service_with_one_hand_is_watched_all_the_same():
    """One that serves one connection at a time, and keeps it, is healthy: it is asked on the connection that it has."""

    class Single(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Single)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    with Client(url) as client:
        client.get("/")
        trouble = Running(url, "/").trouble(client)
        client.get("/")
        trouble_by_port = Running(url, "none").trouble(client)
    server.shutdown()
    server.server_close()
    thread.join()

    assert (None, None) == (trouble, trouble_by_port)


def test_children_of_a_service_end_with_it(script: Path):
    """What the service started is ended too: in its group, out of it, and deaf to TERM."""
    mark = f"mark-{script}"
    with reached(url=None, start=f"python {script} {{port}} children {mark}", health="/", patience=10):
        assert len(processes(mark)) >= 3

    assert gone(mark)


def test_service_that_is_never_healthy_is_unreachable_and_stopped(script: Path):
    """A service that does not get healthy in time is an UnreachableError, and is not left behind."""
    mark = f"mark-{script}"
    with pytest.raises(UnreachableError, match="not healthy"):
        with reached(url=None, start=f"python {script} {{port}} never {mark}", health="/", patience=0.5):
            pytest.fail("it is not there")

    assert gone(mark)


def test_service_that_answers_503_is_not_healthy(script: Path):
    """Health is a 2xx answer: any other is told with its number."""
    with pytest.raises(UnreachableError, match="503"):
        with reached(url=None, start=f"python {script} {{port}} sick x", health="/", patience=1):
            pytest.fail("it is sick")


def test_service_that_ends_early_is_told_at_once_with_its_log(script: Path):
    """A start command that ends is not waited for, and what it printed is in the error."""
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="no database here"):
        with reached(url=None, start=f"python {script} {{port}} dies x", health="/", patience=20):
            pytest.fail("it has ended")

    assert time.monotonic() - began < 10


def test_command_that_does_not_exist_is_a_usage_error_and_a_missing_script_is_not():
    """A program that is not on PATH is the same at every commit; a script of the checkout may come and go."""
    with pytest.raises(UsageError, match="no-such-program-here"):
        with reached(url=None, start="no-such-program-here {port}", health="/", patience=5):
            pytest.fail("there is no such program")
    with pytest.raises(UnreachableError, match="no-such-script"):
        with reached(url=None, start="./no-such-script {port}", health="/", patience=5):
            pytest.fail("there is no such script")


@pytest.mark.parametrize("command", ["", "python 'unclosed {port}", "python app.py"])
def test_start_command_that_can_not_be_one_is_a_usage_error(command: str):
    """Empty, unclosed, and without a port: each is told before anything is started."""
    with pytest.raises(UsageError):
        Started(command if command != "" else " {port}".replace("{port}", ""), None if "app" in command else "http://x")


@contextlib.contextmanager
def killed(starter: Path) -> Iterator[None]:
    """Run a script until it says that it is up, and kill it at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, starter], stdout=subprocess.PIPE, env=environment(PYTHONPATH=os.getcwd()), text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            assert process.stdout.readline() == "up\n"
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def test_service_is_gone_when_its_starter_is_killed(script: Path, tmp_path: Path):
    """SIGKILL of the process that started a service leaves nothing of the service running."""
    mark = f"mark-{script}"
    starter = tmp_path / "starter.py"
    starter.write_text(
        "import sys, time\n"
        "from replaykit.service import reached\n"
        f"with reached(url=None, start={f'python {script} {{port}} children {mark}'!r}, health='/', patience=10):\n"
        "    print('up', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with killed(starter):
        assert len(processes(mark)) >= 3

    assert gone(mark, 15)


def states(mark: str) -> set[str]:
    """Say what the processes of a service are doing, but for those that left its group: T is stopped (proc(5))."""
    pids = [pid for pid in processes(mark) if b"supervisor.py" not in cmdline(pid)]
    [(group, _)] = Counter(map(os.getpgid, pids)).most_common(1)
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in pids if os.getpgid(pid) == group]
    return {stat.rpartition(")")[2].split()[0] for stat in stats}


def test_a_killed_service_is_gone_at_once_and_started_again(script: Path):
    """After `kill` nothing of it is left, its exit code says why, and it can be started again at its place."""
    mark = f"mark-{script}"
    with opened(
        url=None, start=f"python {script} {{port}} children {mark}", health="/", patience=10
    ) as running, Client(running.url) as client:  # fmt: skip
        started = running.started
        assert started is not None
        client.get("/")
        was_there = len(processes(mark))
        began = time.monotonic()
        started.kill()
        took, left, code = time.monotonic() - began, processes(mark), started.exit_code
        trouble = running.trouble(client)
        with pytest.raises(UnreachableError, match="The service has ended, so it can't be killed"):
            started.kill()
        running.begin_again(client)

        assert was_there >= 3
        assert ([], 137, "the service ended (exit code 137)") == (left, code, trouble)
        assert took < 3  # its child is deaf to TERM, for which it would have had 5 seconds
        assert 200 == client.get("/").status_code


def test_a_paused_service_answers_when_it_goes_on(script: Path):
    """While it is paused, no request is answered, and its process lives; afterwards all are, those sent before too."""
    mark = f"mark-{script}"
    with opened(
        url=None, start=f"python {script} {{port}} children {mark}", health="/", patience=10
    ) as running, Client(running.url) as client:  # fmt: skip
        started = running.started
        assert started is not None
        answers = []
        for _ in range(2):
            started.pause()
            started.pause()  # once more is no other thing
            client.timeout = httpx.Timeout(0.2)
            with pytest.raises(httpx.ReadTimeout):
                client.get("/")
            client.timeout = httpx.Timeout(10)
            stopped, lives = states(mark), started.alive()
            waiting = threading.Thread(target=lambda: answers.append(client.get("/").status_code))
            waiting.start()
            waiting.join(0.05)
            early = list(answers)
            started.resume()
            waiting.join()
            answers.append(client.get("/").status_code)
        started.resume()  # it goes on already

        assert ({"T"}, True) == (stopped, lives)
        assert ([200, 200], [200] * 4) == (early, answers)
        assert "T" not in states(mark)


@pytest.mark.parametrize("way", ["stop", "restart", "kill"])
def test_a_paused_service_can_be_ended(script: Path, way: str):
    """Whatever ends a paused service ends all of it, and in no more time than one that runs."""
    mark = f"mark-{script}"
    with opened(url=None, start=f"python {script} {{port}} well {mark}", health="/", patience=10) as running:
        started = running.started
        assert started is not None
        before = set(processes(mark))
        started.pause()
        began = time.monotonic()
        getattr(started, way)()
        took = time.monotonic() - began

        assert took < 3
        assert set() == before & set(processes(mark))
        assert (way == "restart") == started.alive()
    assert gone(mark)


def test_what_is_paused_is_told_to_end_as_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A paused service hears TERM when it is stopped, and may put away what it has."""
    monkeypatch.setenv("PATH", environment()["PATH"])
    program = tmp_path / "tidy.py"
    program.write_text(
        "import pathlib, signal, sys, time\n"
        f"signal.signal(15, lambda *_: sys.exit(pathlib.Path({str(tmp_path / 'tidied')!r}).touch()))\n"
        f"pathlib.Path({str(tmp_path / 'up')!r}).touch()\n"
        "time.sleep(600)\n"
    )
    with Started(f"python {program} {{port}}") as started:
        while not (tmp_path / "up").exists():
            time.sleep(0.01)
        started.pause()

    assert (tmp_path / "tidied").exists()


def test_what_has_ended_can_not_be_paused(script: Path):
    """A service that is gone, or was never one, is neither paused nor resumed nor killed, and that is told."""
    with Started(f"python {script} {{port}} dies x") as started:
        while started.alive():
            time.sleep(0.01)
        for way in (started.kill, started.pause, started.resume):
            with pytest.raises(UnreachableError, match="has ended"):
                way()
    with pytest.raises(UnreachableError, match="has ended"):
        started.pause()


def test_a_paused_service_is_gone_when_its_starter_is_killed(script: Path, tmp_path: Path):
    """SIGKILL of the process that paused a service leaves nothing of it, stopped or not."""
    mark = f"mark-{script}"
    starter = tmp_path / "starter.py"
    starter.write_text(
        "import time\n"
        "from replaykit.service import opened\n"
        f"start = {f'python {script} {{port}} children {mark}'!r}\n"
        "with opened(url=None, start=start, health='/', patience=10) as running:\n"
        "    running.started.pause()\n"
        "    print('up', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with killed(starter):
        deadline = time.monotonic() + 5
        while (stopped := states(mark)) != {"T"} and time.monotonic() < deadline:  # one at work stops a moment later
            time.sleep(0.01)
        count = len(processes(mark))

    assert ({"T"}, True) == (stopped, count >= 3)
    assert gone(mark, 15)


class Redirecting(BaseHTTPRequestHandler):
    """Redirects /near to itself, /far to another port, /loop for ever."""

    protocol_version = "HTTP/1.1"
    far = ""

    def do_GET(self) -> None:
        places = {"/near": "/here", "/far": f"{self.far}/there", "/loop": "/loop"}
        place = places.get(self.path)
        self.send_response(200 if place is None else 302)
        if place is not None:
            self.send_header("Location", place)
        if self.path == "/cookie":
            self.send_header("Set-Cookie", "session=secret")
        body = self.headers.get("Cookie", "").encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def redirecting() -> Iterator[tuple[str, str]]:
    """Give the URLs of two servers; the first redirects /far to the second."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) for _ in range(2)]
    urls = [f"http://127.0.0.1:{server.server_port}" for server in servers]
    Redirecting.far = urls[1]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in servers]
    for thread in threads:
        thread.start()
    yield urls[0], urls[1]
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join()


def test_redirects_are_not_followed_unasked(redirecting: tuple[str, str]):
    """A redirect is the answer, unless following is asked for."""
    with Client(redirecting[0]) as client:
        assert client.get("/near").status_code == 302


def test_redirects_inside_of_the_service_are_followed_hop_by_hop(redirecting: tuple[str, str]):
    """Followed on request, each hop is an interaction of its own."""
    hops = []

    class Tape:
        plays = False

        def answer(self, request):
            hops.append(request.url)

        def keep(self, interaction):
            pass

    with Client(redirecting[0]) as client, client.through(Tape()):
        answer = client.get("/near", follow_redirects=True)

    assert (answer.status_code, len(answer.history)) == (200, 1)
    assert [f"{redirecting[0]}/near", f"{redirecting[0]}/here"] == hops


def test_redirect_to_another_host_is_never_followed(redirecting: tuple[str, str]):
    """A redirect to another port is the answer, even where following is asked for."""
    with Client(redirecting[0]) as client:
        answer = client.get("/far", follow_redirects=True)

    assert answer.status_code == 302


def test_endless_redirects_end(redirecting: tuple[str, str]):
    """A loop of redirects is an error after a fixed number."""
    with Client(redirecting[0]) as client, pytest.raises(httpx.TooManyRedirects):
        client.get("/loop", follow_redirects=True)


def test_cookies_stay_within_a_run(redirecting: tuple[str, str]):
    """A cookie is sent again, until the client is renewed for the next run."""
    with Client(redirecting[0]) as client:
        client.renew({}, None, 5.0)
        client.get("/cookie")
        within = client.get("/other").text
        client.renew({}, None, 5.0)
        after = client.get("/other").text

    assert (within, after) == ("session=secret", "")


def test_health_urls():
    """A health check is a path, a URL with {url} in it, the default, or none."""
    url = "http://127.0.0.1:1"
    assert f"{url}/api/health" == health_url(url, None)
    assert f"{url}/up" == health_url(url, "/up")
    assert f"{url}/up" == health_url(url, "{url}/up")
    assert health_url(url, "http://127.0.0.1:2/up") == "http://127.0.0.1:2/up"
    assert health_url(url, "none") is None


def test_nothing_listening_is_unreachable_in_time():
    """Where nothing listens, waiting ends after its patience."""
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        await_health("http://127.0.0.1:9/", patience=0.3)

    assert time.monotonic() - began < 3
    assert not is_healthy("http://127.0.0.1:9", None)


@pytest.mark.parametrize("url", ["http://example.org", "http://10.0.0.1:80", "https://127.evil.example"])
def test_recorded_host_elsewhere_is_refused(url: str):
    """A recorded URL that is not this machine's is refused without being asked for."""
    with pytest.raises(ForeignHostError):
        require_loopback(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4600", "http://localhost", "http://[::1]:80", "http://127.8.0.1"])
def test_recorded_host_on_this_machine_is_taken(url: str):
    """Loopback addresses are this machine."""
    require_loopback(url)


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "ftp://x", "http://", "http://[", "http://a b", "http://x:99999"])
def test_wrong_urls_are_usage_errors(url: str):
    """What is no URL of an HTTP service is told as such."""
    with pytest.raises(UsageError):
        Client(url)


def test_free_port_is_none_that_systems_give_away():
    """Until a service listens, nobody who asks for any port is given its port; one that is taken is passed over."""
    given = [free_port() for _ in range(20)]
    taken = range(given[0], given[0] + 2)
    with socket.create_server(("127.0.0.1", taken[0])), pytest.MonkeyPatch.context() as patch:
        patch.setattr(port, "PORTS", taken)
        patch.setattr(port, "MOST_PORTS", 2)
        other = free_port()

    assert all(20_000 <= each < 32_000 for each in given)
    assert other != taken[0]


# --- in a folder, at a port of its own ----------------------------------------------------------

TELLER = textwrap.dedent(
    """
    import http.server, json, os, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"folder": os.getcwd(), **os.environ}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    print("it begins", flush=True)
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """
)
IDLE = "import time\ntime.sleep(600)\n"
ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell who listens")


def test_a_service_runs_in_a_folder_with_variables(tmp_path: Path):
    """It has these variables and no others, and so does the reset command; the log stays in the file that is named."""
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    (folder / "teller.py").write_text(TELLER)
    (folder / "reset").write_text('#!/bin/sh\necho "$PWD $NAME" > was-reset\n')
    (folder / "reset").chmod(0o700)
    log.write_text("before\n")
    variables = {"PATH": environment()["PATH"], "NAME": "a"}
    with opened(
        url=None, start="python teller.py {port}", health="/", patience=10, resets=Resets(command="./reset"),
        folder=folder, variables=variables, log=log,
    ) as running:  # fmt: skip
        said = httpx.get(running.url).json()
        with Client(running.url) as client:
            running.reset(client)
        shown = running.log()
        assert running.started is not None
        running.started.restart()

    assert (str(folder), "a") == (said["folder"], said["NAME"])
    assert {"folder", "PATH", "NAME", "PORT", "PYTHONUNBUFFERED"} >= {*said} - {"LC_CTYPE"}
    assert f"{folder} a\n" == (folder / "was-reset").read_text()
    assert "  | it begins" == shown.partition("\n")[0]
    assert "before" not in shown
    assert log.read_text().startswith("before\n--- replaykit starts the service ---\nit begins\n")
    assert 2 == log.read_text().count("--- replaykit starts the service ---\n")


def test_a_folder_that_is_not_there_is_no_mistake_of_ours(tmp_path: Path):
    """What can't be started there is told as that."""
    with pytest.raises(UnreachableError, match="can't be started in"):
        Started("python {port}", folder=tmp_path / "none", variables=environment())


def test_what_was_finished_is_not_started_again(script: Path):
    """Whatever another thread does with it meanwhile; what it printed can still be read."""
    with Started(f"python {script} {{port}} dies x") as started:
        while started.alive():
            time.sleep(0.01)
        started.finish()
        with pytest.raises(UnreachableError, match="not started again"):
            started.restart()

        assert not started.alive()
        assert "  | no database here" == started.log()


def test_another_replaykit_does_not_take_a_port_that_is_held(script: Path, monkeypatch: pytest.MonkeyPatch):
    """A port is held from before the service listens until it is gone, also the one that a URL names.

    Who names it waits for a while; that it is taken is no fault of what was to be started there.
    """
    monkeypatch.setattr(service, "BUSY_PATIENCE", 0.1)
    with Started(f"python {script} {{port}} never x") as started:
        number = int(started.url.rpartition(":")[2])

        assert port.Port.taken(number) is None
        with pytest.raises(MachineError, match="Another replaykit starts a service at"):
            Started("python x", f"http://localhost:{number}")
        monkeypatch.setattr(service, "BUSY_PATIENCE", 10)
        threading.Timer(0.2, started.stop).start()
        with Started(f"python {script} {number} well x", started.url) as other:
            assert number == other._port.number
    taken = port.Port.taken(number)

    assert taken is not None
    taken.release()


@pytest.mark.parametrize("kind", ["open to others", "a file", "a link"])
def test_a_folder_of_locks_that_is_not_ours_is_not_used(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who could put something there could keep ports from us, or more; then ports are taken without locks."""
    monkeypatch.setattr(port.tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"replaykit-ports-{os.getuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "a link":
        folder.symlink_to(elsewhere)
    elif kind == "a file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(0o777)
    first, second = port.Port.taken(30_001), port.Port.taken(30_001)

    assert first is not None
    assert second is not None
    assert [] == list(elsewhere.iterdir())
    assert kind == "a file" or [] == list(folder.iterdir())


@ONLY_LINUX
def test_what_listened_before_is_not_taken_for_the_service(script: Path, tmp_path: Path):
    """A service that leaves its port to another process is told; its own descendants are not."""
    (tmp_path / "idle.py").write_text(IDLE)
    with Started(f"python {script} {{port}} well x") as other:
        await_health(other.url, patience=10)
        with Started(f"python {tmp_path / 'idle.py'} {{port}}") as started:
            started.url, held = other.url, started._port
            started._port = port.Port(int(other.url.rpartition(":")[2]))
            with pytest.raises(UnreachableError, match=r"something else answers in its place .*: process \d+ \(python"):
                started.require_own()
            started._port = held
        with Started(f"sh -c 'python {script} $PORT well x & wait'") as child:
            await_health(child.url, patience=10)
            child.require_own()
        other.require_own()


@ONLY_LINUX
def test_what_began_later_may_be_meant(script: Path, tmp_path: Path):
    """A command may ask for a container elsewhere, whose process is none of its own."""
    (tmp_path / "idle.py").write_text(IDLE)
    with Started(f"python {tmp_path / 'idle.py'} {{port}}") as started:
        time.sleep(0.02)
        with Started(f"python {script} {{port}} well x") as container:
            await_health(container.url, patience=10)

            place, lifeline = int(container.url.rpartition(":")[2]), started._lifeline
            assert lifeline is not None
            assert port.stranger_at(place, lifeline.pid, lifeline.since) is None
