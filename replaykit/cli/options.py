"""Options that several commands share, and where their values come from.

The command line goes before the profile, the profile before the defaults. Where the command line says where
the service is (--url, --start, --mock, --offline), what the profile says of it does not count.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from replaykit.cli.console import hush
from replaykit.errors import ProfileError, UsageError

C = TypeVar("C", bound=Callable[..., Any])

KEYS: dict[str, type | tuple[type, ...]] = {  # what a profile may say
    "model": str,
    "adapter": str,
    "url": (str, list),
    "start": str,
    "health": str,
    "health_timeout": (int, float),
    "transport": str,
    "runs": int,
    "commands": int,
    "seed": int,
    "save_failures": str,
    "with_times": bool,
    "stop_on_fail": bool,
    "jobs": int,
    "dask": str,
    "parallel": str,
    "repeat": int,
    "stutter": (int, float),
    "swarm": bool,
    "shrink_executions": int,
    "shrink_time": (int, float),
    "no_shrink": bool,
    "quiet": bool,
    "coverage": str,
    "require_coverage": (list, str, int, float),
    "settings": dict,
    "latency": dict,
}


def _read_profile(context: click.Context, _: click.Parameter, name: str | None) -> str | None:
    if name is None:
        return None
    from replaykit import project

    chosen: dict[str, Any] = {}
    for key, value in project.profile(name).items():
        option = key.replace("-", "_")
        kind = KEYS.get(option)
        if kind is None:
            raise ProfileError(f"The profile {name!r} has an unknown key {key!r}.", f"Known keys: {', '.join(KEYS)}.")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ProfileError(f"The profile {name!r} has {key} = {value!r}, which is of the wrong type.")
        chosen[option] = _as_many(context.command, option, value)
    settings, latency = chosen.pop("settings", {}), chosen.pop("latency", {})
    try:
        _check_endpoints(latency)
    except UsageError as error:
        raise ProfileError(f"The profile {name!r}: {error.happened}", error.todo) from None
    context.meta["latency"] = latency
    context.meta["profile"] = name
    context.meta["settings"] = {key: _as_text(value) for key, value in settings.items()}
    context.default_map = {**(context.default_map or {}), **chosen}
    return name


def _as_many(command: click.Command, option: str, value: Any) -> Any:
    """Return a list where a command takes several of an option, and the first one where it takes one."""
    several = any(each.name == option and getattr(each, "multiple", False) for each in command.params)
    if several:
        return value if isinstance(value, list) else [value]
    return value[0] if isinstance(value, list) and value else value


def _as_text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _read_settings(context: click.Context, _: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    settings = dict(context.meta.get("settings", {}))
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE")
        settings[name.replace("-", "_")] = value
    return settings


def _read_latency(context: click.Context, _: click.Parameter, pairs: tuple[str, ...]) -> dict[str, float]:
    said = {}
    for pair in pairs:
        endpoint, equals, seconds = pair.rpartition("=")
        try:
            said[endpoint] = float(seconds if equals else "")
        except ValueError:
            raise click.BadParameter(f"{pair!r} is not WHERE=SECONDS, as in 'GET /players=0.2'") from None
    _check_endpoints(said)
    return {**{name: each for name, each in context.meta.get("latency", {}).items() if name not in said}, **said}


def _check_endpoints(latency: dict[str, Any]) -> None:
    if latency:
        from replaykit.latency import read_endpoints

        read_endpoints(latency)


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
        click.option("--profile", metavar="NAME", is_eager=True, expose_value=False, callback=_read_profile,
                     help="Take options from [tool.replaykit.profiles.NAME] in pyproject.toml."),
        click.option("--model", metavar="MODULE:CLASS", help="The model: package.module:Class, or file.py:Class."),
        click.option("--adapter", metavar="MODULE:CLASS", help="The adapter."),
        click.option("--url", metavar="URL", help="Base URL of the running service."),
        click.option("--start", metavar="COMMAND",
                     help="Start the service with this command, {port} being a free port, and stop it afterwards."),
        click.option("--health", metavar="URL",
                     help="Health check to wait for: a path, a URL, or none.  [default: {url}/api/health]"),
        click.option("--health-timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                     help="How long to wait until it is healthy.  [default: 30 with --start, else 5]"),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", callback=_read_settings,
                     help="Change a setting of the adapter; may be given several times."),
        click.option("--latency", multiple=True, metavar="WHERE=SECONDS", callback=_read_latency,
                     help="What an endpoint may take, as in 'GET /players=0.2'; may be given several times."),
        click.option("--transport", type=click.Choice(["lean", "httpx"]), default="lean", show_default=True,
                     help="How plain HTTP is sent: over replaykit's own wire, or through httpx's."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def settle(context: click.Context, options: dict[str, Any]) -> None:
    """Let what the command line says of the service go before what the profile says; raise UsageError."""
    places = [name for name in ("url", "start", "mock", "offline") if name in options]
    said = [
        name for name in places if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and options[name]
    ]
    if said:
        for name in places:
            if name not in said:
                options[name] = None
    for alone in ("mock", "offline"):
        if options.get(alone) and (options.get("url") or options.get("start")):
            raise UsageError(f"--{alone} needs no service, and --url or --start names one.", "Leave one of them out.")
    hush()


def is_free_port(options: dict[str, Any]) -> bool:
    """Say whether the service is started on a port that is another one each time."""
    return options.get("url") is None and "{port}" in (options.get("start") or "")


def recorded_or_given(context: click.Context, name: str, recorded: str) -> tuple[str, bool]:
    """Say which model or adapter a bundle is judged with, and whether the user names it.

    What the command line says goes first, then what the bundle was recorded with, where that lies inside the
    project, then what the profile says.
    """
    from replaykit import project

    given: str | None = context.params.get(name)
    on_line = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    if given and (on_line or not project.is_inside(recorded)):
        return given, True
    return recorded, False
