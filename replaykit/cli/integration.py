"""replaykit integration."""

import re
import shlex
from typing import TYPE_CHECKING, Any

import click

from replaykit import project
from replaykit.cli.console import conclude, note, program, say, show, warn_of_size, without_users
from replaykit.cli.hunting import hunt_options, limits, tell_how_to_go_on
from replaykit.cli.options import is_said, let_several_urls, service_options, settle
from replaykit.cli.page import command
from replaykit.cli.reports import raise_first, report_options, reported, tell
from replaykit.document import Document
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.generate import Parallel
    from replaykit.result import Result
    from replaykit.shrink import Budget


def _read_parallel(context: click.Context, parameter: click.Parameter, text: str | None) -> "Parallel | None":
    del context, parameter
    if text is None:
        return None
    from replaykit.generate import Parallel

    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not BRANCHESxLENGTH, as 3x3")
    parallel = Parallel(int(found[1]), int(found[2]))
    trouble = parallel.trouble
    if trouble is not None:
        raise click.BadParameter(trouble)
    return parallel


@command("integration")
@service_options
@click.option("--mock", is_flag=True, help="Run the model against itself, without adapter and service.")
@click.option("--runs", type=click.IntRange(min=1), default=100, show_default=True, help="Number of sequences to run.")
@click.option(
    "--commands", type=click.IntRange(min=1), default=50, show_default=True, help="Commands per sequence, at most."
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the whole campaign.  [default: drawn, and printed]")
@hunt_options
@click.option(
    "--save-failures",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Save each new failure in this folder, as a bundle.",
)
@click.option(
    "--record", metavar="DIR", type=click.Path(file_okay=False), help="Save each run that passes in this folder."
)
@click.option("--restart", is_flag=True, help="Start the service again where it dies, and go on; needs --start.")
@click.option("--with-times", is_flag=True, help="Save bundles with times, dates, request ids and the port.")
@click.option("--stop-on-fail", is_flag=True, help="Stop after the first failure.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Make the runs in so many processes, each with a service of its own (--start, or a --url for each).  "
    "[default: 1, or as many as there are URLs]",
)
@click.option("--dask", metavar="ADDRESS", help="Make the runs on the workers of a Dask cluster: tcp://HOST:8786.")
@click.option("--swarm", is_flag=True, help="Leave a random part of the commands out of each sequence.")
@click.option(
    "--parallel",
    metavar="BRANCHESxLENGTH",
    callback=_read_parallel,
    help="End each sequence in branches of so many commands that are sent at the same time, as 3x3: finds races.",
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="With --parallel, how often each sequence is run.",
)
@click.option(
    "--stutter",
    type=click.FloatRange(0, 1),
    default=0,
    metavar="PROBABILITY",
    help="How often an idempotent command is sent again, as a client's retry: at once, later, or at the same time.",
)
@click.option(
    "--shrink-executions",
    type=click.IntRange(min=1),
    metavar="N",
    help="Runs in which one failure may be shrunk.  [default: 500; with --parallel 2,000]",
)
@click.option(
    "--shrink-time",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long one failure may be shrunk.  [default: 60]",
)
@click.option("--no-shrink", is_flag=True, help="Save failures as they are.")
@click.option(
    "--coverage",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write what was exercised to this file, as JSON; - prints it.",
)
@click.option(
    "--require-coverage",
    metavar="PERCENT",
    multiple=True,
    help="Exit with 125 where less was exercised: 100 of commands and checks, or outcomes=90; may be given several "
    "times.",
)
@report_options
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def integration(context: click.Context, /, **options: Any) -> int:
    """Test a live service against a model with random sequences of commands.

    Each new failure is saved first, then shrunk to the simplest sequence that fails in the same way.
    """
    settle(context, options)
    for name in ("model",) if options["mock"] else ("model", "adapter"):
        if not options[name]:
            raise UsageError(f"No {name} is named.", f"Name it with --{name} MODULE:CLASS, or in a profile.")
    from replaykit import integration as campaign
    from replaykit.adapter import Adapter, Mock, read_settings
    from replaykit.cli.progress import Noting, Progress, Writing
    from replaykit.coverage import requirements
    from replaykit.model import Model
    from replaykit.report import terminal
    from replaykit.report.steps import word
    from replaykit.watcher import Several

    reports = context.with_resource(reported(options, lambda path: replay_command(path, context)))
    model = project.load(options["model"], Model)
    adapter = Mock if options["mock"] else project.load(options["adapter"], Adapter)
    if adapter is not Mock:
        read_settings(adapter, options["settings"])  # wrong ones are told before anything is started
    required = requirements(options["require_coverage"] or ())
    written = Document(options["coverage"])
    if (options["save_failures"] or options["record"]) and not project.policy_here().enabled:
        note("Redaction is off ([tool.replaykit.redact] in pyproject.toml): bundles will hold all secrets as they are.")
    ends = limits(context, options)
    progress = Progress(quiet=options["quiet"], bugs=options["hunt"], seconds=options["time"])
    result = campaign.run(
        model=model,
        adapter=adapter,
        base_url=options["url"],
        start=options["start"],
        health_check=options["health"] or "{url}/api/health",
        health_timeout=options["health_timeout"],
        **ends,
        reset_url=options["reset_url"],
        reset_command=options["reset_command"],
        reset_restart=options["reset_restart"],
        restart=options["restart"],
        record=options["record"],
        max_commands=options["commands"],
        seed=options["seed"],
        save_failures=options["save_failures"],
        stop_on_fail=options["stop_on_fail"],
        jobs=options["jobs"],
        dask=options["dask"],
        swarm=options["swarm"],
        settings=options["settings"],
        latency=options["latency"],
        transport=options["transport"],
        toxiproxy=options["toxiproxy"],
        proxy_port=options["proxy_port"],
        budget=_budget(options),
        parallel=options["parallel"],
        repeat=options["repeat"],
        stutter=options["stutter"],
        watcher=Several(Noting(), progress, Writing(written), reports),  # a note goes before the live lines
        names=(project.portable(options["model"]), project.portable(options["adapter"] or "mock")),
        require_coverage=required,
        with_times=options["with_times"],
    )
    found = terminal.render(result, lambda path: replay_command(str(path), context))
    if found:
        show(found)
        say()
    for finding in result.failures:
        if finding.path is not None:
            warn_of_size(finding.path)
    say(terminal.summary(result))
    tell_how_to_go_on(result, options["save_failures"])
    _say_coverage(result, written)
    code = result.exit_code
    if result.interrupted is not None:
        code = 128 + getattr(result.interrupted, "signal_number", 2)
    tell(reports)
    conclude(word(code, died=bool(result.died)), terminal.verdict(result), code)
    raise_first(reports.troubles)
    return code


let_several_urls(integration)


def _say_coverage(result: "Result", written: Document) -> None:
    from replaykit.report import coverage

    shown = coverage.render(result.coverage)
    if shown:
        say(shown)
    if written.name == "-":
        say(coverage.document(result, indent=None))
    if written.trouble is not None:
        raise written.trouble


def _budget(options: dict[str, Any]) -> "Budget":
    from replaykit.shrink import Budget

    usual = Budget.for_races() if options["parallel"] else Budget()
    return Budget(
        executions=0 if options["no_shrink"] else options["shrink_executions"] or usual.executions,
        seconds=options["shrink_time"] or usual.seconds,
    )


def replay_command(path: str, context: click.Context) -> str:
    """Write the command that replays a bundle against the same service: what was said of it for this call.

    What the environment says is written out: who copies the line may have another one. Who logs in at a URL is left
    out, as values of settings are: logs are kept.
    """
    words = [program(), "replay", shlex.quote(path)]
    for name in (
        "profile", "model", "adapter", "start", "url", "health", "reset_url", "reset_command", "transport", "toxiproxy"
    ):  # fmt: skip
        value = context.meta.get("profile") if name == "profile" else context.params.get(name)
        value = value[0] if name == "url" and isinstance(value, tuple) else value
        if is_said(context, name) and value and not (name in {"model", "adapter"} and project.is_inside(value)):
            words += [f"--{name.replace('_', '-')}", _quoted(without_users(value))]
    timeout = context.params["health_timeout"]
    if is_said(context, "health_timeout") and timeout is not None:
        words += ["--health-timeout", f"{timeout:g}"]
    if context.params["reset_restart"] and is_said(context, "reset_restart"):
        words.append("--reset-restart")
    for name in context.params["settings"]:
        if name not in context.meta.get("settings", {}):
            words += ["--set", f"{name}=..."]
    for name, seconds in context.params["latency"].items():
        if name not in context.meta.get("latency", {}) or context.meta["latency"][name] != seconds:
            words += ["--latency", _quoted(f"{name}={seconds:g}")]
    return " ".join(words)


def _quoted(text: str) -> str:
    if shlex.quote(text) == text:
        return text
    return f'"{text}"' if text.isprintable() and not set(text) & set('"$`\\!') else shlex.quote(text)
