"""The CI examples: well-formed, safe, of one mind with the services, and quoted in the guide as they are."""

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import recipes
import yaml
from conftest import ROOT, environment

GUIDE = ROOT / "docs" / "guides" / "ci.md"
SCHEMAS = {recipes.GITHUB: "vendor.github-workflows", recipes.GITLAB: "vendor.gitlab-ci"}
BLOCKS = recipes.shell_blocks()
MAKE = recipes.CI / "Makefile"
FENCES = {recipes.GITHUB: "yaml", recipes.GITLAB: "yaml", recipes.JENKINS: "groovy", MAKE: "makefile"}


def program(name: str) -> str:
    """Find a program of the environment that runs the tests."""
    found = shutil.which(name, path=environment()["PATH"])
    assert found is not None, f'{name} comes with the extra "dev"'
    return found


def ran(*words: object, text: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program with a text as its input, and return what it printed as one."""
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment(), input=text, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


# --- formats ------------------------------------------------------------------------------------


def checked(path: Path, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the text of a recipe against its schema."""
    copies = [folder / path.name]
    copies[0].write_text(text, encoding="utf-8")
    if path == recipes.GITLAB:  # its schema does not look into what begins with a dot, so look at the jobs made of it
        copies.append(folder / f"merged-{path.name}")
        copies[1].write_text(yaml.safe_dump(recipes.gitlab(text)), encoding="utf-8")
    return ran(sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[path], *copies)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_recipe_has_its_format(tmp_path: Path, path: Path):
    """The workflow of GitHub and the pipeline of GitLab are what their schemas ask for."""
    done = checked(path, path.read_text(encoding="utf-8"), tmp_path)

    assert 0 == done.returncode, done.stdout


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        (recipes.GITHUB, "runs-on:", "runs_on:"),
        (recipes.GITHUB, "timeout-minutes: 20", "timeout-minutes: soon"),
        (recipes.GITLAB, "when: always", "when: allways"),
        (recipes.GITLAB, "paths: [found, reports]", "path: [found, reports]"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_mistake_in_a_recipe_is_noticed(tmp_path: Path, path: Path, right: str, wrong: str):
    """A word that is misspelt in a copy of a recipe is found, so the check above can fail."""
    text = path.read_text(encoding="utf-8")

    assert right in text
    assert 1 == checked(path, text.replace(right, wrong), tmp_path).returncode


def audited(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Let zizmor look at a workflow, without a network; actions may be named by their version."""
    (folder / "zizmor.yml").write_text('rules: {unpinned-uses: {config: {policies: {"*": ref-pin}}}}')
    (folder / "workflow.yml").write_text(text, encoding="utf-8")
    words = ("--offline", "--no-progress", "--persona", "pedantic", "--config", "zizmor.yml", "workflow.yml")
    return ran(program("zizmor"), *words, cwd=folder)


def test_workflow_has_no_faults_that_zizmor_knows(tmp_path: Path):
    """Zizmor finds nothing in the workflow: no rights that are not used, no text that could become a command."""
    done = audited(tmp_path, recipes.GITHUB.read_text(encoding="utf-8"))

    assert 0 == done.returncode, done.stdout


def test_unsafe_workflow_is_noticed(tmp_path: Path):
    """A workflow that puts a branch's name into a command is found, so the check above can fail."""
    unsafe = recipes.GITHUB.read_text(encoding="utf-8").replace("docker compose logs", "echo ${{ github.head_ref }}")
    done = audited(tmp_path, unsafe)

    assert 0 != done.returncode
    assert "template-injection" in done.stdout


# What a declarative pipeline, its stages and their ends may hold; of what there is, what the recipe needs.
SECTIONS = {
    "pipeline": {"agent", "options", "triggers", "environment", "stages", "post"},
    "stage": {"steps", "when", "post"},
    "post": {"always", "success", "failure", "unstable", "cleanup"},
}


def wrong_in(jenkinsfile: bytes) -> list[str]:
    """List what is wrong with a Jenkinsfile: its Groovy and its skeleton. A linter of its own would need a Jenkins."""
    tree = recipes.jenkins_tree(jenkinsfile)
    if tree.has_error:
        return ["it is no Groovy"]
    tops = list(recipes.sections(tree))
    if [name for name, *_ in tops] != ["pipeline"]:
        return ["it is not one pipeline"]
    found = []
    inside = list(recipes.sections(tops[0][2]))
    if not re.search(rb"(?m)^    agent any$", jenkinsfile):
        found.append("no agent")
    found += [f"a pipeline has no {name}" for name, *_ in inside if name not in SECTIONS["pipeline"]]
    stages = [each for name, _, body in inside if name == "stages" for each in recipes.sections(body)]
    if not stages:
        found.append("no stages")
    for name, title, body in stages:
        parts = [part for part, *_ in recipes.sections(body)]
        if name != "stage" or not title:
            found.append(f"{name} {title} among the stages")
        if parts.count("steps") != 1:
            found.append(f"stage {title} has no steps")
        found += [f"a stage has no {part}" for part in parts if part not in SECTIONS["stage"]]
    ends = [each for name, _, body in inside if name == "post" for each, *_ in recipes.sections(body)]
    return found + [f"a post has no {each}" for each in ends if each not in SECTIONS["post"]]


def test_jenkinsfile_is_a_declarative_pipeline():
    """The Jenkinsfile is Groovy, and has the skeleton of a declarative pipeline."""
    assert [] == wrong_in(recipes.JENKINS.read_bytes())


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("stage('Corpus') {", "stage('Corpus')", "it is no Groovy"),
        ("pipeline {", "node {", "it is not one pipeline"),
        ("    agent any\n", "", "no agent"),
        ("    triggers {", "    trigger {", "a pipeline has no trigger"),
        ("stage('Hunt')", "stages('Hunt')", "stages Hunt among the stages"),
        ("            steps {", "            step {", "a stage has no step"),
        ("        always {", "        allways {", "a post has no allways"),
    ],
    ids=lambda each: each.split()[0] if each.split() else "",
)
def test_mistake_in_a_jenkinsfile_is_noticed(right: str, wrong: str, reason: str):
    """A brace that is missing, or a word that is misspelt, is found, so the check above can fail."""
    text = recipes.JENKINS.read_text(encoding="utf-8")

    assert right in text
    assert reason in wrong_in(text.replace(right, wrong).encode())


def test_every_recipe_has_its_shell_blocks():
    """The blocks that the tests below look at are those of all recipes, and of all jobs and stages."""
    assert {"github", "gitlab", "jenkins"} == {name.partition(" ")[0] for name in BLOCKS}
    assert {"Install", "Corpus", "ToyBank", "TravelBooking", "Hunt"} == set(recipes.jenkins())
    assert {"integration", "corpus", "hunt"} == set(recipes.gitlab()) == set(recipes.github()) - {"publish"}


@pytest.mark.parametrize("name", BLOCKS)
def test_shell_block_has_no_faults_that_shellcheck_knows(name: str):
    """Each shell block can be parsed, and shellcheck finds nothing in it; GitHub's shell is bash, the others' is sh."""
    shell = "bash" if name.startswith("github") else "sh"
    parsed = ran(shell, "-n", text=BLOCKS[name])
    variables = "export SERVICE=toybank PORT=4555\n" if "SERVICE" in BLOCKS[name] else ""
    done = ran(program("shellcheck"), "--shell", shell, "-", text=variables + BLOCKS[name])

    assert (0, "") == (parsed.returncode, parsed.stdout)
    assert (0, "") == (done.returncode, done.stdout)


# --- of one mind --------------------------------------------------------------------------------


def options(block: str) -> dict[str, list[str]]:
    """Read the options of the campaign in a shell block: of each, the values that it has."""
    found: dict[str, list[str]] = {}
    words = shlex.split(block)
    for word, value in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            found.setdefault(word, []).append(value)
    return found


def outputs() -> dict[str, dict[str, list[str]]]:
    """List the options of the campaigns in all recipes."""
    found = {name: options(block) for name, block in BLOCKS.items() if "replaykit integration" in block}
    assert len(found) == 2 + 2 + 3
    return found


def kept(name: str) -> tuple[list[str], list[str]]:
    """List what a recipe keeps of a job, and what it reads as JUnit: patterns of paths."""
    recipe, _, job = name.partition(":")[0].partition(" ")
    content: dict[str, Any]
    if recipe == "github":
        steps = recipes.github()[job]["steps"]
        uploads = [step["with"]["path"] for step in steps if "upload-artifact" in step.get("uses", "")]
        [published] = [
            step["with"]["files"] for step in recipes.github()["publish"]["steps"] if "files" in step["with"]
        ]
        return [f"{path}/*" for path in uploads], [published.replace("**/", "*")]
    if recipe == "gitlab":
        content = recipes.gitlab()[job]["artifacts"]
        return [f"{path}/*" for path in content["paths"]], [content["reports"]["junit"]]
    text = recipes.JENKINS.read_text(encoding="utf-8")
    archived, junit = re.search(r"artifacts: '(.*)', allow", text), re.search(r"testResults: '(.*)', allow", text)
    assert archived
    assert junit
    return archived[1].replace("**", "*").split(", "), [junit[1]]


@pytest.mark.parametrize("name", outputs())
def test_what_a_campaign_writes_is_kept(name: str):
    """Each campaign saves its failures, and writes JUnit, where the recipe keeps and reads them."""
    said = outputs()[name]
    [folder], reports = said["--save-failures"], dict(each.split("=") for each in said["--report"])
    archived, read = kept(name)

    assert any(fnmatch.fnmatch(f"{folder}/bug.pd", pattern) for pattern in archived)
    assert any(fnmatch.fnmatch(reports["junit"], pattern) for pattern in read)
    assert all(any(fnmatch.fnmatch(path, pattern) for pattern in archived) for path in reports.values())


@pytest.mark.parametrize("path", FENCES, ids=lambda path: path.name)
def test_guide_quotes_the_recipe(path: Path):
    """The guide shows each recipe as it is."""
    fenced = f"```{FENCES[path]}\n{path.read_text(encoding='utf-8')}```\n"

    assert fenced in GUIDE.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*FENCES, recipes.CI / "README.md"], ids=lambda path: path.name)
def test_recipe_names_no_other_place(path: Path):
    """No recipe has an address in it but that of this machine: where pip looks is the business of its settings."""
    found = re.findall(r"\w+://([^/\s:\"]+)", path.read_text(encoding="utf-8"))

    assert {"127.0.0.1"} >= set(found)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "called"),
    [
        ("test-services-up", ["toybank/docker-compose.test.yml up", "travelbooking/docker-compose.test.yml up"]),
        ("test-services-down", ["toybank/docker-compose.test.yml down", "travelbooking/docker-compose.test.yml down"]),
        ("test-integration", ["test_toybank.sh --runs 100 --local", "test_travelbooking.sh --runs 100 --local"]),
        ("test-hunt", ["test_toybank.sh --hunt 10 --local"]),
        ("test-chaos", ["test_toybank.sh --chaos --local"]),
    ],
)
def test_makefile_calls_what_there_is(tmp_path: Path, target: str, called: list[str]):
    """Each target calls the scripts or Docker Compose, by paths that exist from any folder."""
    done = subprocess.run(
        ["make", "--dry-run", "--file", MAKE, target, "OPTIONS=--local"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    paths = [Path(word) for word in done.stdout.split() if word.startswith("/")]

    assert 0 == done.returncode, done.stderr
    assert all(text in done.stdout for text in called), done.stdout
    assert paths
    assert all(path.exists() for path in paths)
