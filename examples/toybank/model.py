"""What ToyBank should do."""

from typing import Annotated, ClassVar, Literal

from replaykit import (
    Command,
    Entity,
    Event,
    Like,
    Model,
    Observation,
    Ref,
    check,
    expects,
    gen,
    invariant,
    like,
    on,
    requires,
    same,
)

# Small amounts, so that they meet; sometimes hundreds, and now and then a fortune.
Cents = Annotated[
    int, gen.frequency((10, gen.integers(1, 60)), (9, gen.integers(1, 600)), (1, gen.integers(1, 10_000_000_000)))
]
# Mostly one currency, so that most payments are in that of the account.
Currency = Annotated[str, gen.frequency((6, gen.const("EUR")), (1, gen.const("USD")), (1, gen.const("GBP")))]
Owner = Annotated[str, gen.mint("owner")]
Key = Annotated[str, gen.mint("key")]  # Idempotency-Key: one for each payment
MAX_ACCOUNTS = 4  # in a run: with many accounts, payments seldom meet


# --- what the bank makes ------------------------------------------------------------------------


class Account(Entity):
    """An account, and the lines of its statement."""

    currency: str
    balance: int = 0
    held: int = 0
    lines: list[int] = []

    @property
    def available(self) -> int:
        """What is not held."""
        return self.balance - self.held

    def move(self, amount: int) -> None:
        """Change the balance."""
        self.balance += amount
        self.lines.append(amount)


class Authorization(Entity):
    """Money that is held."""

    account: Ref[Account]
    amount: int
    captured: int = 0
    status: Literal["open", "captured", "voided"] = "open"

    @property
    def left(self) -> int:
        """What can still be captured."""
        return self.amount - self.captured


class Payment(Entity):
    """A credit, a debit or a capture that was done."""


# --- what can be asked --------------------------------------------------------------------------


class OpenAccount(Command, weight=2):
    """Open an account."""

    owner: Owner
    currency: Currency


class Credit(Command, weight=4, idempotent=True):
    """Add money to an account."""

    account: Ref[Account]
    amount: Cents
    currency: Currency
    key: Key


class Debit(Command, weight=3, idempotent=True):
    """Take money from an account."""

    account: Ref[Account]
    amount: Cents
    currency: Currency
    key: Key


class Authorize(Command, weight=3):
    """Hold money of an account."""

    account: Ref[Account]
    amount: Cents
    currency: Currency


class Capture(Command, weight=4, idempotent=True):
    """Take money that is held."""

    authorization: Ref[Authorization]
    amount: Cents
    key: Key


class Void(Command, weight=2):
    """Release what is still held."""

    authorization: Ref[Authorization]


class ReadAuthorization(Command, weight=2):
    """Look at an authorization."""

    authorization: Ref[Authorization]


class ReadStatement(Command):
    """Read a statement in one go."""

    account: Ref[Account]


class PageStatement(Command):
    """Read a statement page by page, and in one go."""

    account: Ref[Account]
    page: Annotated[int, gen.integers(1, 4)]  # lines on a page


class Retry(Command, weight=2):
    """Send a payment again with its key, as a client does that lost the answer."""

    payment: Ref[Payment]


# --- what is answered ---------------------------------------------------------------------------


class AccountOpened(Event):
    """The account is there, with nothing on it."""

    account: Ref[Account]
    currency: str


class Paid(Event):
    """The balance of an account changed by an amount."""

    payment: Ref[Payment]
    account: Ref[Account]
    amount: int


class Authorized(Event):
    """The amount is held."""

    authorization: Ref[Authorization]
    account: Ref[Account]
    amount: int


class Captured(Event):
    """A part of what was held is taken."""

    payment: Ref[Payment]
    authorization: Ref[Authorization]
    amount: int


class Voided(Event):
    """What was still held is released."""

    authorization: Ref[Authorization]


class AuthorizationRead(Event):
    """An authorization as the service shows it."""

    authorization: Ref[Authorization]
    amount: int
    captured: int
    status: str


class StatementRead(Event):
    """The amounts of all lines of a statement."""

    account: Ref[Account]
    amounts: list[int]


class StatementPaged(Event):
    """The amounts of a statement in one go, and page by page; do they agree?"""

    account: Ref[Account]
    whole: list[int]
    paged: list[int]
    agree: bool


class Repeated(Event):
    """The answer to a payment that was done before."""

    payment: Ref[Payment]


class Declined(Event):
    """Nothing was done."""

    code: str


class Balances(Observation):
    """Balance, hold and what is available, of all accounts."""

    rows: dict[Ref[Account], tuple[int, int, int]]


# --- what must hold -----------------------------------------------------------------------------


class Bank(Model):
    """No balance is negative, what is held can't be spent, and no payment is done twice."""

    commands: ClassVar[tuple[type[Command], ...]] = (
        OpenAccount,
        Credit,
        Debit,
        Authorize,
        Capture,
        Void,
        ReadAuthorization,
        ReadStatement,
        PageStatement,
        Retry,
    )
    server_errors: ClassVar = True

    accounts: dict[Ref[Account], Account] = {}
    authorizations: dict[Ref[Authorization], Authorization] = {}
    payments: list[Ref[Payment]] = []

    @requires
    def few_accounts(self, _: OpenAccount) -> bool:
        return len(self.accounts) < MAX_ACCOUNTS

    @expects
    def open(self, cmd: OpenAccount) -> Like[AccountOpened]:
        return like(AccountOpened, currency=cmd.currency)

    @expects
    def credit(self, cmd: Credit) -> Like[Paid] | Declined:
        if cmd.currency != self.accounts[cmd.account].currency:
            return Declined(code="currency_mismatch")
        return like(Paid, account=cmd.account, amount=cmd.amount)

    @expects
    def debit(self, cmd: Debit) -> Like[Paid] | Declined:
        return self._unavailable(cmd) or like(Paid, account=cmd.account, amount=-cmd.amount)

    @expects
    def authorize(self, cmd: Authorize) -> Like[Authorized] | Declined:
        return self._unavailable(cmd) or like(Authorized, account=cmd.account, amount=cmd.amount)

    def _unavailable(self, cmd: Debit | Authorize) -> Declined | None:
        account = self.accounts[cmd.account]
        if cmd.currency != account.currency:
            return Declined(code="currency_mismatch")
        return Declined(code="insufficient_funds") if cmd.amount > account.available else None

    @expects
    def capture(self, cmd: Capture) -> Like[Captured] | Declined:
        authorization = self.authorizations[cmd.authorization]
        if authorization.status != "open":
            return Declined(code="not_open")
        if cmd.amount > authorization.left:
            return Declined(code="exceeds_authorization")
        return like(Captured, authorization=cmd.authorization, amount=cmd.amount)

    @expects
    def void(self, cmd: Void) -> Voided | Declined:
        if self.authorizations[cmd.authorization].status != "open":
            return Declined(code="not_open")
        return Voided(authorization=cmd.authorization)

    @expects
    def read_authorization(self, cmd: ReadAuthorization) -> AuthorizationRead:
        known = self.authorizations[cmd.authorization]
        return AuthorizationRead(
            authorization=cmd.authorization, amount=known.amount, captured=known.captured, status=known.status
        )

    @expects
    def read_statement(self, cmd: ReadStatement) -> StatementRead:
        return StatementRead(account=cmd.account, amounts=self.accounts[cmd.account].lines)

    @expects
    def page_statement(self, cmd: PageStatement) -> Like[StatementPaged]:
        return like(StatementPaged, account=cmd.account, agree=True)

    @expects
    def retry(self, cmd: Retry) -> Repeated:
        return Repeated(payment=cmd.payment)

    @on
    def opened(self, event: AccountOpened) -> None:
        self.accounts[event.account] = Account(currency=event.currency)

    @on
    def paid(self, event: Paid) -> None:
        self.accounts[event.account].move(event.amount)
        self.payments.append(event.payment)

    @on
    def authorized(self, event: Authorized) -> None:
        self.authorizations[event.authorization] = Authorization(account=event.account, amount=event.amount)
        self.accounts[event.account].held += event.amount
        if sum(each.status == "open" and each.account == event.account for each in self.authorizations.values()) > 1:
            self.label("two holds on one account")

    @on
    def captured(self, event: Captured) -> None:
        authorization = self.authorizations[event.authorization]
        account = self.accounts[authorization.account]
        if authorization.captured:
            self.label("a hold is captured in parts")
        authorization.captured += event.amount
        if not authorization.left:
            authorization.status = "captured"
        account.held -= event.amount
        account.move(-event.amount)
        self.payments.append(event.payment)

    @on
    def voided(self, event: Voided) -> None:
        authorization = self.authorizations[event.authorization]
        authorization.status = "voided"
        self.accounts[authorization.account].held -= authorization.left

    @invariant
    def nothing_is_overdrawn(self) -> None:
        assert all(0 <= account.held <= account.balance for account in self.accounts.values())

    @invariant
    def statements_add_up(self) -> None:
        for account in self.accounts.values():
            same(sum(account.lines), account.balance)

    @check
    def balances_match(self, seen: Balances) -> None:
        same(
            seen.rows,
            {ref: (account.balance, account.held, account.available) for ref, account in self.accounts.items()},
        )
