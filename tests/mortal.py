"""The model and the adapter of the service in dying.py."""

from typing import Annotated, ClassVar

from replaykit import Adapter, Command, Event, Model, expects, gen, handles, on


class Add(Command):
    """Add a number."""

    number: Annotated[int, gen.integers(0, 9)]


class Added(Event):
    """What the total is now."""

    total: int


class Refused(Event):
    """It was not added."""

    status: int


class Tally(Model):
    """A total."""

    commands: ClassVar = (Add,)
    total: int = 0

    @expects
    def add(self, cmd: Add) -> Added:
        """Predict the total."""
        return Added(total=self.total + cmd.number)

    @on
    def added(self, event: Added) -> None:
        """Take the total."""
        self.total = event.total


class TallyApi(Adapter[Tally]):
    """Says it over HTTP."""

    def reset(self) -> None:
        """Start again from nothing."""
        self.http.post("/reset")

    @handles
    def add(self, cmd: Add) -> Added | Refused:
        """Add."""
        answer = self.http.post("/add", json={"number": cmd.number})
        return Refused(status=answer.status_code) if answer.is_error else Added(total=answer.json()["total"])


class Untouched(TallyApi):
    """The same without a reset of its own."""

    def reset(self) -> None:
        """Leave it to others."""
