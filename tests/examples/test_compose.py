"""The compose files and Dockerfiles: well-formed, safe, and of one mind with the services and scripts."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from conftest import ROOT, environment

from replaykit.port import free_port
from replaykit.service import Started

EXAMPLES = ROOT / "examples"
CI = EXAMPLES / "ci"
SERVICES = {"toybank": 4555, "travelbooking": 4445}
HELPERS = {"toybank": {"db-reset"}, "travelbooking": {"data-reset", "enable-fixes", "disable-fixes"}}
COMPOSE = "vendor.compose-spec"
FORMATS = [(COMPOSE, EXAMPLES / name / "docker-compose.test.yml") for name in SERVICES]
NAMES = [path.parent.name for _, path in FORMATS]

each_service = pytest.mark.parametrize("service", SERVICES)


def composed(service: str) -> dict[str, Any]:
    """Read a service's compose file."""
    return yaml.safe_load((EXAMPLES / service / "docker-compose.test.yml").read_text(encoding="utf-8"))


def instructions(service: str) -> list[tuple[str, str]]:
    """Read a service's Dockerfile: each instruction with what it says."""
    text = (EXAMPLES / service / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, said) for word, _, said in (line.partition(" ") for line in lines)]


def said(service: str, word: str) -> list[str]:
    """List what all instructions of a kind say."""
    return [text for each, text in instructions(service) if each == word]


# --- formats ------------------------------------------------------------------------------------


def checked(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against a schema."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("schema", "path"), FORMATS, ids=NAMES)
def test_file_has_its_format(schema: str, path: Path):
    """Each compose file is what its schema asks for."""
    done = checked(schema, path)

    assert 0 == done.returncode, done.stdout


@pytest.mark.parametrize(
    ("number", "right", "wrong"),
    [
        (0, "condition: service_healthy", "condition: service_helthy"),
        (0, "profiles:", "profile:"),
        (1, "healthcheck:", "health_check:"),
    ],
)
def test_mistake_in_a_file_is_noticed(tmp_path: Path, number: int, right: str, wrong: str):
    """A word that is misspelt in a copy of a file is found, so the check above can fail."""
    schema, path = FORMATS[number]
    text = path.read_text(encoding="utf-8")
    copy = tmp_path / path.name
    copy.write_text(text.replace(right, wrong), encoding="utf-8")

    assert text.count(right) >= 1
    assert 1 == checked(schema, copy).returncode


@each_service
def test_dockerfile_has_no_faults_that_hadolint_knows(service: str):
    """Hadolint finds nothing in the Dockerfiles."""
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program is not None, 'it comes with the extra "dev"'
    done = subprocess.run([program, EXAMPLES / service / "Dockerfile"], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stdout)


# --- what is in them ----------------------------------------------------------------------------


@each_service
def test_compose_file_has_all_services(service: str):
    """The compose file has the service, its helpers, Toxiproxy, and ToyBank's database."""
    database = {"db"} if service == "toybank" else set()

    assert {"app", "toxiproxy", *HELPERS[service], *database} == set(composed(service)["services"])


def open_ports(document: dict[str, Any]) -> list[str]:
    """List the ports that can be reached from other machines."""
    ports = [port for each in document["services"].values() for port in each.get("ports", [])]
    return [str(port) for port in ports if not str(port).startswith("127.0.0.1:")]


@each_service
def test_ports_are_open_to_this_machine_only(service: str):
    """Every port is bound to loopback."""
    assert [] == open_ports(composed(service))


def test_port_that_is_open_to_others_is_noticed():
    """A port without an address is found, so the test above can fail."""
    document = composed("toybank")
    document["services"]["db"]["ports"] = ["5433:5432"]

    assert ["5433:5432"] == open_ports(document)


@each_service
def test_up_starts_the_service_only(service: str):
    """Helpers and Toxiproxy are under a profile, so that `up` does not start them."""
    profiles = {name: each.get("profiles") for name, each in composed(service)["services"].items()}
    started = {name for name, under in profiles.items() if not under}

    assert {"app", "db"} & set(profiles) == started
    assert ["chaos"] == profiles["toxiproxy"]
    assert all(["tools"] == profiles[name] for name in HELPERS[service])


def test_database_keeps_nothing():
    """ToyBank's database lies in memory, at a port beside the usual one, and the service waits until it is healthy."""
    services = composed("toybank")["services"]

    assert ["/var/lib/postgresql"] == services["db"]["tmpfs"]
    assert "volumes" not in services["db"]
    assert ["127.0.0.1:5433:5432"] == services["db"]["ports"]
    assert {"db": {"condition": "service_healthy"}} == services["app"]["depends_on"]


def test_service_knows_its_database():
    """The URL that ToyBank gets is that of the database beside it."""
    services = composed("toybank")["services"]
    url = services["app"]["environment"]["DATABASE_URL"]
    own = services["db"]["environment"]
    user, password, name = own["POSTGRES_USER"], own["POSTGRES_PASSWORD"], own["POSTGRES_DB"]

    assert f"postgresql://{user}:{password}@db:5432/{name}" == url


@each_service
def test_image_has_no_root_and_a_known_base(service: str):
    """The image is made of a slim Python of a known version, and nothing in it runs as root."""
    assert [["python:3.13-slim"]] == [each.split() for each in said(service, "FROM")]
    assert ["USER", "EXPOSE", "CMD"] == [word for word, _ in instructions(service)][-3:]
    assert ["65534"] == said(service, "USER")


def is_ignored(path: str) -> bool:
    """Say whether Docker leaves a path of the repository out: the last line that fits counts."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if not line.startswith("#") and any(is_meant(each, pattern) for each in (Path(path), *Path(path).parents)):
            ignored = not line.startswith("!")
    return ignored


def is_meant(path: Path, pattern: str) -> bool:
    """Say whether a pattern of .dockerignore means a path; `**/` stands for any folders."""
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(path.name, pattern.removeprefix("**/"))
    return len(path.parts) == 1 and fnmatch.fnmatch(path.name, pattern)


@each_service
def test_image_is_made_of_what_is_there(service: str):
    """All that the Dockerfile copies exists, and .dockerignore does not leave it out."""
    sources = [word for each in said(service, "COPY") for word in each.split()[:-1]]

    assert ["pyproject.toml", "README.md", "replaykit", "examples"] == sources
    assert all((ROOT / source).exists() and not is_ignored(source) for source in sources)


@pytest.mark.parametrize("path", [".git", ".venv", "tests", "docs", "failures", ".replaykit", "replaykit/__pycache__"])
def test_image_has_nothing_else(path: str):
    """What the service does not need is not sent to Docker."""
    assert is_ignored(path)


@each_service
def test_command_in_the_container_is_one_that_the_service_has(service: str):
    """The commands of the Dockerfile and of the compose file start the service, at the port that both name."""
    [in_image] = [json.loads(each) for each in said(service, "CMD")]
    in_compose = shlex.split(composed(service)["services"]["app"]["command"])

    options = f"${{{service.upper()}_OPTIONS:-}}"
    assert [*in_image, options] == in_compose
    words = [sys.executable, *in_image[1:], "--list-bugs"]
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr


# --- of one mind --------------------------------------------------------------------------------


@each_service
def test_ports_agree(service: str):
    """Service, Dockerfile, compose file, Toxiproxy, script, workflow and README name the same ports."""
    port = SERVICES[service]
    services = composed(service)["services"]
    api = 8474 if service == "toybank" else 8475
    workflow = yaml.safe_load((CI / "github-actions.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["integration"]["strategy"]["matrix"]["include"]
    source = (EXAMPLES / service / "__main__.py").read_text(encoding="utf-8")
    readme = (EXAMPLES / "scripts" / "README.md").read_text(encoding="utf-8")

    assert str(port) in source
    assert [str(port)] == said(service, "EXPOSE")
    assert [f"127.0.0.1:${{{service.upper()}_PORT:-{port}}}:{port}"] == services["app"]["ports"]
    assert f"-port=${{TOXIPROXY_PORT:-{api}}}" in services["toxiproxy"]["command"]
    assert f"`http://127.0.0.1:{api}`" in readme
    assert {"proxy_port": port + 1}.items() <= profiles()[f"{service}-chaos"].items()
    assert f" port={port} " in (EXAMPLES / "scripts" / f"test_{service}.sh").read_text(encoding="utf-8")
    assert [port] == [each["port"] for each in matrix if each["service"] == service]
    assert re.search(rf"^\| `test_{service}.sh` \|.*\| {port} \|", readme, re.MULTILINE)
    assert re.search(rf"port\s+{port + 1}\b", readme)


def profiles() -> dict[str, Any]:
    """Return the profiles of the repository."""
    read: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return read["tool"]["replaykit"]["profiles"]


@each_service
def test_toxiproxy_reaches_what_replaykit_reaches(service: str):
    """Toxiproxy has the network of the machine, on which it is reached from this machine alone."""
    toxiproxy = composed(service)["services"]["toxiproxy"]

    assert "host" == toxiproxy["network_mode"]
    assert "-host=127.0.0.1" in toxiproxy["command"]


def test_both_can_run_at_once():
    """No two containers want the same port of this machine."""
    containers = [each for name in SERVICES for each in composed(name)["services"].values()]
    ports = [port for each in containers for port in each.get("ports", [])]
    taken = [re.sub(r"\$\{\w+:-(\d+)\}", r"\1", port).split(":")[1] for port in ports]

    assert len(taken) == len(set(taken)), taken


# --- what runs in the containers -----------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> Iterator[str]:
    """Give the URL of TravelBooking, started here."""
    with Started("python -m examples.travelbooking --port {port}") as service:
        health = composed("travelbooking")["services"]["app"]["healthcheck"]["test"][3]
        for _ in range(100):
            if 0 == in_container(health, service.url).returncode:
                break
        yield service.url


def in_container(program: str, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of a compose file, with the URL in the place of the service's in there."""
    there = re.sub(r'"(app|127\.0\.0\.1)", \d+', f'"127.0.0.1", {url.rpartition(":")[2]}', program)
    assert there != program
    return subprocess.run([sys.executable, "-c", there, *arguments], capture_output=True, text=True, check=False)


def run_helper(name: str, url: str) -> str:
    """Run a helper of TravelBooking's, and return what it printed."""
    helper = composed("travelbooking")["services"][name]
    done = in_container(helper["entrypoint"][2], url, *helper["command"])
    assert 0 == done.returncode, done
    return done.stdout


def ask(url: str, data: dict[str, Any] | None = None) -> Any:
    """Send a request to TravelBooking: POST with data, GET without."""
    answer = httpx.get(url, trust_env=False) if data is None else httpx.post(url, json=data, trust_env=False)
    return answer.raise_for_status().json()


def test_fixes_are_disabled_and_enabled(running: str):
    """disable-fixes turns all bugs on, enable-fixes turns them off."""
    run_helper("disable-fixes", running)
    buggy = ask(f"{running}/api/fixes")
    run_helper("enable-fixes", running)
    fixed = ask(f"{running}/api/fixes")

    assert buggy["bugs"]
    assert [] == buggy["fixes"]
    assert [] == fixed["bugs"]


def test_data_is_reset(running: str):
    """data-reset forgets the flights."""
    ask(f"{running}/api/flights", {"seats": 1})
    before = ask(f"{running}/api/flights")
    printed = run_helper("data-reset", running)

    assert 1 == len(before)
    assert [] == ask(f"{running}/api/flights")
    assert printed.startswith("200 ")


def test_helper_that_is_refused_fails(running: str):
    """A helper whose request is refused says so, and does not exit with 0."""
    helper = composed("travelbooking")["services"]["data-reset"]
    done = in_container(helper["entrypoint"][2], running, "/api/nothing")

    assert (1, "404 ") == (done.returncode, done.stdout[:4])


@each_service
def test_health_check_notices_that_nothing_is_there(service: str):
    """A health check fails where no service answers."""
    check = composed(service)["services"]["app"]["healthcheck"]["test"][3]
    done = in_container(check, f"http://127.0.0.1:{free_port()}")

    assert 1 == done.returncode


def test_helpers_of_both_ask_in_the_same_way():
    """ToyBank's helper is the program that TravelBooking's helpers are, at ToyBank's port."""
    bank = composed("toybank")["services"]["db-reset"]
    travel = composed("travelbooking")["services"]["data-reset"]

    assert [each.replace("4555", "4445") for each in bank["entrypoint"]] == travel["entrypoint"]
    assert "/api/reset" == bank["command"][0]
