"""What `replaykit replay` says of drift, and its option."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from replaykit.cli.console import say
from replaykit.errors import NoiseError, UsageError

if TYPE_CHECKING:
    from replaykit.attempts import Replayed
    from replaykit.bundle import Bundle
    from replaykit.change import Tier

_DEFAULT = "changed,removed,type"
_WORDS = {"1": _DEFAULT, "true": _DEFAULT, "yes": _DEFAULT, "on": _DEFAULT, "0": "", "false": "", "no": "", "off": ""}


class _WithValue(click.Option):
    """An option that may stand alone: what follows it is its value only where it looks like tiers."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        option = parser._long_opt["--fail-on-drift"]  # noqa: SLF001  click has no other place for it
        process = option.process

        def alone(value: Any, state: Any) -> None:
            if isinstance(value, str) and (not value.replace(",", "").isalpha() or Path(value).exists()):
                state.rargs.insert(0, value)
                value = _DEFAULT
            process(value, state)

        option.process = alone


def _read_tiers(context: click.Context, parameter: click.Parameter, text: str | None) -> "tuple[Tier, ...]":
    del context, parameter
    said = _WORDS.get((text or "").strip().lower(), text)
    if not said:
        return ()
    from replaykit.gate import tiers_of

    try:
        return tiers_of(said)
    except UsageError as error:
        raise click.BadParameter(f"{error.happened} {error.todo}") from None


drift_option = click.option(
    "--fail-on-drift",
    cls=_WithValue,
    is_flag=False,
    flag_value=_DEFAULT,
    default=None,
    metavar="[=TIERS]",
    callback=_read_tiers,
    help="Exit with 1 where the bug is fixed, but answers differ from the recorded ones: added, changed, removed, "
    "type.  [default tiers: changed,removed,type]",
)


def require_live(context: click.Context, options: dict[str, Any]) -> None:
    """Raise UsageError where drift can't be looked for; NoiseError where the noise rules are not well made.

    Offline, it is not looked for where only the environment asks for it, which means all replays that can.
    """
    if not options["fail_on_drift"]:
        return
    if options["offline"] and context.get_parameter_source("fail_on_drift") is not ParameterSource.COMMANDLINE:
        options["fail_on_drift"] = ()
        return
    if options["offline"]:
        raise UsageError(
            "Offline, the answers are the recorded ones, and there is no drift to find.",
            "Leave out --offline or --fail-on-drift.",
        )
    from replaykit.gate import rules_here

    rules_here()


def say_drift(bundle: "Bundle", replayed: "Replayed", options: dict[str, Any]) -> None:
    """Say in what the answers of a replay differ from the recorded ones, where that was asked for."""
    from replaykit import gate
    from replaykit.project import policy_here
    from replaykit.redact import Redactor

    if replayed.held is None:
        if options["verbose"] and not options["offline"] and not options["fail_on_drift"]:
            _say_that_there_is(bundle, replayed)
        return
    redactor = Redactor(policy_here())  # what is new in an answer was never covered
    for trace in replayed.held.traces:
        redactor.look_at(trace.interactions())
    parts = {
        "drift, what was recorded and what is answered now:": replayed.held.told(redactor.message),
        "noise, what each rule covers:": gate.idle(replayed.held.ruled(), replayed.held.rules),
    }
    for heading, lines in parts.items():
        if lines:
            say("\n".join(f"  {line}" for line in (heading, *lines)))


def _say_that_there_is(bundle: "Bundle", replayed: "Replayed") -> None:
    """Say in a line that there is drift, where nobody asked."""
    from replaykit import gate
    from replaykit.verdict import Verdict

    if replayed.verdict not in {Verdict.FIXED, Verdict.PASSED, Verdict.REPRODUCED}:
        return
    try:
        found = gate.drift_of(bundle.trace, replayed.trace)
    except NoiseError as error:
        say(f"  drift was not looked for: {error.happened}")
        return
    if found.drifts:
        say(f"  {gate.reason(found.drifts)}: --fail-on-drift")
