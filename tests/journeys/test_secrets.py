"""Secrets: none stands in a bundle at any moment, and bundles without them can be replayed."""

import json
import os
import re
import textwrap
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import gate
import pytest
import yaml
from conftest import ROOT, Ran, replaykit

from replaykit import integration, play, record, replay
from replaykit.bundle import Bundle
from replaykit.placeholder import placeholders_in
from replaykit.reader import read
from replaykit.result import Result
from replaykit.shrink import Budget
from replaykit.writer import Writer, save

GATE = ("--model", "gate:Gate", "--adapter", "gate:GateApi")


@pytest.fixture
def service() -> Iterator[gate.Service]:
    """Give the service with the seven carriers."""
    with gate.Service() as served:
        yield served


class Reader(threading.Thread):
    """Reads all files of a folder, again and again, and takes down what a secret can be seen in."""

    def __init__(self, folder: Path, secret: str) -> None:
        super().__init__(daemon=True)
        self.folder, self.sought = folder, gate.disguises(secret)
        self.seen: list[bytes] = []
        self.reads, self.largest, self.over = 0, 0, False

    def run(self) -> None:
        while not self.over:
            for path in self.folder.iterdir():
                try:
                    content = path.read_bytes()
                except OSError:
                    continue
                self.reads += 1
                self.largest = max(self.largest, len(content))
                self.seen += [each for each in self.sought if each in content]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        self.join()


def campaign(service: gate.Service, folder: Path, seed: int = 1) -> Result:
    """Run the campaign that finds the wrong count, and save what it finds as it is."""
    return integration.run(
        model=gate.Gate, adapter=gate.GateApi, base_url=service.url, save_failures=folder, seed=seed, max_runs=20,
        max_commands=40, stop_on_fail=True, health_check="none", budget=Budget(0, 1), names=GATE[1::2],
    )  # fmt: skip


@pytest.fixture
def saved(service: gate.Service, tmp_path: Path) -> Path:
    """Give a bundle of the service's bug, found after visits with all carriers."""
    service.most = 20
    campaign(service, tmp_path / "failures")
    [path] = (tmp_path / "failures").glob("*.pd")
    return path


def test_seven_carriers_of_one_secret_are_never_in_the_file(service: gate.Service, tmp_path: Path):
    """Whoever reads the file while it is written sees no disguise of the secret, and none stands in the result."""
    service.most = 20
    with Reader(tmp_path, gate.TOKEN) as reader:
        result = campaign(service, tmp_path)
    [path] = tmp_path.glob("*.pd")
    content = path.read_bytes()
    carriers = {step.interactions[0].request.url.split("/")[4].partition("?")[0] for step in read(path).trace.steps[1:]}

    assert 1 == len(result.failures)
    assert set(gate.CARRIERS) == carriers
    assert [] == reader.seen
    assert [] == [each for each in gate.disguises(gate.TOKEN) if each in content]
    assert reader.reads > 10
    assert reader.largest > 1000
    assert b"REDACTED.access_token." in content


def test_seven_carriers_of_one_secret_are_in_no_recording(service: gate.Service, tmp_path: Path):
    """What is recorded without a model goes the same way: no disguise is ever in the file, and it plays."""
    path = tmp_path / "recorded.pd"

    def visit(client: Any, token: str) -> None:
        for carrier in gate.CARRIERS:
            answer = client.post(f"/visit/{carrier}", params={"key": token}, headers={"X-Api-Key": "k3y"}, json={})
            assert 200 == answer.status_code

    with Reader(tmp_path, gate.TOKEN) as reader:
        with record(path, base_url=service.url) as client:
            visit(client, client.post("/login", json={"password": "x"}).json()["user"]["access_token"])
    with play(path) as client:
        visit(client, client.post("/login", json={"password": "y"}).json()["user"]["access_token"])

    assert [] == reader.seen
    assert [] == [each for each in gate.disguises(gate.TOKEN) if each in path.read_bytes()]
    assert reader.largest > 1000


def test_what_was_written_before_it_was_known_is_covered_in_the_bundle(service: gate.Service, tmp_path: Path):
    """A value that nothing marked as a secret when it came is covered in the bundle that is saved."""
    service.is_early = True
    campaign(service, tmp_path)
    [path] = tmp_path.glob("*.pd")
    content = path.read_bytes()

    assert [] == [each for each in gate.disguises(gate.TOKEN) if each in content]
    assert b'\\"note\\": \\"REDACTED.access_token.' in content


def test_the_run_itself_sees_the_true_values(service: gate.Service, tmp_path: Path):
    """Redaction is for what is written: the trace of the run and what the service got are as they were."""
    result = campaign(service, tmp_path)

    assert {"token": gate.TOKEN} == json.loads(result.failures[0].trace.steps[0].event.data)


def test_one_value_has_one_placeholder(saved: Path):
    """All that was the token is the same placeholder, in answers, requests, events and states alike."""
    steps = read(saved).trace.steps
    told = [name for name in placeholders_in(saved.read_text()) if ".access_token." in name]

    assert 1 == len(told)
    assert told[0] in steps[0].event.data.decode()
    assert told[0] in steps[-1].state.decode()


def test_what_was_redacted_replays_offline(saved: Path, service: gate.Service):
    """Against its own cassette, the bug reproduces, though no true value is left."""
    replayed = replay(read(saved), model=gate.Gate, adapter=gate.GateApi, offline=True)

    assert "reproduced" == replayed.verdict.value, replayed.reason


def test_what_was_redacted_replays_live(saved: Path, service: gate.Service):
    """Against the service, the adapter works with the true values, and the bug reproduces."""
    replayed = replay(read(saved), model=gate.Gate, adapter=gate.GateApi, url=service.url, health_check="none", times=1)

    assert "reproduced" == replayed.verdict.value, replayed.reason


def test_evidence_that_is_covered_is_said_to_be(saved: Path, service: gate.Service, tmp_path: Path):
    """Where what a check compares is covered in the file, the campaign and show say so."""
    result = campaign(service, tmp_path / "again")
    ran = replaykit("show", saved)

    assert result.failures[0].covered
    assert "what it says is covered in part, since it may be secret: REDACTED.access_token." in ran.out


# --- placeholders in arguments ------------------------------------------------------------------


def with_password(bundle: Bundle, password: str) -> Bundle:
    """Give the log-in of a bundle another password."""
    first, *others = bundle.trace.steps
    changed = first.replace(call=first.call.replace(args={"password": password}))
    return bundle.replace(trace=bundle.trace.replace(steps=(changed, *others)))


def gated(*arguments: object, cwd: Path, **more: str) -> Ran:
    """Run the command line with the gate's model on the path."""
    return replaykit(*arguments, cwd=cwd, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tests'}", **more)


@pytest.fixture
def covered(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a bundle in whose arguments a configured secret was covered, in a project of its own."""
    bundle = with_password(read(saved), "the-Real-0ne")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text('[tool.replaykit.redact]\nenv = ["GATE_PASSWORD"]\n')
    monkeypatch.chdir(project)
    monkeypatch.setenv("GATE_PASSWORD", "the-Real-0ne")
    save(project / "covered.pd", bundle.origin, bundle.trace)
    return project / "covered.pd"


def test_a_configured_secret_is_covered_in_arguments(covered: Path):
    """A value from a variable that the project names is covered, under the variable's name."""
    assert {"password": "REDACTED.GATE_PASSWORD.1"} == read(covered).trace.steps[0].call.args
    assert b"the-Real-0ne" not in covered.read_bytes()


@pytest.mark.parametrize("variable", ["GATE_PASSWORD", "REPLAYKIT_SECRET_GATE_PASSWORD"])
def test_placeholders_are_bound_from_the_environment(
    covered: Path, service: gate.Service, variable: str, monkeypatch: pytest.MonkeyPatch
):
    """A live replay sends what the variable holds, and prints it nowhere."""
    monkeypatch.delenv("GATE_PASSWORD")
    service.logins.clear()
    ran = gated(
        "replay", "covered.pd", *GATE, "--url", service.url, "--health", "none", "--times", 1, "--verbose",
        cwd=covered.parent, **{variable: "another-0ne"},
    )  # fmt: skip

    assert 1 == ran.code, ran
    assert ["another-0ne"] == service.logins
    assert "another-0ne" not in ran.out + ran.err


def test_a_placeholder_without_a_value_is_stale(covered: Path, service: gate.Service, monkeypatch: pytest.MonkeyPatch):
    """Where the variable is not set, the verdict is stale, and names the variables."""
    monkeypatch.delenv("GATE_PASSWORD")
    service.logins.clear()
    ran = gated("replay", "covered.pd", *GATE, "--url", service.url, "--health", "none", cwd=covered.parent)

    assert 125 == ran.code, ran
    assert ran.verdict.startswith("VERDICT stale: ")
    assert "GATE_PASSWORD or REPLAYKIT_SECRET_GATE_PASSWORD" in ran.verdict
    assert [] == service.logins


def test_a_bundle_alone_can_not_have_the_environment_read(covered: Path, service: gate.Service):
    """A placeholder with the name of a variable that the project does not name gets nothing of it."""
    bundle = with_password(read(covered), "REDACTED.AWS_SECRET_ACCESS_KEY.1")
    save(covered.parent / "evil.pd", bundle.origin, bundle.trace)
    service.logins.clear()
    ran = gated(
        "replay", "evil.pd", *GATE, "--url", service.url, "--health", "none", cwd=covered.parent,
        AWS_SECRET_ACCESS_KEY="mine-alone",  # noqa: S106
    )  # fmt: skip

    assert 125 == ran.code, ran
    assert [] == service.logins
    assert "mine-alone" not in ran.out + ran.err


def test_a_wrong_configuration_is_told(covered: Path):
    """A key that is not known is a usage error, before anything is started."""
    (covered.parent / "pyproject.toml").write_text('[tool.replaykit.redact]\nenvv = ["X"]\n')
    ran = gated("replay", "covered.pd", *GATE, "--offline", cwd=covered.parent)

    assert 129 == ran.code
    assert "error[redaction]: [tool.replaykit.redact] in " in ran.err


# --- scanning -----------------------------------------------------------------------------------


@pytest.fixture
def leaking(saved: Path, service: gate.Service, tmp_path: Path) -> Path:
    """Give a bundle that was written without redaction."""
    from replaykit.secret import Policy

    result = campaign(service, tmp_path / "third")
    with Writer(tmp_path / "x.partial", Policy(enabled=False)) as writer:
        writer.begin(read(saved).origin)
        writer.write(result.failures[0].trace)
        writer.save(tmp_path / "leaking.pd")
    return tmp_path / "leaking.pd"


def test_scan_finds_secrets_in_an_old_bundle(leaking: Path, saved: Path):
    """A file with secrets is told with line, label and length, never with the value, and the exit code is 1."""
    ran = replaykit("scan", leaking, saved)

    assert 1 == ran.code, ran
    assert f"{leaking}:6: access_token (" in ran.out
    assert "s3cret" not in ran.out
    assert str(saved) not in ran.out
    assert ran.verdict.startswith("VERDICT found: ")


def test_scan_of_what_was_redacted_is_clean(saved: Path):
    """Placeholders are no findings."""
    ran = replaykit("scan", saved.parent)

    assert 0 == ran.code, ran
    assert "VERDICT clean: 0 values that may be secret in 1 file (exit 0)" == ran.verdict


def test_scan_of_what_can_not_be_read(tmp_path: Path, saved: Path):
    """What can't be unpacked is 128, and the others are still told; what is not there is 129."""
    (tmp_path / "broken.pd.gz").write_bytes(b"\x1f\x8b\x08broken")
    broken = replaykit("scan", tmp_path / "broken.pd.gz", saved)
    missing = replaykit("scan", tmp_path / "nothing.pd")

    assert (128, 129) == (broken.code, missing.code)
    assert "error[bundle-corrupt]" in broken.err
    assert "error[missing-file]" in missing.err


# --- the documentation --------------------------------------------------------------------------


def test_the_table_of_the_guide_is_true():
    """What the guide says to be covered is covered so."""
    from replaykit.interaction import Interaction, Request, Response
    from replaykit.redact import Redactor

    text = (ROOT / "docs" / "guides" / "secrets.md").read_text(encoding="utf-8").split("<!-- covered -->")[1]
    rows = re.findall(r"(?m)^\| `(.*)` \| `(.*)` \|$", text.split("**By place.**")[0])
    asked = Request(method="GET", url="http://127.0.0.1/")
    made = [
        Redactor().interaction(Interaction(request=asked, response=Response(status=200, body=sent.encode())))
        for sent, _ in rows
    ]

    assert len(rows) == 9
    assert [wanted for _, wanted in rows] == [each.response.body.decode() for each in made]


def test_the_configuration_of_the_guide_is_read(tmp_path: Path):
    """The tables for pyproject.toml in the guide are what is read from one, and all keys are explained."""
    from replaykit import secret

    text = (ROOT / "docs" / "guides" / "secrets.md").read_text(encoding="utf-8")
    tables = [tomllib.loads(textwrap.dedent(each)) for each in re.findall(r"(?ms)^ *```toml\n(.*?)^ *```$", text)]
    redact = tables[0]["tool"]["replaykit"]["redact"]
    policy = secret.policy_of(redact, {"API_TOKEN": "abcdef"}, "the guide")

    assert ("API_TOKEN", "abcdef") == policy.given[0]
    assert set(secret._KEYS) == set(re.findall(r"(?m)^\| `(\w+)` \| [^`\n]*", text.split("| key | meaning |")[1]))
    assert ["staging.example.org", "10.0.0.5:8080"] == tables[1]["tool"]["replaykit"]["allow_hosts"]


def test_the_hook_runs(leaking: Path):
    """The hook that the repository offers finds a secret in a file that is named, as the one in the guide does."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "guides" / "secrets.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(re.findall(r"(?ms)^```yaml\n(.*?)^```$", text)[0])["repos"][0]["hooks"]
    fits = [re.search(each["files"], str(leaking)) is not None for each in (*hooks, *shown)]
    ran = replaykit(*hooks[0]["entry"].split()[1:], leaking)

    assert [True, True] == fits
    assert hooks[0]["entry"] == shown[0]["entry"]
    assert 1 == ran.code
