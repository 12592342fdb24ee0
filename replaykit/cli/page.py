"""The page: the help of a command, with its options in sections, its examples and its exit codes.

Click groups neither commands nor options in its help. Packages that do so were looked at: rich-click imports rich,
which takes longer to start than all that `replaykit --help` may take; cloup and click-option-group want each option
declared in their own words, where one table (`manual`) does it for all. What is needed of them are these lines.
"""

import shlex
from collections.abc import Callable
from typing import Any

import click

from replaykit.cli import manual
from replaykit.cli.variables import flag_of
from replaykit.version import BUNDLE_FORMAT, __version__

SETTINGS: dict[str, Any] = {  # of the program and of each command, which is also read by itself
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,  # columns
}
COLUMN = 30  # characters, of which click makes a column of names at most
OTHERS = "Others"  # options that stand in no section


def _version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(f"replaykit {__version__} (bundle format {BUNDLE_FORMAT})")
        context.exit()


def version_option(*, hidden: bool) -> click.Option:
    """Make the option that prints the version."""
    return click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, hidden=hidden,
        help="Show the version and exit.",
    )  # fmt: skip


class Command(click.Command):
    """A command whose help has its options in sections, its examples and its exit codes."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """List the parameters; `--version` is understood everywhere, and told in the help of the program."""
        return [*super().get_params(ctx), version_option(hidden=True)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in sections where there are many."""
        records = {
            flag_of(each): record
            for each in self.get_params(ctx)
            if isinstance(each, click.Option) and (record := each.get_help_record(ctx)) is not None
        }
        wide = min(COLUMN, max((len(first) for first, _ in records.values()), default=0))
        sections: dict[str, list[tuple[str, str]]] = {}
        if len(records) > manual.MANY:
            sections = {title: [] for title in manual.SECTIONS}
        for flag, (first, said) in records.items():
            title = (manual.section_of(flag) or OTHERS) if len(records) > manual.MANY else "Options"
            sections.setdefault(title, []).append((f"{first:<{wide}}", said))  # one column over all sections
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes."""
        name = self.name or ""
        write_examples(formatter, manual.ROWS[name].examples)
        write_codes(formatter, "Exit codes", manual.meanings(name))
        super().format_epilog(ctx, formatter)


def write_examples(formatter: click.HelpFormatter, examples: tuple[str, ...]) -> None:
    """Write command lines as they are: who copies one wants it whole."""
    with formatter.section("Examples"):
        for example in examples:
            for line in example.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def write_codes(formatter: click.HelpFormatter, title: str, codes: manual.Codes) -> None:
    """Write what exit codes mean."""
    with formatter.section(title):
        formatter.write_dl([(f"{code:<3}", said) for code, said in codes.items()])


def command(name: str, **more: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command, of which the manual has a row."""
    settings = {**SETTINGS, **more.pop("context_settings", {})}
    return click.command(name, cls=Command, short_help=manual.ROWS[name].short, context_settings=settings, **more)


def words_of(example: str) -> list[str]:
    """Return what an example gives to the program: the words after its name, as a shell parts them."""
    words = shlex.split(example.replace("\\\n", " "))
    after = words[words.index("replaykit") + 1 :]
    return after[: next((place for place, word in enumerate(after) if word in {"<", ">", ">>", "|"}), len(after))]
