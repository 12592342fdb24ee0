"""ToyBank while the network fails: what a client does that gets no answer, and what must hold all the same."""

from typing import ClassVar

from examples.toybank.adapter import BankApi
from examples.toybank.model import (
    Account,
    AccountOpened,
    Authorize,
    Authorized,
    Bank,
    Declined,
    Key,
    OpenAccount,
    PageStatement,
    Repeated,
    Retry,
    Void,
    Voided,
)
from replaykit import Command, Like, expects, fault, handles, like, recovers


class AuthorizeOnce(Authorize, weight=3, idempotent=True):
    """Hold money of an account, with a key, so that it can be asked again."""

    key: Key


class ChaosBank(Bank):
    """The same rules, whatever becomes of the answers."""

    commands: ClassVar[tuple[type[Command], ...]] = (
        *(each for each in Bank.commands if each not in {Authorize, PageStatement}),
        AuthorizeOnce,
        fault.Latency,
        fault.Timeout,
        fault.ResetPeer,
        fault.LimitData,
        fault.Slicer,
        fault.Down,
        fault.Duplicated,
        fault.ErrorStatus,
        fault.Truncated,
        fault.Corrupted,
    )

    @expects
    def authorize_once(self, cmd: AuthorizeOnce) -> Like[Authorized] | Declined:
        return self._unavailable(cmd) or like(Authorized, account=cmd.account, amount=cmd.amount)


class ChaosBankApi(BankApi):
    """Payments and authorizations have a key, and are sent again; all else is looked up."""

    @handles
    def authorize_once(self, cmd: AuthorizeOnce) -> Authorized | Declined:
        return self.hold(cmd, cmd.key)

    @recovers
    def opened(self, cmd: OpenAccount) -> AccountOpened | None:
        for row in self.http.get("/api/accounts").json()["accounts"]:
            if row["owner"] == cmd.owner:
                return AccountOpened(account=self.ref(Account, row["id"]), currency=row["currency"])
        return None

    @recovers
    def voided(self, cmd: Void) -> Voided | None:
        row = self.http.get(f"/api/authorizations/{cmd.authorization.id}").json()
        return Voided(authorization=cmd.authorization) if row.get("status") == "voided" else None

    @recovers
    def retried(self, cmd: Retry) -> Repeated | Declined:
        return self.retry(cmd)
