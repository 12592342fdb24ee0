"""The test scripts: what they are asked, what they start, what they leave behind, and the codes they exit with."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import ROOT, Ran, environment, processes, replaykit

from replaykit.port import free_port

SCRIPTS = ROOT / "examples" / "scripts"
SERVICES = ("toybank", "travelbooking")
OPTIONS = "--runs --commands --hunt --chaos --toxiproxy --report --keep-running --skip-start --local --verbose".split()
ALWAYS = ["--commands", "50", "--save-failures"]  # what every call of replaykit integration has
BUG = "double-cancel"  # found in the first runs
FAULTY = "half-body"  # shows only where a body comes in pieces


@dataclass
class Desk:
    """A place to call the scripts from: a folder of its own, a port, a folder for logs."""

    folder: Path
    logs: Path
    scripts: Path = SCRIPTS
    port: int = field(default_factory=free_port)
    more: dict[str, str] = field(default_factory=dict)  # variables of the environment

    @property
    def mark(self) -> str:
        """What stands in the command line of each service that is started from here."""
        return f"--port {self.port}"

    def surroundings(self, **more: str) -> dict[str, str]:
        """Return the environment: another port in PORT must not count."""
        url = f"http://127.0.0.1:{self.port}"
        own = {"VIRTUAL_ENV": sys.prefix, "TMPDIR": str(self.logs), "TOYBANK_URL": url, "TRAVELBOOKING_URL": url}
        return environment(**{**own, "PORT": "1", "DATABASE_URL": "", **self.more, **more})

    def call(self, service: str, *arguments: str, **more: str) -> Ran:
        """Run a script to its end."""
        done = subprocess.run(
            ["bash", self.scripts / f"test_{service}.sh", *arguments],
            cwd=self.folder,
            env=self.surroundings(**more),
            capture_output=True,
            text=True,
            timeout=150,  # a busy machine takes long
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, service: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a script in a process group of its own, as a shell does."""
        return subprocess.Popen(
            ["bash", self.scripts / f"test_{service}.sh", *arguments],
            cwd=self.folder,
            env=self.surroundings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def await_that(holds: Callable[[], object], seconds: float = 10) -> bool:
    """Wait until something holds, and say whether it does."""
    ending = time.monotonic() + seconds
    while not holds() and time.monotonic() < ending:
        time.sleep(0.05)
    return bool(holds())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Give a place to call the scripts from, and take care that nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="rk", dir="/tmp") as logs:  # short: a socket's path is in it
        own = Desk(tmp_path, Path(logs))
        yield own
        for process in processes(own.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


# --- a tree with a Python that only writes down what it is asked ---------------------------------

PRETENDER = r"""#!/bin/sh
case "$*" in
    "-m replaykit --version") exit 0 ;;
    "-m replaykit integration --help") echo "  --runs N"; echo "$KNOWS"; exit 0 ;;
    "-m replaykit integration "*) for word in "$@"; do echo "$word"; done >"$ASKED"; exit "${CODE:-0}" ;;
    "-m examples."*) echo "no luck today"; exec sleep "${SLEEPS:-0}" ;;
esac
exec "$REAL" "$@"
"""


@pytest.fixture
def pretended(desk: Desk) -> Desk:
    """Give a copy of the scripts in a tree that has profiles, and a Python that only writes down its arguments."""
    tree = desk.folder / "tree"
    shutil.copytree(SCRIPTS, tree / "examples" / "scripts")
    (tree / "pyproject.toml").write_text("[tool.replaykit.profiles.toybank]\n")
    python = tree / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PRETENDER)
    python.chmod(0o755)
    desk.scripts = tree / "examples" / "scripts"
    asked = str(desk.folder / "asked")
    desk.more = {"VIRTUAL_ENV": "", "REAL": sys.executable, "ASKED": asked, "KNOWS": ""}
    return desk


def asked(desk: Desk) -> list[str]:
    """Return what `replaykit integration` was asked for, without what is always the same."""
    words = (desk.folder / "asked").read_text().splitlines()
    assert words[:3] == ["-m", "replaykit", "integration"]
    return words[3:]


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        ([], ["--runs", "100"]),
        (["--runs", "7"], ["--runs", "7"]),
        (["--runs=7"], ["--runs", "7"]),
        (["--hunt", "3"], ["--hunt", "3"]),
        (["--hunt", "3", "--runs", "7"], ["--runs", "7", "--hunt", "3"]),
        (["--report", "junit"], ["--runs", "100", "--report", "junit"]),
        (
            ["--report=junit=/tmp/a.xml", "--report", "json=-"],
            ["--runs", "100", "--report", "junit=/tmp/a.xml", "--report", "json=-"],
        ),
        (["--", "--seed", "5", "--stop-on-fail"], ["--runs", "100", "--seed", "5", "--stop-on-fail"]),
    ],
    ids=" ".join,
)
def test_options_are_passed_on(pretended: Desk, arguments: list[str], passed: list[str]):
    """What a script is asked for is what it asks replaykit integration for."""
    ran = pretended.call("toybank", "--skip-start", *arguments, KNOWS="  --hunt N\n  --report FORMAT")

    url, folder = f"http://127.0.0.1:{pretended.port}", ".replaykit/failures/toybank"
    assert ["--profile", "toybank", "--url", url, *ALWAYS, folder, *passed] == asked(pretended), ran


def test_commands_are_passed_on(pretended: Desk):
    """--commands says how long a run gets."""
    pretended.call("toybank", "--skip-start", "--commands", "9")

    assert "--commands 9" in " ".join(asked(pretended))


def test_folder_for_failures_is_relative_to_where_the_script_is_called(pretended: Desk):
    """--save-failures names a folder as the caller sees it, not as the script does."""
    pretended.call("toybank", "--skip-start", "--save-failures", "found")

    assert f"--save-failures {pretended.folder}/found" in " ".join(asked(pretended))


def test_file_of_a_report_is_relative_to_where_the_script_is_called(pretended: Desk):
    """--report names a file as the caller sees it, not as the script does."""
    pretended.call("toybank", "--skip-start", "--report", "junit=reports/bank.xml", KNOWS="  --report FORMAT")

    assert f"--report junit={pretended.folder}/reports/bank.xml" in " ".join(asked(pretended))


def test_lifecycle_is_another_profile(pretended: Desk):
    """--lifecycle tests TravelBooking with the model of a booking's lifecycle."""
    pretended.call("travelbooking", "--skip-start", "--lifecycle")

    assert ["--profile", "booking-lifecycle"] == asked(pretended)[:2]


@pytest.fixture
def chaotic(pretended: Desk) -> Desk:
    """Give the tree a profile that puts faults in."""
    with (pretended.scripts.parent.parent / "pyproject.toml").open("a") as file:
        file.write("[tool.replaykit.profiles.toybank-chaos]\n")
    return pretended


TOXIPROXY = "http://127.0.0.1:9"  # where nobody is


@pytest.mark.parametrize(
    ("arguments", "variable", "passed"),
    [
        ([], "", []),
        (["--toxiproxy", f"{TOXIPROXY}/"], "", ["--toxiproxy", TOXIPROXY]),
        ([], TOXIPROXY, ["--toxiproxy", TOXIPROXY]),
        (["--toxiproxy", TOXIPROXY], "http://127.0.0.1:8", ["--toxiproxy", TOXIPROXY]),
    ],
    ids=str,
)
def test_chaos_is_another_profile_with_a_proxy(chaotic: Desk, arguments: list[str], variable: str, passed: list[str]):
    """--chaos tests with the profile that puts faults in, and says where its proxy is, or who makes it."""
    ran = chaotic.call("toybank", "--skip-start", "--chaos", *arguments, TOXIPROXY_URL=variable)

    said = asked(chaotic)
    assert ["--profile", "toybank-chaos", "--url", f"http://127.0.0.1:{chaotic.port}"] == said[:4], ran
    assert ["--proxy-port", "4556", *passed] == said[said.index("--proxy-port") :]


def test_toxiproxy_of_the_environment_is_for_chaos_alone(pretended: Desk):
    """Without --chaos, TOXIPROXY_URL does not count, and --toxiproxy is wrong usage."""
    pretended.call("toybank", "--skip-start", TOXIPROXY_URL=TOXIPROXY)
    said = asked(pretended)
    refused = pretended.call("toybank", "--skip-start", "--toxiproxy", TOXIPROXY)

    assert "--toxiproxy" not in said
    assert (129, "error: --toxiproxy is for --chaos, which is not there.\n") == (refused.code, refused.err)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--hunt", "3"], "--hunt is an option that the installed replaykit does not have yet."),
        (["--report", "junit"], "--report is an option that the installed replaykit does not have yet."),
        (["--chaos"], "--chaos needs a model that puts faults in, and this version has none for ToyBank."),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_what_is_not_there_yet_is_wrong_usage(pretended: Desk, arguments: list[str], reason: str):
    """An option that needs a later replaykit is refused in one line, and nothing is run."""
    ran = pretended.call("toybank", *arguments)

    assert (129, f"error: {reason}\n") == (ran.code, ran.err)
    assert not (pretended.folder / "asked").exists()


@pytest.mark.parametrize("code", [0, 1, 125, 128, 129, 130])
def test_exit_code_is_that_of_replaykit(pretended: Desk, code: int):
    """A script exits with what replaykit integration exits with."""
    ran = pretended.call("toybank", "--skip-start", CODE=str(code))

    assert code == ran.code


def test_service_that_ends_at_once_cannot_be_judged(pretended: Desk):
    """A service that ends before it is ready is told with what it printed, and its log stays."""
    ran = pretended.call("toybank", "--local")

    assert 125 == ran.code, ran
    assert "ToyBank ended before it was ready." in ran.err
    assert "  | no luck today" in ran.err
    [log] = pretended.logs.iterdir()
    assert "no luck today\n" == log.read_text()
    assert not (pretended.folder / "asked").exists()


def test_service_that_does_not_become_ready_is_given_up(pretended: Desk):
    """A service that is not healthy in time is stopped, and told with what it printed."""
    sleeps = f"500.{pretended.port}"  # seconds, and like no other
    ran = pretended.call("toybank", "--local", "--keep-running", READY_SECONDS="1", SLEEPS=sleeps)

    assert 125 == ran.code, ran
    assert "ToyBank did not become ready within 1 seconds." in ran.err
    assert "  | no luck today" in ran.err
    assert [] == processes(f"sleep {sleeps}")


def test_no_python_with_replaykit_is_wrong_usage(pretended: Desk):
    """Without an environment that has replaykit, a script says how to make one."""
    for name in ("python", "python3"):
        (pretended.folder / name).write_text("#!/bin/sh\nexit 1\n")
        (pretended.folder / name).chmod(0o755)
    shutil.rmtree(pretended.folder / "tree" / ".venv")
    ran = pretended.call("toybank", PATH=f"{pretended.folder}:{os.defpath}")

    assert 129 == ran.code, ran
    assert "no Python here has replaykit" in ran.err


# --- a docker that only writes down what it is asked ---------------------------------------------

DOCKER = r"""#!/bin/sh
echo "$*" | sed 's/.*docker-compose.test.yml //' >>"$DOCKED"
case "$*" in
    *" up "*) echo "port $TOYBANK_PORT, options$TOYBANK_OPTIONS" >>"$DOCKED"; echo "no image"; exit "${UP:-0}" ;;
esac
"""


@pytest.fixture
def docker(pretended: Desk) -> Desk:
    """Put a docker into the path that only writes down its arguments."""
    program = pretended.folder / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    path = f"{program.parent}:{environment()['PATH']}"
    pretended.more |= {"PATH": path, "DOCKED": str(pretended.folder / "docked")}
    return pretended


def docked(desk: Desk) -> list[str]:
    """Return what docker was asked for, one command a line."""
    return (desk.folder / "docked").read_text().splitlines()


UP, DOWN = "up --build --detach --wait --wait-timeout 60", "down --volumes --timeout 10"
IS_THERE = ["compose version", "info"]


def test_docker_starts_and_stops_the_service(docker: Desk):
    """With Docker the service is built, waited for, and removed afterwards."""
    ran = docker.call("toybank")

    assert [*IS_THERE, UP, f"port {docker.port}, options", DOWN] == docked(docker), ran
    assert "--profile" == asked(docker)[0]


def test_docker_goes_on_if_asked_to(docker: Desk):
    """With --keep-running nothing is removed, and the command that does so is told."""
    ran = docker.call("toybank", "--keep-running")

    assert [*IS_THERE, UP, f"port {docker.port}, options"] == docked(docker)
    assert "docker-compose.test.yml down --volumes\n" in ran.err


def test_docker_that_fails_cannot_be_judged(docker: Desk):
    """If Docker can't start the service, what it printed is shown, and what it started is removed."""
    ran = docker.call("toybank", UP="1")

    assert 125 == ran.code, ran
    assert "  | no image\n" in ran.err
    assert DOWN == docked(docker)[-1]
    assert not (docker.folder / "asked").exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_docker_starts_a_toxiproxy_that_is_not_there(docker: Desk, chaotic: Desk, is_there: bool):
    """With --toxiproxy, Docker starts that one too, and removes it, unless something answers there already."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1] if is_there else 9
        ran = docker.call("toybank", "--chaos", "--toxiproxy", f"http://127.0.0.1:{port}")

    under = "" if is_there else "--profile chaos "
    assert [*IS_THERE, f"{under}{UP}", f"port {docker.port}, options", f"{under}{DOWN}"] == docked(docker), ran
    assert ["--proxy-port", str(docker.port + 1), "--toxiproxy", f"http://127.0.0.1:{port}"] == asked(docker)[-4:]


def test_docker_needs_no_toxiproxy_for_chaos(docker: Desk, chaotic: Desk):
    """With --chaos alone, Docker starts the service, and the proxy is replaykit's own."""
    docker.call("toybank", "--chaos")

    assert [*IS_THERE, UP, f"port {docker.port}, options", DOWN] == docked(docker)
    assert ["--proxy-port", str(docker.port + 1)] == asked(docker)[-2:]


def test_docker_is_not_asked_with_local(docker: Desk):
    """--local does without Docker, even where it is."""
    docker.call("toybank", "--local")

    assert not (docker.folder / "docked").exists()


# --- help, and wrong usage -----------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_help_lists_all_options(desk: Desk, service: str):
    """--help exits with 0, and has a line for every option."""
    ran = desk.call(service, "--help")

    lifecycle = ("--lifecycle",) if service == "travelbooking" else ()
    listed = re.findall(r"^  (--[a-z-]+)", ran.out, re.MULTILINE)
    assert 0 == ran.code
    assert {*OPTIONS, *lifecycle, "--bug", "--save-failures", "--help"} == set(listed)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--nope"], "there is no option '--nope'"),
        (["more"], "there is no option 'more'"),
        (["--lifecycle"], "there is no option '--lifecycle'"),
        (["--runs"], "--runs needs a value"),
        (["--runs", "0"], "--runs takes a number from 1, and not '0'"),
        (["--commands", "many"], "--commands takes a number from 1, and not 'many'"),
        (["--hunt", "-1"], "--hunt takes a number from 1, and not '-1'"),
        (
            ["--report", "pdf"],
            "--report takes terminal, markdown, junit, json, ndjson, ctrf, html or github, and not 'pdf'",
        ),
        (["--bug", "nonsense"], "ToyBank has no bug 'nonsense'"),
        (["--bug", "nonsense", "--skip-start"], "--bug is for a service that is started here"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_wrong_usage_is_129(desk: Desk, arguments: list[str], reason: str):
    """An option that does not exist, or a value that can't be one, is told, and ends the script with 129."""
    ran = desk.call("toybank", *arguments)

    assert 129 == ran.code, ran
    assert ran.err.startswith(f"error: {reason}"), ran.err
    assert [] == list(desk.logs.iterdir())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TOYBANK_URL", "http://bank.example:4555"),
        ("TOYBANK_URL", "http://127.0.0.1:4555/bank"),
        ("READY_SECONDS", "soon"),
    ],
)
def test_wrong_environment_is_129(desk: Desk, variable: str, value: str):
    """A service can only be started on this machine, at a port, within a number of seconds."""
    ran = desk.call("toybank", **{variable: value})

    assert 129 == ran.code, ran
    assert value in ran.err


# --- for real -----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_service_without_bugs_passes(desk: Desk, service: str):
    """A script starts the service, finds nothing in 20 runs, and leaves nothing behind."""
    ran = desk.call(service, "--local", "--runs", "20", "--commands", "20", "--save-failures", "found")

    assert 0 == ran.code, ran
    assert ran.verdict == "VERDICT passed: 20 runs, nothing found (exit 0)"
    assert [] == processes(desk.mark)
    assert [] == processes(str(desk.logs))
    assert [] == list(desk.logs.iterdir())
    assert [] == list(desk.folder.glob("found/*"))


def test_bug_is_found_and_can_be_replayed(desk: Desk):
    """With a bug switched on a script exits with 1, and the start command that it tells replays the bundle."""
    ran = desk.call("travelbooking", "--local", "--bug", BUG, "--save-failures", "found", "--", "--stop-on-fail")
    [bundle] = desk.folder.glob("found/*.pd")
    told = re.search(r'--start "(.+)"', ran.err)

    assert 1 == ran.code, ran
    assert told is not None, ran
    assert 1 == replaykit("replay", bundle, "--start", told[1]).code
    assert 0 == replaykit("replay", bundle, "--start", told[1].removesuffix(f" --bug {BUG}")).code


def test_bug_of_toybank_is_found(desk: Desk):
    """ToyBank with a bug ends in 1, and nothing of its database is left."""
    [bug, *_] = bugs_of("toybank")
    ran = desk.call("toybank", "--local", "--bug", bug, "--save-failures", "found", "--", "--stop-on-fail")

    assert 1 == ran.code, ran
    assert [] == processes(str(desk.logs))


@pytest.mark.parametrize("service", SERVICES)
def test_chaos_without_bugs_passes(desk: Desk, service: str):
    """With --chaos and no bug, faults are put in by the proxy at the port above, and nothing is found or left."""
    ran = desk.call(
        service, "--local", "--chaos", "--runs", "3", "--commands", "20", "--save-failures", "found", "--verbose",
        "--", "--seed", "7",
    )  # fmt: skip

    assert 0 == ran.code, ran
    assert ran.verdict == "VERDICT passed: 3 runs, nothing found (exit 0)"
    assert f"--proxy-port {desk.port + 1}" in ran.err
    assert [] == processes(desk.mark)
    assert [] == list(desk.folder.glob("found/*"))


def test_bug_that_only_faults_show_is_found_with_chaos_alone(desk: Desk):
    """A bug of kind fault is not found by the ordinary model, and with --chaos it is, and its bundle shows it again."""
    own = ("travelbooking", "--local", "--bug", FAULTY, "--save-failures", "found")
    calm = desk.call(*own, "--runs", "2", "--commands", "20")
    ran = desk.call(*own, "--chaos", "--commands", "25", "--", "--seed", "1", "--stop-on-fail", "--no-shrink")
    [bundle] = desk.folder.glob("found/*.pd")
    told = re.search(r'--start "(.+)"', ran.err)

    assert (0, 1) == (calm.code, ran.code), ran
    assert told is not None, ran
    again = replaykit("replay", bundle, "--profile", f"{own[0]}-chaos", "--start", told[1])
    offline = replaykit("replay", bundle, "--offline")
    assert (1, 1) == (again.code, offline.code), again


def bugs_of(service: str) -> list[str]:
    """List the bugs of a service that show without luck and faults, the fewest commands first."""
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{service}", "--list-bugs", "--json"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    steady = [bug for bug in json.loads(done.stdout) if bug["kind"] not in {"race", "flaky", "fault"}]
    return [bug["name"] for bug in sorted(steady, key=lambda bug: bug["shortest"])]


def test_service_that_is_kept_can_be_tested_as_it_is(desk: Desk):
    """--keep-running leaves the service and says how to stop it; --skip-start tests it; a second start is refused."""
    kept = desk.call("travelbooking", "--local", "--runs", "1", "--keep-running", "--save-failures", "found")
    told = re.search(r"Stop it: kill (\d+)\n  Its log: (.+)\n", kept.err)
    assert told is not None, kept
    assert int(told[1]) in processes(desk.mark)
    assert Path(told[2]).exists()

    skipped = desk.call("travelbooking", "--skip-start", "--runs", "1", "--save-failures", "found")
    refused = desk.call("travelbooking", "--local", "--runs", "1", "--save-failures", "found")
    assert (0, 0, 125) == (kept.code, skipped.code, refused.code)
    assert f"error: something listens at port {desk.port} already" in refused.err
    assert int(told[1]) in processes(desk.mark)

    os.kill(int(told[1]), signal.SIGTERM)
    assert await_that(lambda: not processes(desk.mark))
    gone = desk.call("travelbooking", "--skip-start", "--save-failures", "found", "--", "--health-timeout", "0.2")
    assert 125 == gone.code, gone


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_all(desk: Desk, number: signal.Signals, code: int):
    """Ctrl-C and TERM end the tests and the service, with the exit code that says so."""
    script = desk.start("travelbooking", "--local", "--runs", "100000", "--save-failures", str(desk.folder))
    assert await_that(lambda: processes(f"--url http://127.0.0.1:{desk.port}")), script.communicate()
    time.sleep(0.5)
    os.killpg(script.pid, number)
    output, _ = script.communicate(timeout=20)

    assert code == script.returncode, output
    assert [] == processes(str(desk.port))
    assert [] == list(desk.logs.iterdir())


def test_verbose_shows_commands_and_log(desk: Desk):
    """--verbose shows what is run, and what the service printed."""
    ran = desk.call("travelbooking", "--local", "--runs", "1", "--verbose", "--save-failures", "found")

    assert re.search(rf"^\+ .+ -m examples.travelbooking --port {desk.port}$", ran.err, re.MULTILINE), ran
    assert re.search(r"^\+ .+ -m replaykit integration .+ --runs 1$", ran.err, re.MULTILINE), ran
    assert "What TravelBooking printed:\n" in ran.err


# --- the text of the scripts ---------------------------------------------------------------------

# What bash 3.2, which macOS has, does not know.
TOO_NEW = re.compile(
    r"\b(mapfile|readarray|coproc)\b|\b(declare|local) -[a-z]*[Agn]|\$\{\w+(,|\^|@[A-Z])|&>>|\|&|wait -n|\[\[ -v"
)


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_script_is_bash_3(script: Path):
    """Each script can be parsed, and has nothing in it that came after bash 3.2."""
    parsed = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)

    assert (0, "") == (parsed.returncode, parsed.stderr)
    assert [] == TOO_NEW.findall(script.read_text())


def test_scripts_have_no_faults_that_shellcheck_knows():
    """Shellcheck finds nothing in the scripts, and in what they share."""
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program is not None, 'it comes with the extra "dev"'
    done = subprocess.run([program, "-ax", *SCRIPTS.glob("test_*.sh")], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stdout)
