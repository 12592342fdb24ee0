"""replaykit scan."""

from pathlib import Path
from typing import TYPE_CHECKING

from replaykit.cli import candidates
from replaykit.cli.console import answer, complain, conclude, diverted, json_option, say, unread_for
from replaykit.cli.page import command
from replaykit.errors import ReplaykitError

if TYPE_CHECKING:
    from replaykit.answer import Scan, Unread
    from replaykit.scan import Hit


@command("scan")
@candidates.several("paths", "PATH...")
@json_option
def scan(paths: tuple[Path, ...], *, as_json: bool) -> int:
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

    write = diverted() if as_json else None
    policy = project.policy_here()
    codes, files, hits = [OK], 0, 0
    found: list[tuple[Path, Hit]] = []
    unread: list[tuple[Path, Unread]] = []
    for path in files_in(paths):
        files += 1
        try:
            there = look(path, policy)
        except ReplaykitError as error:
            codes.append(exit_code(error))
            complain(error.slug, error.happened, error.todo, codes[-1])
            unread.append((path, unread_for(error, codes[-1])))
            continue
        hits += len(there)
        found += [(path, each) for each in there]
        for each in there:
            say(f"{path}:{each.line}: {each.label} ({count(each.size, 'character')})")
    code = worst([*codes, FOUND if hits else OK])
    said = f"{count(hits, 'value')} that may be secret in {count(files, 'file')}"
    conclude("found" if hits else "clean" if code == OK else "not judged", said, code)
    answer(write, lambda: _scanned(code, files, found, unread))
    return code


def _scanned(code: int, files: int, found: "list[tuple[Path, Hit]]", unread: "list[tuple[Path, Unread]]") -> "Scan":
    from replaykit.answer import Scan, Suspect, Unscanned

    return Scan(
        exit_code=code,
        files=files - len(unread),
        found=tuple(Suspect(file=str(path), line=hit.line, label=hit.label, size=hit.size) for path, hit in found),
        unread=tuple(Unscanned(file=str(path), unread=why) for path, why in unread),
    )
