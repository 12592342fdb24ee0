"""The roster: the commands of the program, each imported when it is asked for."""

import importlib
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

import click

from replaykit.cli import manual
from replaykit.cli.page import version_option, write_codes, write_examples
from replaykit.cli.variables import attach

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Roster(MutableMapping[str, click.Command]):
    """The commands by their names; one is imported when it is looked up."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = manual.ROWS[name].place.partition(":")
            command: click.Command = getattr(importlib.import_module(f"replaykit.cli.{module}"), attribute)
            attach(command)
            self._loaded[name] = command
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(manual.ROWS)

    def __len__(self) -> int:
        return len(manual.ROWS)

    def __contains__(self, name: object) -> bool:
        return name in manual.ROWS

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise TypeError(f"{name} needs a row in the manual")

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name} stands in the manual")


class Program(click.Group):
    """The program: its commands, in groups."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """List the options of the program itself."""
        return [version_option(hidden=False), *super().get_params(ctx)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read a command line; `help COMMAND` is another way to say `COMMAND --help`."""
        if args[:1] == ["help"]:
            args = [*args[1:2], "--help"]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, the commands in groups, and the options."""
        write_examples(formatter, manual.FIRST)
        wide = max(map(len, manual.ROWS))
        for title, rows in manual.GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{wide}}", row.short) for name, row in rows.items()])
        click.Command.format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what holds for all commands."""
        del ctx
        write_codes(formatter, "Exit codes, the same for all commands", manual.OVERALL)
        formatter.write_paragraph()
        formatter.write_text(manual.LAST)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        """List what a shell may complete: no command is imported for its name."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=row.short) for name, row in manual.ROWS.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]
