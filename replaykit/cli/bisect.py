"""replaykit bisect."""

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from replaykit.cli import candidates
from replaykit.cli.building import build_options, hand_of, recipe_of
from replaykit.cli.console import conclude, diverted, draw, json_option, note, program
from replaykit.cli.options import PLAIN, loaded_for, read_time, service_options, settle, staged
from replaykit.cli.page import command
from replaykit.errors import MissingFileError, ReplaykitError, UnwritableError, UsageError

if TYPE_CHECKING:
    from replaykit.blame import Blame
    from replaykit.inquiry import Lane, Place
    from replaykit.memory import Kept
    from replaykit.minutes import Asked as Question
    from replaykit.probing import Recipe
    from replaykit.redact import Redactor
    from replaykit.report.grounds import Asked
    from replaykit.repository import Repository

    Places = Callable[[Kept, Recipe], Lane]

BY_HAND = {*PLAIN, "profile", "model", "adapter", "settings", "latency"} - {"start"}  # options that a replay has too

_OPTIONS = (
    click.option("--good", metavar="REF", help="A commit without the bug; auto looks for one.  [default: auto]"),
    click.option("--bad", metavar="REF", help="A commit with the bug; with --find-fix, auto looks for one.  "
                                              "[default: HEAD]"),
    click.option("--find-fix", is_flag=True, help="Find the commit that mended it: --bad is the older end then, and "
                                                  "--good the newer one, HEAD by default."),
    click.option("--all-parents", is_flag=True,
                 help="Search all commits at once, not first along first parents and then inside of a merge."),
    click.option("--versions", metavar="PACKAGE==OLD..NEW",
                 help="Search the published versions of a Python package, not commits; either end may be left out."),
    click.option("--with", "with_", multiple=True, metavar="REQUIREMENT",
                 help="With --versions: install this too; may be given several times."),
    click.option("--python", metavar="PYTHON", help="With --versions: the Python that they are installed for."),
    click.option("--pre", is_flag=True, help="With --versions: those that are not final too."),
    click.option("--confidence", type=click.FloatRange(0.5, 0.9999), default=0.99, show_default=True, metavar="PART",
                 help="How sure it has to be, if the bug shows only now and then."),
    click.option("--max-replays", type=click.IntRange(min=1), default=2000, show_default=True, metavar="N",
                 help="Attempts that may be made."),
    click.option("--max-time", metavar="TIME", callback=read_time,
                 help="Begin no further attempt after this time: 90, 90s, 10m, 1h30m."),
    click.option("--max-skips", type=click.IntRange(min=1), default=8, show_default=True, metavar="N",
                 help="Commits among those that are left that may turn out not to be testable."),
    click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N",
                 help="Commits that are tried at the same time, each in a checkout of its own."),
    click.option("--isolation", type=click.Choice(["auto", "worktree", "clone"]), default="auto", show_default=True,
                 help="Where commits are checked out: in worktrees of the repository, or in clones."),
    click.option("--resume", is_flag=True,
                 help="Go on with the last bisect that did not come to its end; all else may be left out."),
    json_option,
    click.option("--markdown", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
                 help="Write what it came to into this file too, for a ticket or a pull request."),
    click.option("--quiet", is_flag=True, help="No progress."),
)  # fmt: skip


def bisect_options(command: Any) -> Any:
    """Add what is said of a bisect alone."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@command("bisect")
@click.argument("bundle", required=False, type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@bisect_options
@service_options
@build_options
@click.pass_context
def bisect(context: click.Context, /, bundle: Path | None, **options: Any) -> int:
    """Find the commit that brought a saved bug, or that mended it.

    At each commit that is tried, the service is built and started in a checkout of its own, and the bundle is
    replayed. Your files, your index and your branches are not touched. A commit that can't be built, or fails in
    another way, is left out, and never blamed for it.
    """
    words = _words(context)
    if bundle is None:
        return _resumed(context, options, words)
    settle(context, options)
    _require_writable(options["markdown"])
    write = diverted() if options["as_json"] else None
    from replaykit.project import policy_here
    from replaykit.redact import Redactor
    from replaykit.report import blame_json
    from replaykit.report.grounds import Asked

    redactor = Redactor(policy_here())
    said = [[redactor.command(word) for word in each] for each in words]
    by_hand = [redactor.command(word) for each in _words(context, BY_HAND) for word in each]
    blame = _searched(context, bundle, options, words, redactor)
    if write is not None:
        with contextlib.suppress(OSError):  # a reader that is gone: the exit code still says the verdict
            write(blame_json.render(blame))
    _show(
        blame,
        Asked(
            program=program(),
            words=said,
            resumed=said if said != words else [each for each in said if each[0] == "--versions"],
            raised=_raised(blame, options),
            replay=f"{program()} replay {shlex.join([redactor.command(str(bundle.absolute())), *by_hand])}",
            hand=hand_of(context, options, redactor),
        ),
        options["markdown"],
    )
    return blame.exit_code


def _show(blame: "Blame", asked: "Asked", markdown: Path | None) -> None:
    """Print what it came to, and write it into a file, the verdict last."""
    from replaykit.cli.tracking import sheet_for
    from replaykit.report.blame import render
    from replaykit.report.grounds import conclusion

    draw(render(blame, sheet_for(sys.stdout), asked))
    if markdown is not None:
        from replaykit.report import blame_markdown

        try:
            markdown.write_text(blame_markdown.render(blame, asked), encoding="utf-8")
        except OSError as error:
            note(f"warning: {markdown} can't be written: {error.strerror}.")
    conclude(*conclusion(blame), blame.exit_code)


def _require_writable(path: Path | None) -> None:
    """Raise UnwritableError now for a file that can't be written when all is over."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise UnwritableError(f"{path} can't be written: there is no folder {path.parent}.", "Name another file.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UnwritableError(f"{path} can't be written: it is not allowed.", "Name another file.")


def _raised(blame: "Blame", options: dict[str, Any]) -> list[str] | None:
    """Name the budget that is spent, and twice as much of it; None where none is."""
    from replaykit.terms import spelled

    if blame.spent.attempts >= options["max_replays"]:
        return ["--max-replays", str(2 * options["max_replays"])]
    if options["max_time"] is not None and blame.spent.seconds >= options["max_time"]:
        return ["--max-time", spelled(2 * options["max_time"])]
    return None


# --- what is searched ---------------------------------------------------------------------------


def _searched(
    context: click.Context, path: Path, options: dict[str, Any], words: list[list[str]], redactor: "Redactor"
) -> "Blame":
    """Make a bisect, keep what it came to, and return it, secrets covered."""
    from replaykit import configuration
    from replaykit.blame import covered
    from replaykit.bundle import require_whole
    from replaykit.cli.tracking import Tracking
    from replaykit.inquiry import Inquiry
    from replaykit.minutes import Asked as Question
    from replaykit.plan import Plan
    from replaykit.reader import read_bytes

    with contextlib.ExitStack() as stack:
        place, name, lane = _place(options, stack)
        content = _content(path, name, resume=options["resume"])
        bundle = read_bytes(content, str(path))
        require_whole(bundle, str(path))
        provenance = bundle.provenance
        model, adapter = loaded_for(context, provenance)
        recipe = recipe_of(context, staged(context, provenance, options), options)
        plan = Plan(
            fix=options["find_fix"],
            confidence=options["confidence"],
            most_attempts=options["max_replays"],
            most_seconds=options["max_time"],
            most_skips=options["max_skips"],
        )
        inquiry = Inquiry(bundle, str(path), model, adapter, recipe, place, plan, options["jobs"])
        modules = [sys.modules[each.__module__] for each in (model, adapter)]
        asked = Question(
            axis=place.axis,
            where=place.where,
            bundle=str(path),
            near=place.near,
            far=place.far,
            fix=options["find_fix"],
            configuration=configuration.digest_of({"recipe": recipe.digest}, modules),
            options={
                "words": [word for each in words for word in each],
                "folder": str(Path.cwd()),
                "ends": {name: options[name] for name in ("good", "bad")},
            },
        )
        kept = stack.enter_context(_kept(name, asked, content, resume=options["resume"]))
        tracking = stack.enter_context(Tracking(quiet=options["quiet"], noun=place.axis.removesuffix("s")))
        blame = covered(redactor, inquiry.answered(kept, lane(kept, recipe), tracking))
        _keep(kept, blame, place)
    if blame.outcome == "found" and not blame.fix:
        _write_culprit(path, content, blame)
    return blame


def _place(options: dict[str, Any], stack: contextlib.ExitStack) -> "tuple[Place, str, Places]":
    """Return where the bug is searched, the name of the folder of its bisects, and what makes places to try it."""
    if options["versions"] is not None:
        return _versions(options, stack)
    for name in ("with_", "python", "pre"):
        if options[name]:
            raise UsageError(f"--{name.rstrip('_')} is for versions of a package.", "Add --versions, or leave it out.")
    from replaykit.ancestry import Ancestry
    from replaykit.repository import Repository
    from replaykit.shelf import home
    from replaykit.worktree import Trees, sweep

    repository = Repository.here()
    repository.require_whole()
    near, far = _ends(repository, options)
    sweep(repository, home())

    def lane(kept: "Kept", _: "Recipe") -> "Lane":
        return Trees(repository, kept.trees, options["isolation"], options["keep"] or ()).lane

    return Ancestry(repository, near, far, all_parents=options["all_parents"]), repository.identity(), lane


def _ends(repository: "Repository", options: dict[str, Any]) -> tuple[str, str | None]:
    """Return the newer end, and the older one; None where that is looked for.

    What a bisect that goes on calls as it did then is the commit that it was then.
    """
    new, old = ("good", "bad") if options["find_fix"] else ("bad", "good")
    if options[new] == "auto":
        raise UsageError(f"--{new} is the newer end, and has to be named.", f"Only --{old} can be auto.")
    near, far = "HEAD" if options[new] is None else options[new], options[old]
    begun = _begun(repository.identity()) if options["resume"] else None
    if begun is not None:
        from replaykit import shelf

        then = shelf.asked_in(begun)
        if then.options.get("ends") == {name: options[name] for name in ("good", "bad")}:
            near, far = then.near, then.far
    return repository.resolve(near), None if far in {None, "auto"} else repository.resolve(far)


def _versions(options: dict[str, Any], stack: contextlib.ExitStack) -> "tuple[Place, str, Places]":
    """Return the versions of a package as the place."""
    from replaykit.environments import Environments, home
    from replaykit.releases import Releases, parse

    for name in ("good", "bad", "all_parents"):
        if options[name]:
            raise UsageError(
                f"--{name.replace('_', '-')} is for commits, and --versions names its ends itself.", "Leave one out."
            )
    span = parse(options["versions"])
    releases = Releases(
        span,
        python=options["python"],
        with_=options["with_"],
        pre=options["pre"],
        environments=stack.enter_context(Environments(home())),
    )

    def lane(_: "Kept", recipe: "Recipe") -> "Lane":
        releases.require(recipe.stage.start)
        return releases.lane

    return releases, f"package-{span.package}", lane


# --- what is kept -------------------------------------------------------------------------------


def _begun(name: str) -> Path | None:
    """Return the folder of the bisect that can go on; None where there is none."""
    from replaykit import shelf

    return shelf.unfinished(shelf.place(name))


def _content(path: Path, name: str, *, resume: bool) -> bytes:
    """Return the bytes of the bundle; where it is gone, those that were kept of it when it began."""
    from replaykit.memory import BUNDLE
    from replaykit.reader import content_of

    try:
        return content_of(path)
    except MissingFileError:
        begun = _begun(name) if resume else None
        if begun is None:
            raise
        return content_of(begun / BUNDLE)


def _kept(name: str, asked: "Question", content: bytes, *, resume: bool) -> "Kept":
    """Open the memory of a bisect: a new one, or the one that is gone on with."""
    from replaykit.memory import Kept

    begun = _begun(name)
    if resume and begun is None:
        raise UsageError("There is no bisect to go on with here.", "Begin one, without --resume.")
    if resume and begun is not None:
        return Kept.resume(begun, asked, content)
    if begun is not None:
        note("There is a bisect here that did not come to its end; --resume would go on with it.")
    return Kept.begin(name, asked, content)


def _keep(kept: "Kept", blame: "Blame", place: "Place") -> None:
    """Write down what it came to; where that can't be, it goes on from here with --resume."""
    from replaykit.commit import first_in_log
    from replaykit.report import blame_json

    log = place.log(blame)
    if log is not None and blame.culprit is not None and blame.confirmed:
        log += first_in_log(blame.culprit.id, blame.culprit.subject, fix=blame.fix)
    try:
        kept.put("result.json", blame_json.render(blame))
        if log is not None:
            kept.put("bisect.log", log)
        kept.end(blame.outcome)
    except UnwritableError as error:
        note(f"warning: What it came to is not kept: {error.happened}")


def _write_culprit(path: Path, content: bytes, blame: "Blame") -> None:
    """Write into the bundle who brought its bug, if it is a file that can be written."""
    from replaykit.culprit import blamed, saying

    assert blame.culprit is not None  # noqa: S101  it was found
    change = blame.change
    said = saying(blame.culprit) if change is None else saying(blame.culprit, change.author, change.date)
    try:
        if blamed(path, said, content):
            note(f"The culprit stands in {path} now.")
    except ReplaykitError as error:
        note(f"The culprit is not written into the bundle: {error.happened}")


def _resumed(context: click.Context, options: dict[str, Any], words: list[list[str]]) -> int:
    """Go on with the last bisect as it was asked for, and with what is said now."""
    if not options["resume"]:
        raise click.UsageError("Missing argument 'BUNDLE'.", context)
    from replaykit import shelf
    from replaykit.repository import Repository

    span = options["versions"]
    if span is None:
        name = Repository.here().identity()
    else:
        from replaykit.releases import parse

        name = f"package-{parse(span).package}"
    begun = _begun(name)
    if begun is None:
        raise UsageError("There is no bisect to go on with here.", "Begin one: replaykit bisect BUNDLE ...")
    asked = shelf.asked_in(begun)
    if asked.covered:
        raise UsageError(
            "There was a secret on its command line, which was not kept.", "Give all of it again, with --resume."
        )
    then, folder = asked.options.get("words"), asked.options.get("folder")
    if not isinstance(then, list) or not all(isinstance(each, str) for each in then):
        raise UsageError("Its command line was not kept.", "Give all of it again, with --resume.")
    if folder != str(Path.cwd()):
        raise UsageError(f"It was begun in {folder}, and paths in it may be seen from there.", f"cd {folder}")
    return int(context.obj(["bisect", *map(str, then), *(word for each in words for word in each)]))


# --- what was typed -----------------------------------------------------------------------------


def _words(context: click.Context, names: Collection[str] | None = None) -> list[list[str]]:
    """Write again what was typed on the command line, each option with its value; of all options, or of some."""
    found: list[list[str]] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        value = context.meta.get(name) if name == "profile" else context.params.get(name)
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE or value is None:
            continue
        if names is not None and name not in names:
            continue
        if isinstance(parameter, click.Argument):
            found.append([str(value)])
        elif isinstance(value, bool):
            found += [[parameter.opts[0]]] if value else []
        elif isinstance(value, dict):
            found += [[parameter.opts[0], f"{key}={each}"] for key, each in value.items()]
        elif isinstance(value, tuple):
            found += [[parameter.opts[0], str(each)] for each in value]
        else:
            found.append([parameter.opts[0], str(value)])
    return found
