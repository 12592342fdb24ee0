"""The guides to campaigns and to CI: their commands, programs and recipes do what they say, for real.

Ports are free ones, and runs are few. In the place of Docker stands a program that starts the same service with
Python, and nothing is installed, since the environment of the tests has it all.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pytest
import recipes
from conftest import ROOT, environment, gone

from replaykit import reader, service
from replaykit.port import free_port

GUIDE = (ROOT / "docs" / "guides" / "integration.md").read_text(encoding="utf-8")
CI_GUIDE = (ROOT / "docs" / "guides" / "ci.md").read_text(encoding="utf-8")
FEW, SHORT = 2, 20  # runs, and the commands of each
ENOUGH, LONG = 15, 40  # likewise, where a bug is to be found whatever the seed
PORTS = {"shop": "4000", "toybank": "4555", "travelbooking": "4445"}  # as the guide says them

DOCKER = r"""#!/bin/sh
case "$COMPOSE_FILE $*" in
    " compose version" | " info") exit 1 ;;
    *"docker-compose.test.yml compose up "*)
        folder=${COMPOSE_FILE%/*}
        python -m "examples.${folder##*/}" --port "$PORT" --outlive-parent >docker.log 2>&1 &
        echo $! >docker.pid
        until python -c "import urllib.request as web; web.urlopen('http://127.0.0.1:$PORT/api/health')" 2>/dev/null; do
            sleep 0.1
        done ;;
    *"docker-compose.test.yml compose down"*) kill "$(cat docker.pid)" ;;
esac
"""
PYTHON = r"""#!/bin/sh
case "$*" in
    "-m pip install "* | "-m venv "*) exit 0 ;;
esac
exec "$REAL" "$@"
"""


@dataclass
class Copy:
    """A copy of the examples, with their corpus and settings, to run commands in."""

    folder: Path
    more: dict[str, str] = field(default_factory=dict)  # variables of the environment

    def __post_init__(self) -> None:
        for name in ("examples", "failures"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        programs = self.folder / "programs"
        programs.mkdir()
        for name, text in {"docker": DOCKER, "python": PYTHON, "python3": PYTHON}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.more |= {
            "PATH": f"{programs}{os.pathsep}{environment()['PATH']}",
            "REAL": sys.executable,
            "PYTHONPATH": str(ROOT),
            "VIRTUAL_ENV": sys.prefix,
            "REPLAYKIT_RUNS": str(FEW),
            "REPLAYKIT_COMMANDS": str(SHORT),
            "REPLAYKIT_SHRINK_EXECUTIONS": "50",
            "REPLAYKIT_QUIET": "1",
        }

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the copy."""
        return subprocess.run(
            words, cwd=self.folder, env=environment(**{**self.more, **more}), text=True, timeout=150, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def say(self, right: str, wrong: str) -> None:
        """Change the settings of the project."""
        settings = self.folder / "pyproject.toml"
        text = settings.read_text(encoding="utf-8")
        assert right in text
        settings.write_text(text.replace(right, wrong), encoding="utf-8")

    def cases(self, report: str) -> list[ET.Element]:
        """Read the cases of a JUnit report."""
        return list(ET.parse(self.folder / "reports" / report).iter("testcase"))  # noqa: S314  our own file

    def bundles(self, folder: str) -> list[Path]:
        """List the bundles below a folder, each of which is whole."""
        found = sorted((self.folder / folder).rglob("*.pd"))
        assert all(reader.read(path).whole for path in found)
        return found


@pytest.fixture
def copy(tmp_path: Path, database: str) -> Copy:
    """Give a copy of the examples."""
    return Copy(tmp_path, {"DATABASE_URL": database})


def hastened(text: str, runs: int = FEW, commands: int = SHORT) -> str:
    """Let a command or a program do few runs, and short ones."""
    text = re.sub(r"--runs \d+", f"--runs {runs} --commands {commands}", text)
    return re.sub(
        r"max_runs=(100|None)\b", f"max_runs={runs}", text.replace("max_commands=50", f"max_commands={commands}")
    )


# --- the integration guide ----------------------------------------------------------------------

BLOCK = r"(?ms)^<!-- (run|start): (clean|bugs) -->\n```(\w+)\n(.*?)^```$"
BLOCKS = re.findall(BLOCK, GUIDE)
CHAPTERS = {text.partition("\n")[0]: text for text in GUIDE.split("\n## ") if "<!-- run: " in text}


class Services:
    """The services that the guide speaks to, started with its own commands when they are asked for."""

    def __init__(self, stack: contextlib.ExitStack, database: str) -> None:
        commands = [(kind, text.strip()) for what, kind, _, text in BLOCKS if what == "start"]
        self.commands = {(re.findall(r"examples\.(\w+)", text)[0], kind): text for kind, text in commands}
        self.commands["shop", "clean"] = f"python -m examples.leaderboard --port {PORTS['shop']}"
        self.stack, self.database = stack, database
        self.ports: dict[tuple[str, str], str] = {}

    def port(self, name: str, kind: str) -> str:
        """Give the port of a service, which is one with bugs where the guide starts one with bugs."""
        which = (name, kind) if (name, kind) in self.commands else (name, "clean")
        if which not in self.ports:
            start = self.commands[which].replace(f"--port {PORTS[name]}", "--port {port}")
            assert start != self.commands[which]
            if name == "toybank":
                start += f" --database-url {self.database} --schema {kind}"
            url = self.stack.enter_context(service.reached(url=None, start=start, health=None, patience=60))
            self.ports[which] = url.rpartition(":")[2]
        return self.ports[which]

    def known_in(self, text: str, kind: str) -> str:
        """Put the ports of the services in the place of those that the guide names."""
        for name, port in PORTS.items():
            if f"localhost:{port}" in text:
                text = text.replace(f"localhost:{port}", f"localhost:{self.port(name, kind)}")
        return text


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_integration_guide_holds(copy: Copy, database: str, chapter: str):
    """Its commands pass; against a service with bugs they exit with 1, and its programs print what was found."""
    [names] = re.findall(r"(?ms)^```toml\n(\[tool\.replaykit\.names\]\n.*?)^```$", GUIDE)
    copy.say("[tool.replaykit.names]\n", names)
    for name in ("TOYBANK", "TRAVELBOOKING"):
        copy.more[f"{name}_URL"] = f"http://127.0.0.1:{free_port()}"
    printed, files = {}, set()
    with contextlib.ExitStack() as stack:
        services = Services(stack, database)
        for what, kind, language, block in re.findall(BLOCK, CHAPTERS[chapter]):
            if what == "start":
                continue
            runs, commands = (ENOUGH, LONG) if kind == "bugs" else (FEW, SHORT)
            text = services.known_in(hastened(block, runs, commands), kind)
            words = ["bash", "-ec", text] if language == "sh" else [sys.executable, "-W", "error", "-c", text]
            done = copy.run(*words, REPLAYKIT_RUNS=str(runs), REPLAYKIT_COMMANDS=str(commands))
            printed[block] = done.stdout
            files.update(re.findall(r"\breports/\w+\.\w+", block))

            assert done.returncode == (kind == "bugs" and language == "sh"), (text, done.stdout)

    assert printed
    assert files == {
        f"reports/{path.name}" for path in copy.folder.glob("reports/*") if f"reports/{path.name}" in files
    }
    assert all(copy.cases(name.removeprefix("reports/")) for name in files if name.endswith(".xml"))
    for folder in set(re.findall(r"--save-failures (\w+)/", CHAPTERS[chapter])):
        assert copy.bundles(folder), folder
    if chapter == "In Python":
        run, hunt, replays = printed.values()
        assert re.match(r"\d+ of \d+ runs failed, \d+ passed\n\w+ bugs/.+\.pd\n", run), run
        assert re.search(r"(?m)^Occurrences: [1-9]\d* first seen in run [1-9]\d*$", hunt), hunt
        assert 0 < len(replays.splitlines()) == replays.count("reproduced"), replays
        assert len(copy.bundles("discovered_bugs")) == hunt.count("Fingerprint: ") == len(replays.splitlines())


def test_every_option_of_the_guide_is_there_with_its_default():
    """The options in the tables of the guide are those of the program, and the numbers are its defaults."""
    from replaykit.cli.integration import integration

    known = {name: option for option in integration.params for name in option.opts}
    section = GUIDE.partition("\n## Options\n")[2].partition("\n### Examples\n")[0]
    rows = re.findall(r"(?m)^\| (`--[^|]+) \|(?:[^|]*\| ([^|]*) )?", section)
    told = {name: default for names, default in rows for name in re.findall(r"--[a-z-]+", names)}

    seed = "model adapter url runs commands health report report-path save-failures stop-on-fail hunt quiet".split()
    assert {f"--{name}" for name in seed} <= set(told)
    assert set() == set(told) - set(known)
    assert {name: int(default) for name, default in told.items() if default.isdigit() and name != "--jobs"} == {
        name: known[name].get_default(click.Context(integration), call=False) for name in ("--runs", "--commands")
    }


@pytest.mark.parametrize("name", ["toybank", "travelbooking"])
def test_every_option_of_the_scripts_in_the_guide_is_there(name: str):
    """The options of the scripts that the guide lists are those that `--help` lists."""
    table = GUIDE.partition("| option of the script |")[2].partition("\n\n")[0]
    listed = {"--help", *re.findall(r"(?m)^\| `(--[a-z-]+)", table)} | ({"--lifecycle"} if name != "toybank" else set())
    done = subprocess.run(
        ["bash", ROOT / "examples" / "scripts" / f"test_{name}.sh", "--help"],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert set(re.findall(r"(?m)^  (--[a-z-]+)", done.stdout)) == listed


@pytest.mark.parametrize(
    ("start", "path", "said"),
    [
        (None, None, r"The service is not healthy at (\S+) after \S+ seconds: \[Errno 111\] Connection refused\."),
        ("python -m http.server {port} --bind 127.0.0.1", None, r"it answers 404"),
        ("false {port}", None, r"The service ended before it was healthy"),
    ],
    ids=["refused", "404", "ended"],
)
def test_what_the_guide_says_of_a_service_that_is_not_ready(copy: Copy, start: str | None, path: None, said: str):
    """The messages of the guide's troubleshooting are those that are printed, and end with 125."""
    where = ("--start", start) if start else ("--url", f"http://localhost:{free_port()}")
    done = copy.run("replaykit", "integration", "--profile", "toybank", *where, "--health-timeout", "1")

    assert 125 == done.returncode, done.stdout
    assert re.search(said, done.stdout), done.stdout
    assert re.search(said, GUIDE)


# --- the recipes --------------------------------------------------------------------------------


def test_recipes_use_options_that_there_are(copy: Copy):
    """All that the recipes say to replaykit is in its help."""
    used: dict[str, set[str]] = {}
    for block in recipes.shell_blocks().values():
        for command, options in re.findall(r"replaykit (\w+) (.*)", block):
            used.setdefault(command, set()).update(re.findall(r"--[a-z-]+", options))

    assert {"integration", "suite"} == set(used)
    for command, options in used.items():
        assert options <= set(re.findall(r"--[a-z-]+", copy.run("replaykit", command, "--help").stdout))


def test_github_recipe_holds(copy: Copy):
    """Its jobs pass, for both services and in the night, and write the reports that the last job publishes."""
    jobs = recipes.github()
    for chosen in jobs["integration"]["strategy"]["matrix"]["include"]:
        env = {name: value for name, value in jobs["integration"]["env"].items() if name != "PORT"}
        env = {name: value.replace("${{ matrix.service }}", chosen["service"]) for name, value in env.items()}
        env["PORT"] = str(free_port())
        for step in jobs["integration"]["steps"]:
            if "run" in step and step.get("if") != "failure()":
                done = copy.run("bash", "-e", "-c", hastened(step["run"]), **env)

                assert 0 == done.returncode, (step, done.stdout)
        assert copy.cases(f"{chosen['service']}.xml")
        assert gone(f"--port {env['PORT']}")
    for job in ("corpus", "hunt"):
        for step in jobs[job]["steps"]:
            if "run" in step:
                done = copy.run("bash", "-e", "-c", step["run"])

                assert 0 == done.returncode, (step, done.stdout)
    assert copy.cases("hunt.xml")
    assert [] == copy.bundles("found")


def gitlab(
    copy: Copy, job: str, runs: int = FEW, commands: int = SHORT, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a job of GitLab's, as its runner does: all lines in one shell that ends at the first failure."""
    content = recipes.gitlab()[job]
    lines = [*content["before_script"], *content["script"]]
    return copy.run("sh", "-e", "-c", hastened("\n".join(lines), runs, commands), **more)


def test_gitlab_recipe_holds(copy: Copy):
    """Its jobs pass, for both services and in schedules, and write the reports that GitLab reads."""
    [matrix] = recipes.gitlab()["integration"]["parallel"]["matrix"]
    done = [gitlab(copy, "integration", SERVICE=name) for name in matrix["SERVICE"]]
    done += [gitlab(copy, job) for job in ("corpus", "hunt")]

    assert [0, 0, 0, 0] == [each.returncode for each in done], [each.stdout for each in done]
    assert all(copy.cases(f"{name}.xml") for name in (*matrix["SERVICE"], "hunt"))
    assert [] == copy.bundles("found")


@pytest.mark.parametrize(
    ("start", "code"),
    [("python -m examples.travelbooking --port {port} --bug double-cancel", 1), ("false {port}", 125)],
    ids=["bug", "no service"],
)
def test_recipe_fails_where_it_should(copy: Copy, start: str, code: int):
    """A job ends with 1 where there is a bug, with its bundle and its case; and with 125 where there is no service."""
    copy.say("python -m examples.travelbooking --port {port}", start)
    done = gitlab(copy, "integration", ENOUGH, LONG, SERVICE="travelbooking")

    assert code == done.returncode, done.stdout
    if code == 1:
        assert copy.bundles("found")
        assert [each for each in copy.cases("travelbooking.xml") if each.find("failure") is not None]
    else:
        assert [] == copy.bundles("found")


def test_jenkinsfile_holds(copy: Copy):
    """Its stages pass, the one that is for the night included, and the first one removes what was found before."""
    (copy.folder / "found").mkdir()
    (copy.folder / "found" / "yesterday.pd").write_text("from another build")
    for stage, blocks in recipes.jenkins().items():
        for block in blocks:
            done = copy.run("sh", "-x", "-e", "-c", hastened(block))

            assert 0 == done.returncode, (stage, done.stdout)
    assert all(copy.cases(name) for name in ("toybank.xml", "travelbooking.xml", "hunt.xml"))
    assert [] == copy.bundles("found")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["test-integration", "test-hunt"])
def test_makefile_holds(copy: Copy, target: str):
    """Its targets start the services, test them and stop them again."""
    urls = {f"{name}_URL": f"http://127.0.0.1:{free_port()}" for name in ("TOYBANK", "TRAVELBOOKING")}
    makefile = copy.folder / "examples" / "ci" / "Makefile"
    done = copy.run(
        "make", "--file", str(makefile), target, f"OPTIONS=--local --commands {SHORT}", f"RUNS={FEW}", **urls
    )

    assert 0 == done.returncode, done.stdout
    assert "VERDICT passed" in done.stdout
    assert all(gone(f"--port {url.rpartition(':')[2]}") for url in urls.values())


def test_only_125_passes_where_the_guide_lets_it(copy: Copy):
    """What the guide writes behind a command lets 125 pass, and nothing else."""
    [said] = re.findall(r"`(replaykit suite [^`]+ \|\| [^`]+)`", CI_GUIDE)
    nobody = f"failures/leaderboard --url http://127.0.0.1:{free_port()} --health-timeout 0.2"
    unreachable, missing = (said.replace("failures/", each) for each in (nobody, "nowhere/"))

    assert said not in {unreachable, missing}
    done = [copy.run("bash", "-e", "-c", each) for each in (unreachable, missing)]
    assert [True, False] == [each.returncode == 0 for each in done], done
