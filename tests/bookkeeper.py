"""The model and the adapter of the ledger in histories.py, as a user has them: in a folder of their own."""

from typing import Annotated, ClassVar

from replaykit import Adapter, Command, Event, Model, Observation, check, expects, gen, handles, observes, on, same


class Pay(Command):
    """Pay something in."""

    amount: Annotated[int, gen.integers(0, 9)]


class Paid(Event):
    """What the balance is now."""

    balance: int


class Refused(Event):
    """It was not taken."""

    status: int


class Entries(Observation):
    """All that was paid in."""

    amounts: list[int]


class Ledger(Model):
    """What was paid in, one after the other."""

    commands: ClassVar = (Pay,)
    amounts: list[int] = []  # noqa: RUF012

    @expects
    def pay(self, cmd: Pay) -> Paid:
        """Predict the balance."""
        return Paid(balance=sum(self.amounts) + cmd.amount)

    @on
    def paid(self, event: Paid) -> None:
        """Write it down."""
        self.amounts.append(event.balance - sum(self.amounts))

    @check
    def entries_match(self, entries: Entries) -> None:
        """Compare the entries."""
        same(entries.amounts, self.amounts)


class LedgerApi(Adapter[Ledger]):
    """Says it over HTTP."""

    def reset(self) -> None:
        """Start with an empty ledger."""
        self.http.post("/reset").raise_for_status()

    @handles
    def pay(self, cmd: Pay) -> Paid | Refused:
        """Pay."""
        answer = self.http.post("/entries", json={"amount": cmd.amount})
        return Refused(status=answer.status_code) if answer.is_error else Paid(balance=answer.json()["balance"])

    @observes
    def entries(self) -> Entries:
        """Read the entries."""
        return Entries(amounts=self.http.get("/entries").json())
