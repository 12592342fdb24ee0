"""replaykit lint."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaykit.cli.console import conclude, diverted, draw, hush, say
from replaykit.cli.options import read_profile, read_time
from replaykit.cli.page import command
from replaykit.cli.variables import warn
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.linting import Linted

_STYLES = {"error": "bad", "warning": "skipped", "note": "dim"}
_MOST_SHOWN = 6  # lines of one remark
_RESETS = ("reset_url", "reset_command", "reset_restart")


def _read_codes(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    del context
    from replaykit.linting import unknown_codes

    codes = tuple(code.strip().upper() for each in given for code in each.split(",") if code.strip())
    unknown = unknown_codes(codes)
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)} is no code, and no beginning of one; docs/reference/lint.md lists them",
            param=parameter,
        )
    return codes


@command("lint")
@click.argument("model", metavar="[MODEL]", required=False)
@click.option(
    "--profile",
    metavar="NAME",
    is_eager=True,
    expose_value=False,
    callback=read_profile,
    help="Take model and adapter from [tool.replaykit.profiles.NAME] in pyproject.toml.  "
    "[default: profile in [tool.replaykit] there]",
)
@click.option("--adapter", metavar="MODULE:CLASS", help="The adapter; without one, only the model is looked at.")
@click.option(
    "--runs",
    type=click.IntRange(1, 500),
    default=50,
    show_default=True,
    metavar="N",
    help="How many mock runs are made, of 30 commands each.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The seed of the mock runs.")
@click.option(
    "--select",
    multiple=True,
    metavar="CODES",
    callback=_read_codes,
    help="Only these remarks: codes or their beginnings, as in RK2,RK301.",
)
@click.option("--ignore", multiple=True, metavar="CODES", callback=_read_codes, help="All but these remarks.")
@click.option(
    "--limit",
    metavar="TIME",
    default="5m",
    show_default=True,
    callback=read_time,
    help="End with an error where it takes longer, as where a method loops for ever: 90, 90s, 10m.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_context
def lint(context: click.Context, /, model: str | None, **options: Any) -> int:
    """Say what is wrong or suspicious in a model and its adapter, before any service is asked.

    Commands and values that are never generated, what is never checked, handlers and events that do not meet, values
    outside of their types. Much of that is seen in mock runs, in which the service answers what the model expects, or
    on purpose something else. Nothing is sent anywhere, but the code of both is run.

    MODEL is package.module:Class, or file.py:Class; without it, that of the profile is taken. Each remark has a code,
    which docs/reference/lint.md explains. Notes are told, and are no reason to fail.
    """
    hush()
    warn()
    from replaykit.lint.limit import limited

    write = diverted() if options["as_json"] else None
    with limited(options["limit"]):
        found = _linted(context, model, options)
    code = 0 if found.is_clean else 1
    if write is not None:
        from replaykit.linting import render

        write(render(found) + "\n")
        return code
    _show(found)
    conclude("clean" if code == 0 else "found", _counted(found), code)
    return code


def _linted(context: click.Context, model: str | None, options: dict[str, Any]) -> "Linted":
    from replaykit import project
    from replaykit.adapter import Adapter
    from replaykit.linting import lint as look
    from replaykit.model import Model

    said = context.default_map or {}
    name = model or said.get("model")
    if not name:
        raise UsageError("No model is named.", "Name it: replaykit lint package.module:Class, or --profile NAME.")
    adapter = options["adapter"]
    of_another = model is not None and said.get("model") not in {None, model}
    if of_another and context.get_parameter_source("adapter") is click.core.ParameterSource.DEFAULT_MAP:
        adapter = None  # the profile has it for another model
    kind = project.load(name, Model)
    return look(
        kind,
        None if not adapter else project.load(adapter, Adapter),
        runs=options["runs"],
        seed=options["seed"],
        select=options["select"],
        ignore=options["ignore"],
        has_reset=any(said.get(each) not in {None, False, "none"} for each in _RESETS),
    )


def _show(found: "Linted") -> None:
    for each in found.remarks:
        place = f"{_short(each.file)}:{each.line}" if each.file else each.name
        draw([(f"{place}: {each.code} {each.level}: {each.what}", _STYLES[each.level])])
        for line in each.shown[:_MOST_SHOWN]:
            say(f"    {line}")
        if len(each.shown) > _MOST_SHOWN:
            say(f"    and {len(each.shown) - _MOST_SHOWN} more, in --json")
        say(f"    {each.todo}")


def _short(file: str) -> str:
    """Write a path as it is seen from here, where it lies below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else os.fspath(path)


def _counted(found: "Linted") -> str:
    from replaykit.report.steps import count

    parts = [count(found.count(level), level) for level in ("error", "warning", "note") if found.count(level)]
    ignored = f"; {count(found.ignored, 'remark')} ignored in the code" if found.ignored else ""
    runs = f"{count(found.executions, 'mock run')}, seed {found.seed}"
    return f"{', '.join(parts) or 'nothing'} in {found.model.rpartition(':')[2]} ({runs}){ignored}"
