"""Cover: what is shown of a run while it is fresh, with its secrets covered as they are in a bundle."""

from collections.abc import Iterable

from replaykit import project
from replaykit.interaction import Interaction
from replaykit.redact import Redactor
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.value import JsonText
from replaykit.verdict import Judgment


class Cover:
    """Covers the secrets in what is shown of a run, as they are covered in a bundle."""

    def __init__(self) -> None:
        self._redactor = Redactor(project.policy_here())

    def trace(self, trace: Trace) -> Trace:
        """Cover what stands in a trace."""
        many = self.interactions
        resetting, steps = many(trace.resetting), tuple(map(self.step, trace.steps))
        closing, observed = many(trace.closing), self._said(trace.closing_observations)
        return trace.replace(resetting=resetting, steps=steps, closing=closing, closing_observations=observed)

    def step(self, step: Step) -> Step:
        """Cover what stands in a step."""
        call = self.call(step.call)
        changes = {"interactions": self.interactions(step.interactions), "observing": self.interactions(step.observing)}
        [event, again] = [each and self._said((each,))[0] for each in (step.event, step.again)]
        state = None if step.state is None else self.text(step.state)
        observed = self._said(step.observations)
        return step.replace(call=call, **changes, event=event, again=again, state=state, observations=observed)

    def call(self, call: Call) -> Call:
        """Cover what stands in the arguments of a call."""
        return call.replace(args=self._redactor.arguments(call.args))

    def interactions(self, interactions: Iterable[Interaction]) -> tuple[Interaction, ...]:
        """Cover what stands in requests and answers."""
        return tuple(map(self._redactor.interaction, interactions))

    def text(self, text: JsonText) -> JsonText:
        """Cover what stands in JSON text."""
        return self._redactor.text(text)

    def judged(self, judged: Iterable[Judgment]) -> list[Judgment]:
        """Cover what was said of judgments."""
        return [each._replace(said=self._redactor.message(each.said)) for each in judged]

    def _said(self, said: Iterable[Said]) -> tuple[Said, ...]:
        return tuple(each.replace(data=self.text(each.data)) for each in said)
