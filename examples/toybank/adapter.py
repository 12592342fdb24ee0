"""How ToyBank is spoken to."""

from typing import Any

from examples.toybank.model import (
    Account,
    AccountOpened,
    Authorization,
    AuthorizationRead,
    Authorize,
    Authorized,
    Balances,
    Bank,
    Capture,
    Captured,
    Credit,
    Debit,
    Declined,
    OpenAccount,
    PageStatement,
    Paid,
    Payment,
    ReadAuthorization,
    ReadStatement,
    Repeated,
    Retry,
    StatementPaged,
    StatementRead,
    Void,
    Voided,
)
from replaykit import Adapter, Ref, handles, observes

MAX_PAGE = 100  # lines: the most that the service takes
MAX_PAGES = 1000  # of a statement, whatever the service says


class BankApi(Adapter[Bank]):
    """ToyBank over HTTP."""

    def reset(self) -> None:
        self.sent: dict[Ref[Payment], tuple[str, dict[str, Any], str]] = {}
        self.http.post("/api/reset").raise_for_status()

    def say(self, path: str, data: dict[str, Any], key: str | None = None) -> dict[str, Any] | Declined:
        """Ask for something; the answer is JSON, or the code that says why not."""
        answer = self.http.post(path, json=data, headers={"Idempotency-Key": key} if key else {})
        said: dict[str, Any] = answer.json()
        return Declined(code=said["error"]["code"]) if answer.is_error else said

    def pay(self, path: str, data: dict[str, Any], key: str) -> dict[str, Any] | Declined:
        """Ask for a payment, and remember it for a retry."""
        said = self.say(path, data, key)
        if not isinstance(said, Declined):
            self.sent[self.ref(Payment, said["payment"])] = path, data, key
        return said

    @handles
    def open(self, cmd: OpenAccount) -> AccountOpened | Declined:
        said = self.say("/api/accounts", {"owner": cmd.owner, "currency": cmd.currency})
        if isinstance(said, Declined):
            return said
        return AccountOpened(account=self.ref(Account, said["id"]), currency=said["currency"])

    @handles
    def move(self, cmd: Credit | Debit) -> Paid | Declined:
        data = {"amount": cmd.amount, "currency": cmd.currency}
        said = self.pay(f"/api/accounts/{cmd.account.id}/{cmd.tag}", data, cmd.key)
        if isinstance(said, Declined):
            return said
        return Paid(
            payment=self.ref(Payment, said["payment"]),
            account=self.ref(Account, said["account"]),
            amount=said["amount"],
        )

    @handles
    def authorize(self, cmd: Authorize) -> Authorized | Declined:
        return self.hold(cmd)

    def hold(self, cmd: Authorize, key: str | None = None) -> Authorized | Declined:
        """Ask for money to be held."""
        data = {"account": cmd.account.id, "amount": cmd.amount, "currency": cmd.currency}
        said = self.say("/api/authorizations", data, key)
        if isinstance(said, Declined):
            return said
        return Authorized(
            authorization=self.ref(Authorization, said["id"]),
            account=self.ref(Account, said["account"]),
            amount=said["amount"],
        )

    @handles
    def capture(self, cmd: Capture) -> Captured | Declined:
        path = f"/api/authorizations/{cmd.authorization.id}/capture"
        said = self.pay(path, {"amount": cmd.amount}, cmd.key)
        if isinstance(said, Declined):
            return said
        return Captured(
            payment=self.ref(Payment, said["payment"]), authorization=cmd.authorization, amount=-said["amount"]
        )

    @handles
    def void(self, cmd: Void) -> Voided | Declined:
        said = self.say(f"/api/authorizations/{cmd.authorization.id}/void", {})
        return said if isinstance(said, Declined) else Voided(authorization=cmd.authorization)

    @handles
    def read_authorization(self, cmd: ReadAuthorization) -> AuthorizationRead | Declined:
        answer = self.http.get(f"/api/authorizations/{cmd.authorization.id}")
        said = answer.json()
        if answer.is_error:
            return Declined(code=said["error"]["code"])
        return AuthorizationRead(
            authorization=self.ref(Authorization, said["id"]),
            amount=said["amount"],
            captured=said["captured"],
            status=said["status"],
        )

    @handles
    def read_statement(self, cmd: ReadStatement) -> StatementRead:
        return StatementRead(account=cmd.account, amounts=self.statement(cmd.account))

    @handles
    def page_statement(self, cmd: PageStatement) -> StatementPaged:
        whole, paged = self.statement(cmd.account), self.statement(cmd.account, cmd.page)
        later = self.statement(cmd.account) if len(paged) > len(whole) else whole  # others may have paid meanwhile
        agree = paged[: len(whole)] == whole and paged == later[: len(paged)]
        return StatementPaged(account=cmd.account, whole=whole, paged=paged, agree=agree)

    def statement(self, account: Ref[Account], page: int = MAX_PAGE) -> list[int]:
        """Read the amounts of all lines of a statement, so many on a page."""
        amounts, after = [], 0
        for _ in range(MAX_PAGES):
            said = self.http.get(f"/api/accounts/{account.id}/statement", params={"limit": page, "after": after}).json()
            amounts += [line["amount"] for line in said["lines"]]
            after = said["next"]
            if after is None:
                break
        return amounts

    @handles
    def retry(self, cmd: Retry) -> Repeated | Declined:
        said = self.say(*self.sent[cmd.payment])
        return said if isinstance(said, Declined) else Repeated(payment=self.ref(Payment, said["payment"]))

    @observes
    def balances(self) -> Balances:
        rows = self.http.get("/api/accounts").json()["accounts"]
        return Balances(
            rows={self.ref(Account, row["id"]): (row["balance"], row["held"], row["available"]) for row in rows}
        )
