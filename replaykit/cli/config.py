"""replaykit config."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import click
from click.core import ParameterSource

from replaykit import project
from replaykit.cli import candidates
from replaykit.cli.console import hush, say, without_users
from replaykit.cli.hunting import usual_ends
from replaykit.cli.options import SAID, overruled
from replaykit.cli.page import command
from replaykit.cli.variables import flag_of, options_of, unknown
from replaykit.document import json_text
from replaykit.errors import UsageError
from replaykit.hint import hint

COVERED = "..."  # stands for what may be a secret
REST = {"ignore_unknown_options": True}  # they are those of the command that is asked about

Row = dict[str, Any]  # of an option: its flag, its value, its source and the name of that, whether it counts, else why


@command("config", context_settings=REST)
@click.option(
    "--profile",
    metavar="NAME",
    shell_complete=candidates.profiles,
    help="With this profile.  [default: profile in [tool.replaykit]]",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.argument("words", metavar="[COMMAND [OPTIONS]...]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def config(context: click.Context, /, profile: str | None, words: tuple[str, ...], *, as_json: bool) -> int:
    """Show the value of each option of a command, and where it comes from. Nothing is run.

    The command line goes before variables of the environment, these go before the profile, and this before the
    defaults. COMMAND is integration where none is named; options count as those of its command line. Settings of
    the adapter, and who logs in at a URL, are not shown.
    """
    name, line = ("integration", words) if not words or words[0].startswith("-") else (words[0], words[1:])
    group = context.find_root().command
    command = group.commands.get(name) if isinstance(group, click.Group) else None
    if command is None:
        known = group.commands if isinstance(group, click.Group) else ()
        raise UsageError(f"There is no command {name!r}.", hint(name, known, "`replaykit --help` lists them."))
    if profile is not None and context.get_parameter_source("profile") is ParameterSource.COMMANDLINE:
        line = ("--profile", profile, *line)
    inner = _read(command, context.find_root(), line)
    hush()
    rows = list(_rows(inner, line))
    chosen, file = inner.meta.get("profile"), str(project.root() / "pyproject.toml")
    if as_json:
        document = {"format": 1, "command": name, "profile": chosen, "file": file if chosen else None, "options": rows}
        say(json_text({**document, "unknown": unknown()}))
        return 0
    say(f"replaykit {name}, {f'with the profile {chosen} in {file}' if chosen else 'with no profile'}")
    say("\n".join(_table([(row["option"], _shown(row["value"]), _origin(row)) for row in rows])))
    for warning in unknown():
        say(f"warning: {warning}")
    return 0


def _read(command: click.Command, root: click.Context, line: Iterable[str]) -> click.Context:
    """Read a command line as the command would, but for arguments and options that must be there."""
    asked = copy.copy(command)
    asked.params = [copy.copy(option) for option in options_of(command)]
    for option in asked.params:
        option.required = False
    context = click.Context(asked, info_name=command.name, parent=root, allow_extra_args=True)
    asked.parse_args(context, list(line))
    return context


def _rows(context: click.Context, line: Iterable[str]) -> Iterator[Row]:
    """List the options of a command that was read, with what they are."""
    said, _, _ = context.command.make_parser(context).parse_args(list(line))
    overrules = overruled(context, context.params)
    usual = usual_ends(context, context.params)
    for option in options_of(context.command):
        name = option.name or ""
        if name in {"settings", "latency"}:
            yield from _pairs(context, option, said)
            continue
        source = context.get_parameter_source(name)
        value = means = context.params.get(name)
        if source in {*SAID, ParameterSource.DEFAULT_MAP} and not option.is_flag:
            value, _ = option.consume_value(context, said)  # as it was written
            value = means if option.multiple and isinstance(means, str) else value  # the one of several
        elif isinstance(option.default, str | int | float):
            value = option.default
        value = usual.get(name, value)
        if name == "profile":
            value = context.meta.get("profile")
            if source not in SAID and value is not None:
                yield {"option": "--profile", "value": value, "source": "project", "name": None, "counts": True}
                continue
        yield {
            "option": flag_of(option),
            "value": _without_users(value),
            **_source(context, option, source),
            "counts": not means or name not in overrules,
            **({"why": overrules[name]} if means and name in overrules else {}),
        }


def _pairs(context: click.Context, option: click.Option, said: dict[str, Any]) -> Iterator[Row]:
    """List an option of pairs, each for itself: each may come from somewhere else."""
    name = option.name or ""
    found: dict[str, tuple[Any, ParameterSource]] = {}
    written = (
        (said.get(name, ()), ParameterSource.COMMANDLINE),
        (option.value_from_envvar(context) or (), ParameterSource.ENVIRONMENT),
        ((f"{key}={value}" for key, value in context.meta.get(name, {}).items()), ParameterSource.DEFAULT_MAP),
    )
    for pairs, source in written:
        for pair in reversed([*pairs]):
            key, _, value = pair.partition("=") if name == "settings" else pair.rpartition("=")
            found.setdefault(key.replace("-", "_") if name == "settings" else key, (value, source))
    if not found:
        yield {"option": flag_of(option), "value": None, "source": "default", "name": None, "counts": True}
    for key, (value, source) in sorted(found.items()):
        yield {
            "option": f"{flag_of(option)} {key}",
            "value": COVERED if name == "settings" else value,
            **_source(context, option, source),
            "counts": True,
        }


def _source(context: click.Context, option: click.Option, source: ParameterSource | None) -> Row:
    """Say where a value comes from, and the name that this has."""
    if source is ParameterSource.COMMANDLINE:
        return {"source": "command line", "name": None}
    if source is ParameterSource.ENVIRONMENT:
        return {"source": "environment", "name": option.envvar}
    if source is ParameterSource.DEFAULT_MAP:
        return {"source": "profile", "name": context.meta.get("profile")}
    return {"source": "default", "name": None}


def _without_users(value: Any) -> Any:
    """Cover who logs in at a URL, wherever one stands."""
    if isinstance(value, str):
        return without_users(value, f"{COVERED}@")
    if isinstance(value, list | tuple):
        return [_without_users(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _origin(row: Row) -> str:
    named = f"{row['source']} {row['name']}" if row["name"] else row["source"]
    return named if row["counts"] else f"{named}, does not count: {row['why']}"


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    """Put rows of three texts below each other; what is very wide moves only its own row."""
    first, second = (min(40, max((len(row[place]) for row in rows), default=0)) for place in (0, 1))
    return [f"  {name:<{first}}  {value:<{second}}  {origin}" for name, value, origin in rows]
