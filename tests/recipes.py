"""The shell commands of the CI examples, taken out of their files."""

from collections.abc import Iterator
from typing import Any

import tree_sitter
import tree_sitter_groovy
import yaml
from conftest import ROOT

CI = ROOT / "examples" / "ci"
GITHUB, GITLAB, JENKINS = CI / "github-actions.yml", CI / "gitlab-ci.yml", CI / "Jenkinsfile"
NOT_JOBS = ("stages", "default", "variables", "workflow", "include")  # top-level keys of GitLab's


def github() -> dict[str, dict[str, Any]]:
    """Read the jobs of the GitHub workflow."""
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(GITHUB.read_text(encoding="utf-8"))["jobs"]
    return jobs


def gitlab(text: str | None = None) -> dict[str, dict[str, Any]]:
    """Read the jobs of GitLab's pipeline, or of another text; what a job extends is merged into it, as GitLab does."""
    document = yaml.safe_load(GITLAB.read_text(encoding="utf-8") if text is None else text)
    jobs = {name: job for name, job in document.items() if name not in NOT_JOBS}
    merged = {name: {**jobs.get(job.get("extends", ""), {}), **job} for name, job in jobs.items()}
    return {name: job for name, job in merged.items() if not name.startswith(".")}


def jenkins_tree(text: bytes) -> tree_sitter.Node:
    """Parse a Jenkinsfile as what it is, Groovy."""
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_groovy.language())).parse(text).root_node


def sections(node: tree_sitter.Node) -> Iterator[tuple[str, str, tree_sitter.Node]]:
    """List the blocks just below a node, `name { }` and `name('argument') { }`: name, argument, the block."""
    for child in node.named_children:
        body = child.child_by_field_name("body") if child.type == "method_invocation" else None
        if body is None:
            yield from sections(child)
            continue
        name, given = child.child_by_field_name("name"), child.child_by_field_name("arguments")
        assert name is not None
        yield text_of(name), "" if given is None else text_of(given).strip("()'\""), body


def text_of(node: tree_sitter.Node) -> str:
    """Return the text of a node."""
    return (node.text or b"").decode("utf-8")


def said(node: tree_sitter.Node, step: str) -> Iterator[str]:
    """List what a step, for instance `sh`, is given as its text anywhere below a node, as Groovy reads it."""
    for child in node.named_children:
        name, given = child.child_by_field_name("name"), child.child_by_field_name("args")
        if child.type == "juxt_function_call" and name is not None and text_of(name) == step and given is not None:
            literal = text_of(given)
            yield literal.strip("'").replace("\\\n", "")  # a line that ends in a backslash goes on in the next
        yield from said(child, step)


def jenkins() -> dict[str, list[str]]:
    """Read the stages of the Jenkinsfile: the shell commands of each."""
    [(_, _, pipeline)] = sections(jenkins_tree(JENKINS.read_bytes()))
    [stages] = [body for name, _, body in sections(pipeline) if name == "stages"]
    return {title: list(said(body, "sh")) for name, title, body in sections(stages) if name == "stage"}


def shell_blocks() -> dict[str, str]:
    """List all shell blocks of all recipes, by where they are."""
    found = {}
    for job, content in github().items():
        for step in content["steps"]:
            if "run" in step:
                found[f"github {job}: {step['name']}"] = step["run"]
    for job, content in gitlab().items():
        for key in ("before_script", "script", "after_script"):
            for number, line in enumerate(content.get(key, [])):
                found[f"gitlab {job}: {key} {number}"] = line
    for stage, blocks in jenkins().items():
        for number, block in enumerate(blocks):
            found[f"jenkins {stage}: {number}"] = block
    return found
