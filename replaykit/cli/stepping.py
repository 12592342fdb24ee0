"""Stepping: a replay on a terminal that stops before each step, and asks what to do."""

from typing import TYPE_CHECKING

from replaykit.cli.console import say
from replaykit.difference import brief
from replaykit.report import faults, plain, steps
from replaykit.value import loads, text_of

if TYPE_CHECKING:
    from replaykit.cover import Cover
    from replaykit.looking import Stop
    from replaykit.trace import Step, Trace
    from replaykit.value import JsonData, JsonText
    from replaykit.verdict import Judgment

PROMPT = "(step) "
HELP = """\
  Enter, n   send it, and stop before the next one
  s          show the whole state
  r          show the last requests and answers, whole
  c          go on to the end without asking
  q          stop here: there will be no verdict
  ?          show this"""


class Stepper:
    """Shows what comes and what came of it, and asks before each step."""

    def __init__(self, recorded: "Trace", cover: "Cover") -> None:
        self._failure = recorded.failure
        self._names = faults.names_in(recorded)
        self._cover = cover
        self._last: Step | None = None
        self._state: JsonText | None = None
        self._going = False  # on to the end, without asking

    def before(self, stop: "Stop") -> bool:
        """Show what comes next, and ask; say whether to go on."""
        if self._going:
            return True
        for call in stop.calls:
            failed = self._failure is not None and self._failure.step == call.label
            said = "  (failed when recorded)" if failed else ""
            say(f"  next [{call.label:>2}] {steps.call_text(self._cover.call(call))}{said}")
        if not stop.calls:
            say("  next: the checks at the end")
        say(f"       state {brief(self._state_of(stop), 200)}")
        return self._asked(stop)

    def _state_of(self, stop: "Stop") -> "JsonData":
        return loads(self._cover.text(text_of(stop.state)))

    def _asked(self, stop: "Stop") -> bool:
        while True:
            match _answer():
                case "" | "n":
                    return True
                case "c":
                    self._going = True
                    return True
                case "q":
                    return False
                case "s":
                    for line in plain.laid_out(self._state_of(stop), 4):
                        say(line)
                case "r":
                    self._say_requests()
                case "?" | "h" | "help":
                    say(HELP)
                case other:
                    say(f"  {other[:40]!r} is not known here; ? shows what is")

    def _say_requests(self) -> None:
        step = self._last
        if step is None or not (step.interactions or step.observing):
            say("  nothing was sent yet, but for the reset")
            return
        for interaction in (*step.interactions, *step.observing):
            for line in plain.exchange(interaction):
                say(line)

    def after(self, step: "Step", judged: "list[Judgment]") -> None:
        """Show what came of a step."""
        step, judged = self._cover.step(step), self._cover.judged(judged)
        fails = not all(each.holds for each in judged)
        first = self._last is None
        say("\n".join(steps.closely(step, self._state, judged, fails=fails, first=first, names=self._names)))
        self._last, self._state = step, step.state or self._state


def _answer() -> str:
    try:
        return input(PROMPT).strip().lower()
    except EOFError:  # Ctrl-D
        say()
        return "q"
