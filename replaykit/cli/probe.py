"""replaykit probe."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaykit.cli import candidates
from replaykit.cli.building import build_options, recipe_of
from replaykit.cli.console import complain, conclude, diverted, json_option, note, say
from replaykit.cli.options import loaded_for, service_options, settle, staged, times_option
from replaykit.cli.page import command
from replaykit.cli.replay import announce, conclude_replay, say_replay
from replaykit.errors import ReplaykitError, StaleError, UnbuildableError, UnreachableError

if TYPE_CHECKING:
    from replaykit.bundle import Bundle
    from replaykit.redact import Redactor
    from replaykit.ruling import Ruling


@command("probe")
@click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@service_options
@build_options
@times_option
@json_option
@click.pass_context
def probe(context: click.Context, /, bundle: Path, **options: Any) -> int:
    """Build and start what lies in the current folder, replay a saved bug, and stop it again.

    It judges as `replaykit bisect` does at each commit, and is meant for git's own bisect. Commands come from the
    command line or from a profile, never from the bundle. Keep the bundle, the model and the adapter outside of the
    tree.
    """
    settle(context, options)
    write = diverted() if options["as_json"] else None
    from replaykit.bundle import require_whole
    from replaykit.reader import read
    from replaykit.ruling import Rulings, render

    loaded = read(bundle)
    require_whole(loaded, str(bundle))
    outcome = _probed(context, bundle, loaded, options)
    if write is not None:
        with contextlib.suppress(OSError):  # a reader that is gone: the exit code still says the verdict
            write(render(Rulings(expect="fixed", exit_code=outcome.exit_code, replays=(outcome,))))
    return outcome.exit_code


def _probed(context: click.Context, path: Path, bundle: "Bundle", options: dict[str, Any]) -> "Ruling":
    """Probe the current folder, and say what it came to."""
    from replaykit.axis import Point
    from replaykit.environments import Environments
    from replaykit.probing import Here, Prober
    from replaykit.project import policy_here
    from replaykit.redact import Redactor

    provenance, redactor = bundle.provenance, Redactor(policy_here())
    model, adapter = loaded_for(context, provenance)
    recipe = recipe_of(context, staged(context, provenance, options), options)
    with Environments() as environments:
        environments.sweep()
        prober = Prober(bundle, model, adapter, recipe, Here(), environments)
        announce(path, bundle, model)
        try:
            with prober.visit(Point(id="here", name="the current folder")) as visit:
                shadow = visit.shadow()
                replayed = visit.judged(options["times"])
                log = visit.running.log()
        except (UnbuildableError, UnreachableError, StaleError) as error:
            return _unjudged(path, bundle, error, redactor)
        if shadow is not None:
            note(f"warning: {shadow}")
    log = say_replay(bundle, replayed, log)
    from replaykit import ruling

    return conclude_replay(replayed, ruling.ruling(str(path), replayed, redactor, expect="fixed", log=log))


def _unjudged(path: Path, bundle: "Bundle", error: ReplaykitError, redactor: "Redactor") -> "Ruling":
    """Say why it can't be judged here."""
    from replaykit import ruling
    from replaykit.verdict import NOT_JUDGED, Verdict

    if isinstance(error, UnbuildableError):
        complain(error.slug, error.happened, error.todo, NOT_JUDGED)
        return ruling.unjudged(str(path), bundle, Verdict.UNREACHABLE, error.happened, redactor, log=error.log)
    word = Verdict.STALE if isinstance(error, StaleError) else Verdict.UNREACHABLE
    say("\n".join(f"  {line}" for line in str(error).splitlines()))
    log = error.log if isinstance(error, UnreachableError) else ""
    ruled = ruling.unjudged(str(path), bundle, word, error.happened, redactor, log=log)
    conclude(ruled.verdict, error.happened, ruled.exit_code)
    return ruled
