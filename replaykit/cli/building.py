"""Options that say how to come to a running service at a commit."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replaykit.cli.options import is_said
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.probing import Recipe
    from replaykit.redact import Redactor
    from replaykit.report.grounds import Hand
    from replaykit.stage import Stage

C = TypeVar("C", bound=Callable[..., Any])

_SECONDS = click.FloatRange(min=0, min_open=True)
_OPTIONS = (
    click.option(
        "--build",
        metavar="COMMAND",
        help="Run this before the service is started, in the same folder, without a shell.",
    ),
    click.option(
        "--build-timeout",
        type=_SECONDS,
        default=600,
        show_default=True,
        metavar="SECONDS",
        help="How long the build may take, and the setup.",
    ),
    click.option(
        "--setup",
        metavar="COMMAND",
        help="Make an environment in the folder {env}, which is used again; programs in its bin go first.",
    ),
    click.option(
        "--setup-file",
        multiple=True,
        metavar="FILE",
        help="Where this file differs, a lock file for example, the environment is another one; may be given several "
        "times.",
    ),
    click.option(
        "--keep",
        multiple=True,
        metavar="PATH",
        help="A folder in the checkout that is not cleaned between commits; may be given several times.",
    ),
    click.option(
        "--replay-timeout",
        type=_SECONDS,
        default=300,
        show_default=True,
        metavar="SECONDS",
        help="How long all attempts at a commit may take together.",
    ),
)
_OF_CHECKOUTS = ("build", "setup", "setup_file", "keep", "isolation")
_KEYS = ("build", "build_timeout", "setup", "setup_file", "keep", "replay_timeout")  # of a profile


def build_options(command: C) -> C:
    """Add what says how a commit is built, and how long that may take."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def recipe_of(context: click.Context, stage: "Stage", options: dict[str, Any]) -> "Recipe":
    """Return the recipe that the options come to; what they don't say, the profile does that the stage is of.

    Those that are about a checkout are not for versions of a package: where they are typed, that is a mistake, and
    where the profile says them, they are meant for commits. Raises UsageError, ProfileError.
    """
    from replaykit import profile
    from replaykit.probing import Recipe

    said: dict[str, Any] = {name: options.get(name) for name in _KEYS}
    if stage.profile is not None and stage.profile != context.meta.get("profile"):
        found = profile.read(stage.profile)
        said |= {name: found[name] for name in _KEYS if name in found and not is_said(context, name)}
    if options.get("versions") is not None:
        for name in _OF_CHECKOUTS:
            if is_said(context, name):
                raise UsageError(
                    f"--{name.replace('_', '-')} is for commits, and --versions has no checkout.", "Leave one out."
                )
            said[name] = None
    recipe = context.meta["recipe"] = Recipe(
        stage=stage,
        build=said["build"] or None,
        build_timeout=said["build_timeout"],
        setup=said["setup"] or None,
        setup_files=_many(said["setup_file"]),
        keep=_many(said["keep"]),
        replay_timeout=said["replay_timeout"],
    )
    return recipe


def hand_of(context: click.Context, options: dict[str, Any], redactor: "Redactor") -> "Hand":
    """Say how the service of a bisect is come to by hand, once its recipe is made; secrets are covered."""
    from replaykit.report.grounds import Hand
    from replaykit.repository import Repository

    recipe = context.meta["recipe"]
    setup, build, start = (
        None if each is None else redactor.command(each) for each in (recipe.setup, recipe.build, recipe.stage.start)
    )
    if options["versions"] is None:
        return Hand(setup, build, start, str(Repository.here().prefix))
    package = options["versions"].partition("==")[0].strip()
    return Hand(start=start, package=package, beside=options["with_"], python=options["python"] or "python")


def _many(said: Any) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(str(each) for each in said or ())
