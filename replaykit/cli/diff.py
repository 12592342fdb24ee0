"""replaykit diff."""

import contextlib
from pathlib import Path

import click

from replaykit.cli import candidates
from replaykit.cli.console import conclude, diverted, hush, json_option, say
from replaykit.cli.page import command


@command("diff")
@click.argument("before", metavar="A", type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@click.argument("after", metavar="B", type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@json_option
@click.option("--all", "whole", is_flag=True, help="Show all places, those that noise rules cover too.")
def diff(before: Path, after: Path, *, as_json: bool, whole: bool) -> int:
    """Say in what two bundles differ: their calls, and what came of those that both have; how they end.

    Calls are the same that have the same label and the same tag. The service's own ids are compared by what they are
    ids of. Where the bundles come from is told, and is no difference. Nothing is run or imported.
    """
    hush()
    write = diverted() if as_json else None
    from replaykit.gate import rules_here
    from replaykit.pair import paired
    from replaykit.project import policy_here
    from replaykit.reader import read
    from replaykit.redact import Redactor
    from replaykit.report import pair as report
    from replaykit.verdict import FOUND, OK

    rules = () if whole else rules_here()
    found = paired(read(before), read(after), (str(before), str(after)), rules)
    code = OK if found.alike else FOUND
    if write is not None:
        with contextlib.suppress(OSError):  # a reader that is gone: the exit code still says the verdict
            write(Redactor(policy_here()).shown(report.as_json(found)))
        return code
    say(report.render(found, whole=whole))
    conclude("alike" if found.alike else "unlike", report.conclusion(found), code)
    return code
