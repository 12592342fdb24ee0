"""Variables of the environment: each option of each command has one, REPLAYKIT_RUNS for --runs.

The command line goes before them, and they go before the profile. An empty one counts as none.
"""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource
from click.types import StringParamType

from replaykit.cli.console import note
from replaykit.hint import hint, meant

PREFIX = "REPLAYKIT_"
OTHERS = ("REPLAYKIT_SECRET_",)  # beginnings of variables that are no options

_commands: list[Mapping[str, click.Command]] = []  # those of the program


class Words(StringParamType):
    """Texts of an option that may be repeated; in a variable they are parted and quoted as in a shell."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """Part the value of a variable."""
        try:
            return shlex.split(rv)
        except ValueError as error:
            raise click.BadParameter(f"{rv!r} is not quoted as in a shell: {error}") from None


class Choice(click.Choice[str]):
    """One of some words; one that is mistyped is answered with the one that is meant."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Say what there is to choose from."""
        said = super().get_invalid_choice_message(value=value, ctx=ctx)
        return f"{said.rstrip('.')}. {hint(str(value), self.choices)}".rstrip()


def attach(command: click.Command) -> None:
    """Give each option of a command its variable."""
    for option in options_of(command):
        option.envvar = variable_of(option)
        if option.multiple and isinstance(option.type, StringParamType):
            option.type = Words()
    for parameter in command.params:
        if type(parameter.type) is click.Choice:
            parameter.type = Choice(parameter.type.choices)


def count(commands: Mapping[str, click.Command]) -> None:
    """Say which commands there are; they are looked at where a variable asks for it."""
    _commands[:] = [commands]


def known() -> set[str]:
    """List the variables of all options of all commands."""
    return {variable_of(option) for each in _commands for command in each.values() for option in options_of(command)}


def _ours() -> list[str]:
    """List the variables that are set and look like ours, which are few or none."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and not name.startswith(OTHERS))


def options_of(command: click.Command) -> Iterator[click.Option]:
    """List the options of a command, without those that only print something."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and flag_of(parameter) not in {"--help", "--version"}:
            yield parameter


def flag_of(option: click.Option) -> str:
    """Return the long name of an option: --runs."""
    return max(option.opts, key=len)


def variable_of(option: click.Option) -> str:
    """Return the name of an option's variable: REPLAYKIT_RUNS."""
    return PREFIX + flag_of(option).lstrip("-").replace("-", "_").upper()


def given() -> list[str]:
    """List the variables of options that are set."""
    ours = [name for name in _ours() if os.environ[name]]
    return [name for name in ours if name in known()] if ours else []


def forget() -> None:
    """Take the variables of options out of this process: what follows is to be as it is told, for everybody."""
    for name in given():
        del os.environ[name]


def to_blame(error: click.UsageError) -> str:
    """Say which variable a wrong value comes from; nothing where it comes from elsewhere."""
    context = error.ctx
    option = error.param if isinstance(error, click.BadParameter) else None
    if context is None or not isinstance(option, click.Option) or not isinstance(option.envvar, str):
        return ""
    source = context.get_parameter_source(option.name or "")
    is_there = bool(os.environ.get(option.envvar))
    if source is ParameterSource.ENVIRONMENT or (source is None and is_there):
        return f"The value comes from the environment: {option.envvar}."
    if source is ParameterSource.DEFAULT_MAP:
        return f"The value comes from the profile {context.meta.get('profile')!r}."
    return ""


def unknown() -> list[str]:
    """Say of variables that look like ours that they are those of no option, and which one is meant perhaps."""
    ours, said = _ours(), []
    options = known() if ours else set()
    for name in ours:
        if name in options:
            continue
        names = sorted(each.removeprefix(PREFIX) for each in options)
        near = meant(name.removeprefix(PREFIX), names)
        said.append(f"{name} is the variable of no option{f'; {PREFIX}{near} is' if near else ''}.")
    return said


def warn() -> None:
    """Warn of variables that look like ours, and are those of no option, and of settings that nobody reads."""
    for said in unknown():
        note(f"warning: {said}")
    from replaykit import project

    for said in project.unknown_settings():
        note(f"warning: {said}")
