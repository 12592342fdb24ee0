"""Options that several commands share, and where their values come from.

The command line goes before variables of the environment, these before the profile, the profile before the
defaults. Where one of them says where the service is (--url, --start, --mock, --offline), what those after it
say of that does not count.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from replaykit import profile
from replaykit.cli import candidates
from replaykit.cli.console import hush, note
from replaykit.cli.variables import warn
from replaykit.errors import ProfileError, UsageError
from replaykit.rate import MOST_TIMES

if TYPE_CHECKING:
    from replaykit.adapter import Adapter
    from replaykit.bundle import Provenance
    from replaykit.model import Model
    from replaykit.stage import Stage

C = TypeVar("C", bound=Callable[..., Any])

PLACES = ("url", "start", "mock", "offline")  # options that say where the service is
PLAIN = (
    "url", "start", "health", "health_timeout", "reset_url", "reset_command", "reset_restart", "transport", "toxiproxy",
    "proxy_port",
)  # fmt: skip
SAID = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)  # for this call, in the order of their precedence
RESTARTS = ("reset_restart", "restart")  # they need a service that is started here
OTHER_ENDS = {  # what a profile says of the commits of a search does not count with these
    "versions": (("good", "bad", "all_parents"), "--versions names its ends itself"),
    "find_fix": (("good", "bad"), "--find-fix turns the ends round"),
}
WITH_SERVICE = (  # what makes no sense without a service
    "save_failures", "record", "coverage", "require_coverage", "parallel", "reset_url", "reset_command",
)  # fmt: skip


def read_profile(context: click.Context, _: click.Parameter, name: str | None) -> str | None:
    """Let what a profile says be the defaults; without a name, that of the profile that the project names."""
    from replaykit import project

    if name is None:
        name = project.settings_here("profile")
        if name is not None and not isinstance(name, str):
            raise ProfileError(
                f"profile in {project.root() / 'pyproject.toml'} is no name.", 'Write it as profile = "name".'
            )
    if not name:  # "" asks for none
        return None
    said = profile.read(name)
    settings, latency = said.pop("settings", {}), said.pop("latency", {})
    if context.command.name == "bisect":
        said.pop("jobs", None)  # it is how many runs a campaign makes at once
    chosen = {option: _as_many(context.command, option, value) for option, value in said.items()}
    context.meta["latency"] = latency
    context.meta["profile"] = name
    context.meta["settings"] = settings
    context.default_map = {**(context.default_map or {}), **chosen}
    return name


def _as_many(command: click.Command, option: str, value: Any) -> Any:
    """Return a list where a command takes several of an option, and the first one where it takes one."""
    several = any(each.name == option and getattr(each, "multiple", False) for each in command.params)
    if several:
        return value if isinstance(value, list) else [value]
    return value[0] if isinstance(value, list) and value else value


def _with_variable(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> tuple[str, ...]:
    """Put what the environment says before what the command line says: each pair stands for itself."""
    if context.get_parameter_source(parameter.name or "") is not ParameterSource.COMMANDLINE:
        return pairs
    return (*(parameter.value_from_envvar(context) or ()), *pairs)


def _read_settings(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    settings = dict(context.meta.get("settings", {}))
    for pair in _with_variable(context, parameter, pairs):
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE")
        settings[name.replace("-", "_")] = value
    return settings


def _read_reset(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """Read how the service is reset; `none` takes back what the profile says."""
    del context, parameter
    return None if text == "none" else text


def _read_latency(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, float]:
    said = {}
    for pair in _with_variable(context, parameter, pairs):
        endpoint, equals, seconds = pair.rpartition("=")
        try:
            said[endpoint] = float(seconds if equals else "")
        except ValueError:
            raise click.BadParameter(f"{pair!r} is not WHERE=SECONDS, as in 'GET /players=0.2'") from None
    profile.check_endpoints(said)
    return {**{name: each for name, each in context.meta.get("latency", {}).items() if name not in said}, **said}


def one_or_several(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Any:
    """Return the one URL that is named, or several, or None."""
    del context, parameter
    return values if len(values) > 1 else next(iter(values), None)


def let_several_urls(command: click.Command) -> None:
    """Let --url of a command be given several times."""
    [url] = [each for each in command.params if isinstance(each, click.Option) and each.name == "url"]
    url.multiple, url.callback = True, one_or_several
    url.help = "Base URL of the running service; with --jobs one for each."


def service_options(command: C) -> C:
    """Add what says where the service is, and how to speak to it."""
    options = [
        click.option("--profile", metavar="NAME", is_eager=True, expose_value=False, callback=read_profile,
                     shell_complete=candidates.profiles,
                     help="Take options from [tool.replaykit.profiles.NAME] in pyproject.toml.  "
                          "[default: profile in [tool.replaykit] there]"),
        click.option("--model", metavar="MODULE:CLASS", shell_complete=candidates.classes,
                     help="The model: package.module:Class, or file.py:Class."),
        click.option("--adapter", metavar="MODULE:CLASS", shell_complete=candidates.classes, help="The adapter."),
        click.option("--url", metavar="URL", help="Base URL of the running service."),
        click.option("--start", metavar="COMMAND",
                     help="Start the service with this command, {port} being a free port, and stop it afterwards."),
        click.option("--health", metavar="URL",
                     help="Health check to wait for: a path, a URL, or none.  [default: {url}/api/health]"),
        click.option("--health-timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                     help="How long to wait until it is healthy.  [default: 30 with --start, else 5]"),
        click.option("--reset-url", metavar="URL", callback=_read_reset,
                     help="Ask for a clean state before each execution, with POST: a path, a URL, or none."),
        click.option("--reset-command", metavar="COMMAND", callback=_read_reset,
                     help="Run this before each execution, without a shell; {url} and {port} are the service's."),
        click.option("--reset-restart", is_flag=True,
                     help="Start the service anew before each execution; needs --start."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", callback=_read_settings,
                     help="Change a setting of the adapter; may be given several times."),
        click.option("--latency", multiple=True, metavar="WHERE=SECONDS", callback=_read_latency,
                     help="What an endpoint may take, as in 'GET /players=0.2'; may be given several times."),
        click.option("--transport", type=click.Choice(["lean", "httpx"]), default="lean", show_default=True,
                     help="How plain HTTP is sent: over replaykit's own wire, or through httpx's."),
        click.option("--toxiproxy", metavar="URL",
                     help="Do the model's network faults with the Toxiproxy whose API is there.  "
                          "[default: an own proxy]"),
        click.option("--proxy-port", type=click.IntRange(1, 65535), metavar="PORT",
                     help="Where that proxy listens, if it can.  [default: a free port]"),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def read_time(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Read how long something may take, in seconds."""
    del context, parameter
    if text is None:
        return None
    from replaykit.terms import Terms, seconds_in

    try:
        return Terms(max_time=seconds_in(text)).max_time
    except UsageError as error:
        raise click.BadParameter(str(error).replace("\n", " ")) from None


def _read_times(context: click.Context, parameter: click.Parameter, text: str) -> int | None:
    del context, parameter
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MOST_TIMES:
        raise click.BadParameter(f"{text!r} is neither auto nor a number from 1 to {MOST_TIMES}")
    return int(text)


times_option = click.option(
    "--times",
    metavar="N",
    default="auto",
    show_default=True,
    callback=_read_times,
    help="How often to run each; auto: as often as its recorded rate asks for, before it may be called fixed.",
)
order_option = click.option(
    "--order",
    type=click.Choice(["strict", "fifo", "any"]),
    default="strict",
    show_default=True,
    help="Offline: as recorded; first in, first out for each request; or any, with repetitions.",
)
status_option = click.option(
    "--status",
    "only",
    type=click.Choice(["open", "fixed", "wontfix"]),
    multiple=True,
    help="Only bundles of this status; may be given several times.",
)


def settle(context: click.Context, options: dict[str, Any]) -> None:
    """Let what the command line says of the service go before what others say; raise UsageError.

    What does not count is taken out of `options`, and out of the context's parameters.
    """
    for name in overruled(context, options):
        nothing = {tuple: (), bool: False}.get(type(options[name]))
        options[name] = context.params[name] = nothing
    for alone in ("mock", "offline"):
        if options.get(alone) and (options.get("url") or options.get("start")):
            raise UsageError(f"--{alone} needs no service, and --url or --start names one.", "Leave one of them out.")
    hush()
    warn()
    _warn_of_port(options)


def _warn_of_port(options: dict[str, Any]) -> None:
    """Warn of a port for the proxy that somebody else has: it listens at another one then, if one is needed."""
    port = options.get("proxy_port")
    if port is None or options.get("toxiproxy") or options.get("mock") or options.get("offline"):
        return
    import socket

    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind(("127.0.0.1", port))
        except OSError as error:
            note(f"warning: --proxy-port {port} can't be had: {error.strerror}. A proxy will listen at a free port.")


def overruled(context: click.Context, options: dict[str, Any]) -> dict[str, str]:
    """List the options that do not count, since one of higher precedence rules them out, and why."""
    found: dict[str, str] = {}
    for source in SAID:
        said = [name for name in PLACES if options.get(name) and context.get_parameter_source(name) is source]
        if said:
            others = [name for name in PLACES if name not in said]
            others += [name for name in RESTARTS if "start" not in said and _is_below(context, name, source)]
            found = dict.fromkeys(others, "what goes before it says where the service is")
            break
    if options.get("mock"):
        ruled = [name for name in WITH_SERVICE if _is_below(context, name, ParameterSource.COMMANDLINE)]
        found |= dict.fromkeys(ruled, "it is for runs against a service")
    for option, (ends, why) in OTHER_ENDS.items():
        if options.get(option):
            found |= dict.fromkeys(
                [each for each in ends if _is_below(context, each, ParameterSource.ENVIRONMENT)], why
            )
    place = context.get_parameter_source("report")
    if options.get("report") and place is not None and _is_below(context, "report_path", place):
        found["report_path"] = "what goes before it says which reports there are"
    return {name: why for name, why in found.items() if name in options}


def _is_below(context: click.Context, name: str, place: ParameterSource) -> bool:
    """Say whether an option has its value from a place of lower precedence."""
    order = (*SAID, ParameterSource.DEFAULT_MAP, ParameterSource.DEFAULT)
    source = context.get_parameter_source(name)
    return source in order and order.index(source) > order.index(place)


def is_said(context: click.Context, name: str) -> bool:
    """Say whether an option was given for this call: on the command line, or in the environment."""
    return context.get_parameter_source(name) in SAID


def said_here(context: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return what was said of the service for this call, with the keys of a profile."""
    said = {name: options[name] for name in PLAIN if is_said(context, name)}
    for name in ("settings", "latency"):
        usual = context.meta.get(name, {})
        said[name] = {key: value for key, value in options[name].items() if key not in usual or usual[key] != value}
    return said


def staged(context: click.Context, recorded: "Provenance", options: dict[str, Any]) -> "Stage":
    """Return the stage of a bundle: what the options say; where they name no service, that of a profile that fits.

    Raises ProfileError, UsageError.
    """
    from replaykit.reset import Resets
    from replaykit.service import Proxying
    from replaykit.stage import Stage, stage_for

    given = named(context, recorded)
    offline = options.get("offline", False)
    said = Stage(
        model=given.get("model"),
        adapter=given.get("adapter"),
        url=options["url"],
        start=options["start"],
        health=options["health"],
        patience=options["health_timeout"],
        resets=Resets()
        if offline
        else Resets(options["reset_url"], options["reset_command"], options["reset_restart"]),
        settings=options["settings"],
        latency=options["latency"],
        transport=options["transport"],
        proxying=Proxying(options["toxiproxy"], options["proxy_port"]),
    )
    if offline or said.url or said.start:
        return said
    found = stage_for(recorded, said_here(context, options) | given, context.meta.get("profile"))
    if found.url is None and found.start is None:
        return said
    note(f"  The service is that of the profile {found.profile}.")
    return replace(found, model=said.model, adapter=said.adapter)


def named(context: click.Context, recorded: "Provenance") -> dict[str, str]:
    """Say which model and adapter the user names for a bundle, as far as that counts.

    What the command line says goes first, then what the bundle was recorded with, where that lies inside the
    project, then what the environment or the profile says: these speak of all bundles, and one may be another's.
    """
    from replaykit import project

    found: dict[str, str] = {}
    for name in ("model", "adapter"):
        given: str | None = context.params.get(name)
        on_line = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and (on_line or not project.is_inside(getattr(recorded, name))):
            found[name] = given
    return found


def loaded_for(context: click.Context, recorded: "Provenance") -> "tuple[type[Model], type[Adapter[Any]]]":
    """Import the model and the adapter that a bundle is judged with."""
    from replaykit.stage import Stage

    given = named(context, recorded)
    return Stage(model=given.get("model"), adapter=given.get("adapter")).loaded(recorded)
