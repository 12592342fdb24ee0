"""replaykit scan."""

from pathlib import Path

import click

from replaykit.cli import candidates
from replaykit.cli.console import complain, conclude, say
from replaykit.cli.page import command
from replaykit.errors import ReplaykitError


@command("scan")
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    shell_complete=candidates.bundles,
)
def scan(paths: tuple[Path, ...]) -> int:
    """Look for what may be a secret in files, and in the bundles, tickets, YAML, JSON and HAR files of
    folders.

    Each value is told once for a file: the line where it stands first, its name, and how long it is. The rules are
    those by which secrets are covered when a bundle is written; [tool.replaykit.redact] in pyproject.toml changes
    them. What is covered already is not told.
    """
    from replaykit import project
    from replaykit.report.steps import count
    from replaykit.scan import files_in
    from replaykit.scan import scan as look
    from replaykit.verdict import FOUND, OK, exit_code, worst

    policy = project.policy_here()
    codes, files, hits = [OK], 0, 0
    for path in files_in(paths):
        files += 1
        try:
            found = look(path, policy)
        except ReplaykitError as error:
            codes.append(exit_code(error))
            complain(error.slug, error.happened, error.todo, codes[-1])
            continue
        hits += len(found)
        for each in found:
            say(f"{path}:{each.line}: {each.label} ({count(each.size, 'character')})")
    code = worst([*codes, FOUND if hits else OK])
    said = f"{count(hits, 'value')} that may be secret in {count(files, 'file')}"
    conclude("found" if hits else "clean" if code == OK else "not judged", said, code)
    return code
