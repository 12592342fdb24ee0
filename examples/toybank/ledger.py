"""The rules of the bank, in transactions of PostgreSQL.

Money is whole cents. An account has a balance and what is held of it; the rest is available. An authorization
holds money until it is captured, in one or several parts, or voided. Each movement of the balance is a line of
the account's statement.

Whoever changes an account holds the lock of its row, so that concurrent requests come one after the other.
"""

import json
import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from examples.answers import RefusedError
from examples.serving import Bug

BUGS = (
    Bug("negative-balance", "missing check", "a debit is not compared with what is available", 2),
    Bug("exact-balance", "off by one", "a debit of exactly what is available is declined", 3),
    Bug("ignores-holds", "wrong value", "a debit is compared with the balance, holds included", 4),
    Bug("ghost-hold", "missing rollback", "an authorization that is declined leaves its hold behind", 2),
    Bug("currency-mix", "missing check", "a credit in another currency than the account's is taken", 2),
    Bug("float-cents", "rounding", "credits go through a float of euros and are cut off: 29 becomes 28", 2),
    Bug("big-amount", "overflow", "credits above 2147483647 cents end in an error of the server", 2),
    Bug("over-capture", "wrong value", "each part is compared with what was authorized, not with what is left", 5),
    Bug("void-captured", "illegal transition", "a captured authorization can be voided", 5),
    Bug("full-release", "wrong value", "voiding after a part was captured releases the whole hold", 5),
    Bug("silent-capture", "missing write", "captures are missing in the statement", 5),
    Bug("stale-read", "stale read", "an authorization is not found until something else is written", 4),
    Bug("pays-twice", "idempotency", "the key of a credit is not looked at: a retry pays twice", 3),
    Bug("forgotten-keys", "idempotency", "only the last three keys are kept: an old retry pays twice", 6),
    Bug("lost-line", "paging", "the first line of each further page of a statement is left out", 4),
    Bug("flaky-release", "flaky", "in 70 % of the cases, voiding does not release the hold", 4),
    Bug("lost-debit", "race", "a debit does not lock the account: of two at once, one is lost", 4),
    Bug(
        "hang-up-forgets-key",
        "fault",
        "a payment's key is forgotten if the client has hung up: a retry pays twice",
        3,
    ),
    Bug("hang-up-keeps-hold", "fault", "an authorization is taken back if the client has hung up, but not its hold", 4),
    Bug(
        "duplicate-pays-twice",
        "fault",
        "keys are looked up first and kept later: a payment twice at once is paid twice",
        3,
    ),
)

CURRENCIES = ("EUR", "USD", "GBP")
MAX_AMOUNT = 10**12  # cents
MAX_TEXT = 200  # characters
MAX_PAGE = 100  # lines
KEPT_KEYS = 3  # with the bug forgotten-keys
FLAKY = 0.7  # how often the bug flaky-release shows
CHECKING = 0.06  # seconds between looking up a key and paying, with the bug duplicate-pays-twice

MIGRATIONS = (
    """
    CREATE TABLE accounts (
        id uuid PRIMARY KEY,
        number bigint GENERATED ALWAYS AS IDENTITY,
        owner text NOT NULL,
        currency text NOT NULL,
        balance bigint NOT NULL DEFAULT 0,
        held bigint NOT NULL DEFAULT 0
    );
    CREATE TABLE authorizations (
        id uuid PRIMARY KEY,
        account uuid NOT NULL REFERENCES accounts,
        amount bigint NOT NULL,
        captured bigint NOT NULL DEFAULT 0,
        status text NOT NULL DEFAULT 'open'
    );
    CREATE TABLE lines (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payment uuid NOT NULL,
        account uuid NOT NULL REFERENCES accounts,
        kind text NOT NULL,
        amount bigint NOT NULL
    );
    """,
    """
    CREATE TABLE keys (
        key text PRIMARY KEY,
        number bigint GENERATED ALWAYS AS IDENTITY,
        request text NOT NULL,
        answer json NOT NULL
    );
    CREATE INDEX lines_of_account ON lines (account, number);
    """,
    "ALTER TABLE authorizations ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY",
)

PATIENCE = "-c lock_timeout=5s -c statement_timeout=10s"  # then the answer is 503, and nobody waits for ever

Row: TypeAlias = dict[str, Any]
Db: TypeAlias = psycopg.Connection[DictRow]


class Ledger:
    """The accounts of one bank, in one schema of a database, with the bugs that are on. Close it at the end."""

    def __init__(self, url: str, schema: str = "toybank", bugs: frozenset[str] = frozenset()) -> None:
        self.bugs = bugs
        self.unseen: set[UUID] = set()  # authorizations that can't be read yet, with the bug stale-read
        self.pool: ConnectionPool[Db] = ConnectionPool(
            url,
            connection_class=psycopg.Connection[DictRow],
            kwargs={"row_factory": dict_row, "options": f"{PATIENCE} {_search_path(schema)}"},
            min_size=2,
            max_size=16,
            open=True,
        )
        self.pool.wait(timeout=30)
        self._migrate(schema)

    def health(self) -> Row:
        """Say that the database answers."""
        with self.pool.connection() as db:
            db.execute("SELECT 1")
        return {"status": "ok"}

    def close(self) -> None:
        """Close the connections."""
        self.pool.close()

    def _migrate(self, schema: str) -> None:
        """Bring the schema to what this version needs; two services that start at once do it one by one."""
        with self.pool.connection() as db:
            db.execute("SELECT pg_advisory_xact_lock(hashtext('toybank'))")
            db.execute(psycopg.sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(psycopg.sql.Identifier(schema)))
            db.execute("CREATE TABLE IF NOT EXISTS migrations (version int PRIMARY KEY)")
            done = {row["version"] for row in db.execute("SELECT version FROM migrations")}
            for version, statements in enumerate(MIGRATIONS, 1):
                if version not in done:
                    db.execute(statements)
                    db.execute("INSERT INTO migrations VALUES (%s)", (version,))

    def reset(self) -> Row:
        """Forget all accounts, and all that belongs to them."""
        self.unseen.clear()
        with self.pool.connection() as db:
            db.execute("LOCK TABLE accounts IN EXCLUSIVE MODE")  # whoever changes something locks an account first
            db.execute("DELETE FROM keys; DELETE FROM lines; DELETE FROM authorizations; DELETE FROM accounts")
        return {}

    # --- accounts

    def open_account(self, owner: Any, currency: Any) -> Row:
        """Open an account with nothing on it."""
        if not _is_text(owner):
            raise RefusedError(400, "invalid_owner", f"owner is a text of 1 to {MAX_TEXT} characters")
        self.unseen.clear()
        with self.pool.connection() as db:
            row = db.execute(
                "INSERT INTO accounts (id, owner, currency) VALUES (%s, %s, %s) RETURNING *",
                (uuid4(), owner, _currency(currency)),
            ).fetchone()
        return _account(row)

    def accounts(self) -> Row:
        """List all accounts, in the order in which they were opened."""
        with self.pool.connection() as db:
            rows = db.execute("SELECT * FROM accounts ORDER BY number").fetchall()
        return {"accounts": [_account(row) for row in rows]}

    def account(self, account: UUID) -> Row:
        """Show one account."""
        with self.pool.connection() as db:
            return _account(_found(db, "accounts", account))

    def statement(self, account: UUID, limit: int, after: int) -> Row:
        """List up to `limit` lines of an account behind line number `after`; `next` leads to the next page."""
        with self.pool.connection() as db:
            _found(db, "accounts", account)
            rows = db.execute(
                "SELECT * FROM lines WHERE account = %s AND number > %s ORDER BY number LIMIT %s",
                (account, after, limit + 1),
            ).fetchall()
        shown = rows[:limit]
        last = rows if "lost-line" in self.bugs else shown
        return {
            "lines": [{"number": row["number"], "kind": row["kind"], "amount": row["amount"]} for row in shown],
            "next": last[-1]["number"] if len(rows) > limit else None,
        }

    # --- payments

    def credit(self, account: UUID, amount: Any, currency: Any, key: str | None) -> Row:
        """Add money to an account."""
        amount, currency = _amount(amount), _currency(currency)

        def act(db: Db) -> Row:
            row = _found(db, "accounts", account, lock=True)
            if "currency-mix" not in self.bugs:
                _same_currency(row, currency)
            added = int(amount / 100 * 100) if "float-cents" in self.bugs else amount
            if "big-amount" in self.bugs:
                db.execute("SELECT %s::integer", (str(amount),))
            return self._move(db, row, "credit", added)

        return self._once(None if "pays-twice" in self.bugs else key, ["credit", account, amount, currency], act)

    def debit(self, account: UUID, amount: Any, currency: Any, key: str | None) -> Row:
        """Take money from an account, no more than is available."""
        amount, currency = _amount(amount), _currency(currency)

        def act(db: Db) -> Row:
            row = _found(db, "accounts", account, lock="lost-debit" not in self.bugs)
            _same_currency(row, currency)
            available = row["balance"] if "ignores-holds" in self.bugs else row["balance"] - row["held"]
            short = amount > available or ("exact-balance" in self.bugs and amount == available)
            if short and "negative-balance" not in self.bugs:
                raise RefusedError(409, "insufficient_funds", "the account has less than that available")
            return self._move(db, row, "debit", -amount)

        return self._once(key, ["debit", account, amount, currency], act)

    def _move(self, db: Db, row: Row, kind: str, amount: int) -> Row:
        """Change a balance, and write the line of the statement."""
        payment, balance = uuid4(), row["balance"] + amount
        db.execute("UPDATE accounts SET balance = %s WHERE id = %s", (balance, row["id"]))
        if not (kind == "capture" and "silent-capture" in self.bugs):
            db.execute(
                "INSERT INTO lines (payment, account, kind, amount) VALUES (%s, %s, %s, %s)",
                (payment, row["id"], kind, amount),
            )
        return {"payment": str(payment), "account": str(row["id"]), "amount": amount, "balance": balance}

    # --- authorizations

    def authorize(self, account: UUID, amount: Any, currency: Any, key: str | None) -> Row:
        """Hold money of an account, no more than is available."""
        amount, currency = _amount(amount), _currency(currency)

        def act(db: Db) -> Row:
            row = _found(db, "accounts", account, lock=True)
            _same_currency(row, currency)
            if amount > row["balance"] - row["held"]:
                if "ghost-hold" in self.bugs:
                    self._hold(db, account, amount)
                    db.commit()
                raise RefusedError(409, "insufficient_funds", "the account has less than that available")
            self._hold(db, account, amount)
            made = db.execute(
                "INSERT INTO authorizations (id, account, amount) VALUES (%s, %s, %s) RETURNING *",
                (uuid4(), account, amount),
            ).fetchone()
            return _authorization(made)

        made = self._once(key, ["authorize", account, amount, currency], act)
        self.unseen = {UUID(made["id"])}
        return made

    def authorizations(self, account: UUID) -> Row:
        """List all authorizations of an account, in the order in which they were made."""
        with self.pool.connection() as db:
            _found(db, "accounts", account)
            rows = db.execute("SELECT * FROM authorizations WHERE account = %s ORDER BY number", (account,)).fetchall()
        return {"authorizations": [_authorization(row) for row in rows]}

    def authorization(self, authorization: UUID) -> Row:
        """Show one authorization."""
        if "stale-read" in self.bugs and authorization in self.unseen:
            raise _not_found("authorizations")
        with self.pool.connection() as db:
            return _authorization(_found(db, "authorizations", authorization))

    def capture(self, authorization: UUID, amount: Any, key: str | None) -> Row:
        """Take money that is held, no more than is left; when nothing is left, the authorization is captured."""
        amount = _amount(amount)

        def act(db: Db) -> Row:
            auth = self._open(db, authorization)
            left = auth["amount"] - auth["captured"]
            if amount > (auth["amount"] if "over-capture" in self.bugs else left):
                raise RefusedError(409, "exceeds_authorization", "less than that is left of the authorization")
            captured = auth["captured"] + amount
            db.execute(
                "UPDATE authorizations SET captured = %s, status = %s WHERE id = %s",
                (captured, "captured" if captured == auth["amount"] else "open", authorization),
            )
            row = _found(db, "accounts", auth["account"])
            self._hold(db, auth["account"], -amount)
            return self._move(db, row, "capture", -amount)

        return self._once(key, ["capture", authorization, amount], act)

    def void(self, authorization: UUID, key: str | None) -> Row:
        """Release what is still held."""

        def act(db: Db) -> Row:
            auth = self._open(db, authorization, captured="void-captured" in self.bugs)
            made = db.execute(
                "UPDATE authorizations SET status = 'voided' WHERE id = %s RETURNING *", (authorization,)
            ).fetchone()
            left = auth["amount"] if "full-release" in self.bugs else auth["amount"] - auth["captured"]
            if not ("flaky-release" in self.bugs and random.random() < FLAKY):
                self._hold(db, auth["account"], -left)
            return _authorization(made)

        return self._once(key, ["void", authorization], act)

    def _hold(self, db: Db, account: UUID, amount: int) -> None:
        db.execute("UPDATE accounts SET held = held + %s WHERE id = %s", (amount, account))

    def _open(self, db: Db, authorization: UUID, *, captured: bool = False) -> Row:
        """Lock the account of an authorization that is open, or captured where that is taken as well."""
        _found(db, "accounts", _found(db, "authorizations", authorization)["account"], lock=True)
        row = _found(db, "authorizations", authorization)  # as it is now that nobody else changes it
        if row["status"] != "open" and not (captured and row["status"] == "captured"):
            raise RefusedError(409, "not_open", f"the authorization is {row['status']}")
        return row

    # --- what is undone where the client has hung up

    def forget(self, key: str | None) -> None:
        """Forget a key; what was done with it stays."""
        with self.pool.connection() as db:
            db.execute("DELETE FROM keys WHERE key = %s", (key,))

    def take_back(self, authorization: UUID, key: str | None) -> None:
        """Forget an authorization, and its key; what it holds stays held."""
        with self.pool.connection() as db:
            db.execute("DELETE FROM authorizations WHERE id = %s", (authorization,))
            db.execute("DELETE FROM keys WHERE key = %s", (key,))

    # --- what they share

    def _once(self, key: str | None, request: list[Any], act: Callable[[Db], Row]) -> Row:
        """Do something in one transaction; with a key that was there before, answer as before instead."""
        self.unseen.clear()
        asked = json.dumps(request, default=str)
        with self.pool.connection() as db:
            if key is None:
                return act(db)
            if "duplicate-pays-twice" not in self.bugs:
                db.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
            known = db.execute("SELECT request, answer FROM keys WHERE key = %s", (key,)).fetchone()
            if known is None:
                if "duplicate-pays-twice" in self.bugs:
                    time.sleep(CHECKING)
                answer = act(db)
                db.execute(
                    "INSERT INTO keys (key, request, answer) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    (key, asked, json.dumps(answer)),
                )
                if "forgotten-keys" in self.bugs:
                    db.execute("DELETE FROM keys WHERE number <= (SELECT max(number) FROM keys) - %s", (KEPT_KEYS,))
                return answer
            if known["request"] != asked:
                raise RefusedError(422, "key_reused", "this Idempotency-Key came with another request before")
            remembered: Row = known["answer"]
            return remembered


def _search_path(schema: str) -> str:
    """Write the option that makes a schema the only one; spaces part options, unless a backslash is before them."""
    quoted = '"' + schema.replace('"', '""') + '"'
    return "-c search_path=" + re.sub(r"([\\\s])", r"\\\1", quoted)


def _found(db: Db, table: str, name: UUID, *, lock: bool = False) -> Row:
    row = db.execute(f"SELECT * FROM {table} WHERE id = %s{' FOR UPDATE' if lock else ''}", (name,)).fetchone()
    if row is None:
        raise _not_found(table)
    return row


def _not_found(table: str) -> RefusedError:
    return RefusedError(404, "not_found", f"there is no such {table.removesuffix('s')}")


def _is_text(value: Any) -> bool:
    """Say whether PostgreSQL can keep a value as text: no NUL, no half characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and "\0" not in value and _is_unicode(value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _amount(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_AMOUNT:
        return value
    raise RefusedError(400, "invalid_amount", f"amount is a whole number of cents, from 1 to {MAX_AMOUNT}")


def _currency(value: Any) -> str:
    if isinstance(value, str) and value in CURRENCIES:
        return value
    raise RefusedError(400, "invalid_currency", f"currency is one of {', '.join(CURRENCIES)}")


def _same_currency(row: Row, currency: str) -> None:
    if row["currency"] != currency:
        raise RefusedError(422, "currency_mismatch", f"the account is in {row['currency']}")


def _account(row: Row | None) -> Row:
    assert row is not None
    return {
        "id": str(row["id"]),
        "owner": row["owner"],
        "currency": row["currency"],
        "balance": row["balance"],
        "held": row["held"],
        "available": row["balance"] - row["held"],
    }


def _authorization(row: Row | None) -> Row:
    assert row is not None
    return {
        "id": str(row["id"]),
        "account": str(row["account"]),
        "amount": row["amount"],
        "captured": row["captured"],
        "status": row["status"],
    }
