"""ToyBank over HTTP: its rules, also under concurrent and odd requests, its switches, and its life as a process."""

import contextlib
import functools
import itertools
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import abrupt
import httpx
import psycopg
import pytest
from conftest import ROOT, environment, processes

from examples.answers import MAX_BODY
from examples.serving import PARENT_POLL
from examples.toybank import Bank, BankApi, postgres
from examples.toybank.adapter import MAX_PAGE
from examples.toybank.ledger import BUGS, MAX_AMOUNT, MAX_TEXT, Ledger
from replaykit import integration, service
from replaykit.adapter import Adapters
from replaykit.port import free_port
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.value import loads

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
COMMAND = (sys.executable, "-m", "examples.toybank")
PATIENCE = 20.0  # seconds
NOBODY = "00000000-0000-0000-0000-000000000000"  # a well-formed id of nothing

_schemas = itertools.count(1)


class Teller:
    """What the tests say to a bank; `ask` answers with the status and the JSON."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=PATIENCE)

    def ask(self, path, data=None, key=None):
        answer = self.http.post(path, json=data, headers={"Idempotency-Key": key} if key else {})
        return answer.status_code, answer.json()

    def show(self, path, **query):
        answer = self.http.get(path, params=query)
        return answer.status_code, answer.json()

    def code(self, path, data=None, key=None):
        """Ask for something that is refused, and give the status and the code."""
        status, said = self.ask(path, data, key)
        assert ["error"] == list(said), (status, said)
        assert ["code", "message"] == sorted(said["error"])
        return status, said["error"]["code"]

    def open(self, balance=0, currency="EUR"):
        """Open an account with money on it, and give its path."""
        path = f"/api/accounts/{self.ask('/api/accounts', {'owner': 'Ada', 'currency': currency})[1]['id']}"
        if balance:
            self.ask(f"{path}/credit", cents(balance, currency))
        return path

    def hold(self, account, amount):
        """Authorize an amount, and give the path of the authorization."""
        status, said = self.ask("/api/authorizations", {"account": account.rpartition("/")[2], **cents(amount)})
        assert 201 == status, said
        return f"/api/authorizations/{said['id']}"

    def money(self, account):
        """Give balance, hold and what is available."""
        said = self.show(account)[1]
        return said["balance"], said["held"], said["available"]

    def pages(self, account, limit):
        """Read all pages of a statement."""
        pages, after = [], 0
        while after is not None and len(pages) < 1000:
            said = self.show(f"{account}/statement", limit=limit, after=after)[1]
            pages.append([line["amount"] for line in said["lines"]])
            after = said["next"]
        return pages

    def statement(self, account):
        """Give the amounts of all lines."""
        return [amount for page in self.pages(account, 100) for amount in page]


def cents(amount, currency="EUR"):
    return {"amount": amount, "currency": currency}


def take(answer, *names):
    """Pick values out of an answer, behind its status."""
    status, said = answer
    return status, *(said[name] for name in names)


def schema():
    """Give the name of a schema that is new in the database of these tests."""
    return f"bank_{next(_schemas)}"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Give the URL of a PostgreSQL that the services of these tests share."""
    with postgres.reached(None) as url:
        yield url


@contextlib.contextmanager
def running(url: str, *options: str, name: str | None = None) -> Iterator[Teller]:
    """Run a service with a schema of its own on a database, and give somebody who talks to it."""
    start = shlex.join([*COMMAND, "--port", "{port}", "--database-url", url, "--schema", name or schema(), *options])
    with service.reached(url=None, start=start, health=None, patience=None) as base:
        teller = Teller(base)
        with teller.http:
            yield teller


@pytest.fixture(scope="module")
def serving(database) -> Iterator[Teller]:
    """Give the one service without bugs."""
    with running(database) as teller:
        yield teller


@pytest.fixture
def bank(serving) -> Teller:
    """Give the service without bugs, with nothing in it."""
    assert (200, {}) == serving.ask("/api/reset")
    return serving


def at_once(*calls: Callable[[], object]) -> list:
    """Make calls from as many threads, all let go at the same moment."""
    barrier = threading.Barrier(len(calls))

    def call(one):
        barrier.wait(PATIENCE)
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


# --- the adapter --------------------------------------------------------------------------------


class Meanwhile(BankApi):
    """An adapter beside which somebody else pays in a cent whenever a statement was read."""

    def statement(self, account, page=MAX_PAGE):
        amounts = super().statement(account, page)
        self.http.post(f"/api/accounts/{account.id}/credit", json=cents(1)).raise_for_status()
        return amounts


@pytest.mark.parametrize(("adapter", "paged"), [(BankApi, 0), (Meanwhile, 1)])
def test_pages_agree_with_the_statement_that_others_go_on_writing(serving, adapter, paged):
    """What was paid in between reading a statement in one go and page by page is no disagreement."""
    calls = (
        Call(label=0, tag="open_account", args={"owner": "Ada", "currency": "EUR"}),
        Call(label=1, tag="page_statement", args={"account": "account@0", "page": 1}),
    )
    adapters = Adapters(Bank, adapter, str(serving.http.base_url), {})
    with contextlib.closing(adapters):
        trace = execute(Bank, adapters.new(), Fixed(calls))
    said = loads(trace.steps[-1].event.data)

    assert (True, [], [1] * paged) == (said["agree"], said["whole"], said["paged"])


# --- the rules ----------------------------------------------------------------------------------


def test_it_is_healthy(bank):
    """The health check answers that all is well."""
    assert (200, {"status": "ok"}) == bank.show("/api/health")


def test_an_account_opens_with_nothing_on_it(bank):
    """A new account is empty, and is shown as it was opened, alone and in the list."""
    status, opened = bank.ask("/api/accounts", {"owner": "Zoë 🦊", "currency": "GBP"})
    name = opened.pop("id")

    assert 201 == status
    assert {"owner": "Zoë 🦊", "currency": "GBP", "balance": 0, "held": 0, "available": 0} == opened
    assert (200, {"id": name, **opened}) == bank.show(f"/api/accounts/{name}")
    assert (200, {"accounts": [{"id": name, **opened}]}) == bank.show("/api/accounts")


def test_accounts_are_listed_in_the_order_in_which_they_were_opened(bank):
    """The list of accounts has all of them, the oldest first."""
    paths = [bank.open() for _ in range(8)]

    assert paths == [f"/api/accounts/{row['id']}" for row in bank.show("/api/accounts")[1]["accounts"]]


def test_a_reset_forgets_all(bank):
    """After a reset there are no accounts, no authorizations, no lines and no keys."""
    account = bank.open(100)
    hold = bank.hold(account, 10)
    bank.ask(f"{account}/credit", cents(5), "k")

    assert (200, {}) == bank.ask("/api/reset")
    assert (200, {"accounts": []}) == bank.show("/api/accounts")
    assert [404, 404, 404] == [bank.show(path)[0] for path in (account, hold, f"{account}/statement")]
    assert 200 == bank.ask(f"{bank.open()}/credit", cents(7), "k")[0]


def test_a_debit_takes_no_more_than_is_available(bank):
    """A debit of all that is available is done, one of a cent more is refused and changes nothing."""
    account = bank.open(100)

    assert (409, "insufficient_funds") == bank.code(f"{account}/debit", cents(101))
    assert (100, 0, 100) == bank.money(account)
    assert (200, -100, 0) == take(bank.ask(f"{account}/debit", cents(100)), "amount", "balance")
    assert (409, "insufficient_funds") == bank.code(f"{account}/debit", cents(1))
    assert [100, -100] == bank.statement(account)


def test_a_hold_lowers_what_is_available(bank):
    """What is held stays on the balance, but neither a debit nor another authorization gets it."""
    account = bank.open(100)
    bank.hold(account, 60)

    assert (100, 60, 40) == bank.money(account)
    assert (409, "insufficient_funds") == bank.code(f"{account}/debit", cents(41))
    assert (409, "insufficient_funds") == bank.code("/api/authorizations", {"account": account[-36:], **cents(41)})
    assert (100, 60, 40) == bank.money(account)
    bank.hold(account, 40)
    assert (100, 100, 0) == bank.money(account)
    assert [100] == bank.statement(account)


def test_an_authorization_can_be_read_as_soon_as_it_was_made(bank):
    """What was answered to an authorization is what is read of it, at once."""
    account = bank.open(1000)
    for _ in range(20):
        status, made = bank.ask("/api/authorizations", {"account": account[-36:], **cents(50)})
        read = bank.show(f"/api/authorizations/{made['id']}")

        assert 201 == status
        assert (200, made) == read
        assert {"account": account[-36:], "amount": 50, "captured": 0, "status": "open"}.items() <= made.items()


def test_the_authorizations_of_an_account_are_listed(bank):
    """The list has those of one account as they are now, the oldest first; of nothing there is none."""
    account, other = bank.open(1000), bank.open(10)
    holds = [bank.hold(account, 10 + number) for number in range(8)]
    bank.hold(other, 7)
    bank.ask(f"{holds[2]}/capture", {"amount": 5})
    bank.ask(f"{holds[4]}/void")

    expected = [bank.show(hold)[1] for hold in holds]

    assert (200, {"authorizations": expected}) == bank.show(f"{account}/authorizations")
    assert (200, {"authorizations": []}) == bank.show(f"{bank.open()}/authorizations")
    assert 404 == bank.show(f"/api/accounts/{NOBODY}/authorizations")[0]


def test_an_authorization_is_captured_in_parts(bank):
    """Parts are captured until nothing is left; each is taken from the balance and the hold, and none exceeds it."""
    account = bank.open(100)
    hold = bank.hold(account, 60)

    assert (200, -25, 75) == take(bank.ask(f"{hold}/capture", {"amount": 25}), "amount", "balance")
    assert (75, 35, 40) == bank.money(account)
    assert (200, 60, 25, "open") == take(bank.show(hold), "amount", "captured", "status")
    assert (409, "exceeds_authorization") == bank.code(f"{hold}/capture", {"amount": 36})
    assert (75, 35, 40) == bank.money(account)
    assert (200, -35, 40) == take(bank.ask(f"{hold}/capture", {"amount": 35}), "amount", "balance")
    assert (40, 0, 40) == bank.money(account)
    assert (200, 60, 60, "captured") == take(bank.show(hold), "amount", "captured", "status")
    assert [100, -25, -35] == bank.statement(account)


def test_an_authorization_is_captured_as_a_whole(bank):
    """One capture of all that was authorized is enough; one of more is refused."""
    account = bank.open(60)
    hold = bank.hold(account, 60)

    assert (409, "exceeds_authorization") == bank.code(f"{hold}/capture", {"amount": 61})
    assert (200, -60, 0) == take(bank.ask(f"{hold}/capture", {"amount": 60}), "amount", "balance")
    assert (0, 0, 0) == bank.money(account)


@pytest.mark.parametrize("captured", [0, 25])
def test_a_void_releases_what_is_left(captured, bank):
    """A void gives back what was not captured, and writes no line."""
    account = bank.open(100)
    hold = bank.hold(account, 60)
    if captured:
        bank.ask(f"{hold}/capture", {"amount": captured})
    bank.hold(account, 7)

    assert (200, captured, "voided") == take(bank.ask(f"{hold}/void"), "captured", "status")
    assert (100 - captured, 7, 93 - captured) == bank.money(account)
    assert 100 - captured == sum(bank.statement(account))


@pytest.mark.parametrize("first", ["capture", "void"])
@pytest.mark.parametrize("second", ["capture", "void"])
def test_only_open_authorizations_are_captured_or_voided(first, second, bank):
    """What was captured or voided is neither captured nor voided again."""
    account = bank.open(100)
    hold = bank.hold(account, 10)
    bank.hold(account, 10)
    assert 200 == bank.ask(f"{hold}/{first}", {"amount": 10})[0]
    before = bank.money(account), bank.show(hold)

    assert (409, "not_open") == bank.code(f"{hold}/{second}", {"amount": 10})
    assert before == (bank.money(account), bank.show(hold))


def test_payments_are_in_the_currency_of_the_account(bank):
    """Credits, debits and authorizations in another currency are refused, and change nothing."""
    account = bank.open(100, "USD")
    for path in (f"{account}/credit", f"{account}/debit", "/api/authorizations"):
        for currency in ("EUR", "GBP"):
            told = bank.code(path, {"account": account[-36:], **cents(1, currency)})

            assert (422, "currency_mismatch") == told
    assert (100, 0, 100) == bank.money(account)


@pytest.mark.parametrize("amount", [1, 29, 57, 58, 113, 115, 1005, 2**31 - 1, 2**31, MAX_AMOUNT - 1, MAX_AMOUNT])
def test_no_cent_is_lost(amount, bank):
    """Amounts are whole cents, exact whatever their size, and up to a limit."""
    account = bank.open()

    assert (200, amount, amount) == take(bank.ask(f"{account}/credit", cents(amount)), "amount", "balance")
    assert (amount, 0, amount) == bank.money(account)
    assert [amount] == bank.statement(account)


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 100])
def test_a_statement_is_paged(limit, bank):
    """Pages of any size give all lines of one account once, in their order, and none is empty."""
    account, other = bank.open(), bank.open()
    for amount in range(1, 8):
        bank.ask(f"{account}/credit", cents(amount))
        bank.ask(f"{other}/credit", cents(99))
    lines = list(range(1, 8))

    assert [lines[start : start + limit] for start in range(0, 7, limit)] == bank.pages(account, limit)


def test_a_statement_has_twenty_lines_a_page_if_nothing_is_said(bank):
    """Without a query the first page is given; an empty account has one page with nothing on it."""
    account = bank.open()

    assert (200, {"lines": [], "next": None}) == bank.show(f"{account}/statement")
    for _ in range(21):
        bank.ask(f"{account}/credit", cents(1))
    first = bank.show(f"{account}/statement")[1]
    rest = bank.show(f"{account}/statement", after=first["next"])[1]
    assert [20, 1, None] == [len(first["lines"]), len(rest["lines"]), rest["next"]]


# --- Idempotency-Key ----------------------------------------------------------------------------

KEYED = ("credit", "debit", "authorize", "capture", "void")


def keyed(bank, kind, amount=5):
    """Prepare an account with an authorization, and give what asks for one kind of change, and what is seen of it."""
    account = bank.open(100)
    hold = bank.hold(account, 20)
    path = {
        "credit": f"{account}/credit",
        "debit": f"{account}/debit",
        "authorize": "/api/authorizations",
        "capture": f"{hold}/capture",
        "void": f"{hold}/void",
    }[kind]

    def ask(key, amount=amount):
        return bank.ask(path, {"account": account[-36:], **cents(amount)}, key)

    def seen():
        return bank.money(account), bank.show(hold), bank.statement(account)

    return ask, seen


@pytest.mark.parametrize("kind", KEYED)
def test_a_retry_gets_the_same_answer_and_nothing_happens_again(kind, bank):
    """The same request with the same key is answered as before, also long afterwards, and done only once."""
    ask, seen = keyed(bank, kind)
    before = seen()
    first = ask("one")
    after = seen()
    for number in range(6):
        bank.ask(f"{bank.open()}/credit", cents(1), f"other {number}")
        again = ask("one")

        assert first == again
    assert first[0] in {200, 201}
    assert before != after
    assert after == seen()


@pytest.mark.parametrize("kind", KEYED)
def test_another_request_with_the_same_key_is_refused(kind, bank):
    """A key that came with one request is refused with another, of the same kind or of another one."""
    ask, _ = keyed(bank, kind)
    assert ask("one")[0] in {200, 201}
    told = []
    for other in KEYED:
        another, seen = keyed(bank, other, 6)
        before = seen()
        told.append((another("one")[0], another("one")[1]["error"]["code"]))

        assert before == seen()
    assert [(422, "key_reused")] * len(KEYED) == told


@pytest.mark.parametrize("kind", ["credit", "debit", "authorize", "capture"])
def test_another_amount_with_the_same_key_is_refused(kind, bank):
    """A key that came with an amount is refused with another amount."""
    ask, seen = keyed(bank, kind)
    ask("one")
    before = seen()

    assert (422, "key_reused") == (ask("one", 6)[0], ask("one", 6)[1]["error"]["code"])
    assert before == seen()


@pytest.mark.parametrize("kind", ["credit", "debit", "authorize", "capture"])
def test_a_refused_request_does_not_use_up_its_key(kind, bank):
    """After a refusal the same key may come with another request, and with the same one once it can be done."""
    ask, _ = keyed(bank, kind)
    amount = MAX_AMOUNT + 1 if kind == "credit" else 1000
    refused = [ask("one", amount)[0] for _ in range(2)]

    assert 400 <= min(refused) <= max(refused) <= 409
    assert ask("one")[0] in {200, 201}


def test_a_request_that_was_refused_is_done_with_its_key_once_it_can_be_done(bank):
    """A debit that was refused for lack of money is done when it comes again after a credit."""
    account = bank.open(10)

    assert (409, "insufficient_funds") == bank.code(f"{account}/debit", cents(20), "one")
    bank.ask(f"{account}/credit", cents(30))
    assert (200, 20) == take(bank.ask(f"{account}/debit", cents(20), "one"), "balance")
    assert (200, 20) == take(bank.ask(f"{account}/debit", cents(20), "one"), "balance")
    assert (20, 0, 20) == bank.money(account)


@pytest.mark.parametrize("kind", KEYED)
def test_of_requests_with_the_same_key_at_the_same_time_one_is_done(kind, bank):
    """Six requests with one key that arrive together get one answer, and something happens once."""
    for number in range(3):
        once, expected = keyed(bank, kind)
        once(None)
        ask, seen = keyed(bank, kind)
        answers = at_once(*[lambda ask=ask, number=number: ask(f"key {number}")] * 6)

        assert [answers[0]] * 6 == answers
        assert answers[0][0] in {200, 201}
        assert without_names(expected()) == without_names(seen())


def without_names(seen):
    """Leave out the ids, which differ between accounts."""
    money, (status, hold), lines = seen
    return money, status, hold["captured"], hold["status"], lines


def test_of_different_requests_with_the_same_key_at_the_same_time_one_is_done(bank):
    """Where requests with one key differ, one is done and the others are refused."""
    account = bank.open()
    for number in range(8):
        calls = [
            lambda amount=amount, number=number: bank.ask(f"{account}/credit", cents(amount), f"key {number}")
            for amount in (1, 2, 3, 4)
        ]
        statuses = sorted(status for status, _ in at_once(*calls))

        assert [200, 422, 422, 422] == statuses
        assert number + 1 == len(bank.statement(account))


@pytest.mark.parametrize("key", [b"k" * MAX_TEXT, b"\xe9", b"\x80\xff", "ключ 🔑".encode(), b"a\tb", b"'; --", b"%s"])
def test_odd_keys_are_keys(key, bank):
    """A key may have any characters that HTTP allows in a header, and up to two hundred."""
    account = bank.open()
    answers = [
        bank.http.post(f"{account}/credit", json=cents(3), headers={b"Idempotency-Key": key}).json() for _ in range(2)
    ]

    assert answers[0] == answers[1]
    assert (3, 0, 3) == bank.money(account)


@pytest.mark.parametrize("key", ["", "k" * (MAX_TEXT + 1), "k" * 5000])
def test_keys_that_are_none_are_refused(key, bank):
    """An empty key and one of more than two hundred characters are refused, and nothing is done."""
    account = bank.open()
    answer = bank.http.post(f"{account}/credit", json=cents(3), headers={"Idempotency-Key": key})

    assert (400, "invalid_key") == (answer.status_code, answer.json()["error"]["code"])
    assert (0, 0, 0) == bank.money(account)


# --- what the client does wrong -----------------------------------------------------------------

NO_AMOUNTS = (
    "null", "true", "false", "0", "-0", "-1", "1.0", "1.5", "1e2", "1e400", "NaN", "Infinity", "-Infinity", '"1"', "[]",
    "[1]", "{}", '"\\u0000"', '"\\ud800"', str(MAX_AMOUNT + 1), str(2**63), str(10**30), str(-(10**30)), "9" * 4000,
)  # fmt: skip
NO_TEXTS = (
    "null",
    "true",
    "1",
    "1.5",
    "NaN",
    '""',
    "[]",
    '["EUR"]',
    "{}",
    '"a\\u0000"',
    '"\\ud800"',
    '"\\udfff\\ud800"',
)
NO_OBJECTS = (
    b"[]", b"null", b"1", b'"EUR"', b"{", b"}", b"\0", b"\xff\xfe", b"{'a': 1}", b"{} {}", b"[" * 60_000,
    b'{"a":' * 10_000, b'{"amount":1' + b"0" * 5000 + b"}",
)  # fmt: skip


def refusal(bank, path, body):
    """Post a body as it is, and give the status and the code of the error."""
    answer = bank.http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert "application/json" == answer.headers["content-type"], answer.text
    return answer.status_code, answer.json()["error"]["code"]


def test_amounts_are_whole_numbers_of_cents(bank):
    """Whatever is not a whole number from 1 to the limit is no amount, in all requests that have one."""
    account = bank.open(1000)
    hold = bank.hold(account, 500)
    before = bank.money(account), bank.statement(account)
    for path in (f"{account}/credit", f"{account}/debit", "/api/authorizations", f"{hold}/capture"):
        for amount in NO_AMOUNTS:
            body = f'{{"account": "{account[-36:]}", "currency": "EUR", "amount": {amount}}}'

            assert (400, "invalid_amount") == refusal(bank, path, body), amount[:40]
        assert (400, "invalid_amount") == bank.code(path, {"account": account[-36:], "currency": "EUR"})
    assert before == (bank.money(account), bank.statement(account))


def test_currencies_are_three(bank):
    """What is none of the three currencies is refused, in all requests that have one."""
    account = bank.open(10)
    for path in (f"{account}/credit", f"{account}/debit", "/api/authorizations", "/api/accounts"):
        for currency in (*NO_TEXTS, '"eur"', '"EUR "', '"CHF"', '"' + "E" * 5000 + '"'):
            body = f'{{"owner": "Ada", "account": "{account[-36:]}", "amount": 1, "currency": {currency}}}'

            assert (400, "invalid_currency") == refusal(bank, path, body), currency[:40]
    assert 1 == len(bank.show("/api/accounts")[1]["accounts"])


def test_owners_are_texts(bank):
    """An owner is a text that PostgreSQL can keep, of up to two hundred characters."""
    for owner in (*NO_TEXTS, f'"{"x" * (MAX_TEXT + 1)}"'):
        told = refusal(bank, "/api/accounts", f'{{"owner": {owner}, "currency": "EUR"}}')

        assert (400, "invalid_owner") == told, owner[:40]
    for owner in ("\uffff", "😀" * MAX_TEXT, "\x01\x1f", "'; DROP TABLE accounts; --", "%s", "{}", " ", "\\"):
        assert (201, owner) == take(bank.ask("/api/accounts", {"owner": owner, "currency": "EUR"}), "owner")


def test_accounts_are_named_by_their_id(bank):
    """An authorization with something that is no id is refused, one with the id of nothing finds nothing."""
    for account in (*NO_TEXTS, '"x"', '"1"', str(10**30), f'"{"1" * 5000}"', f'"{NOBODY}x"', f'["{NOBODY}"]'):
        told = refusal(bank, "/api/authorizations", f'{{"account": {account}, "amount": 1, "currency": "EUR"}}')

        assert (400, "invalid_account") == told, account[:40]
    assert (404, "not_found") == bank.code("/api/authorizations", {"account": NOBODY, **cents(1)})


def test_bodies_are_objects(bank):
    """Whatever is no object in JSON is refused, however deep or broken it is."""
    account = bank.open()
    for path in ("/api/accounts", f"{account}/credit", f"{account}/debit", "/api/authorizations", "/api/reset"):
        for body in NO_OBJECTS:
            assert (400, "invalid_json") == refusal(bank, path, body), body[:40]
    assert (200, 0) == take(bank.show(account), "balance")


def test_a_missing_body_is_an_empty_one(bank):
    """Without a body something is missing where something has to be said, and nothing where not."""
    account = bank.open(10)
    hold = bank.hold(account, 5)

    assert (400, "invalid_owner") == refusal(bank, "/api/accounts", b"")
    assert (400, "invalid_amount") == refusal(bank, f"{account}/credit", b"")
    assert (400, "invalid_amount") == refusal(bank, f"{hold}/capture", b"")
    assert 200 == bank.http.post(f"{hold}/void").status_code


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "\xff", ""])
def test_the_content_type_does_not_matter(kind, bank):
    """JSON is read whatever it is said to be, and what is not JSON is refused whatever it is said to be."""
    account = bank.open()
    header = {b"Content-Type": kind.encode("latin-1")}
    taken = bank.http.post(f"{account}/credit", content=json.dumps(cents(1)), headers=header)
    refused = bank.http.post(f"{account}/credit", content=b"amount=1&currency=EUR", headers=header)

    assert [200, 400] == [taken.status_code, refused.status_code]


@pytest.mark.parametrize("size", [MAX_BODY + 1, 5_000_000])
@pytest.mark.parametrize("chunked", [True, False])
def test_large_bodies_are_refused(size, chunked, bank):
    """More than the limit is refused, whether or not the size is said before, and the service goes on."""
    body = json.dumps(cents(1)).encode().ljust(size)
    content = iter([body[start : start + 60_000] for start in range(0, size, 60_000)]) if chunked else body
    with contextlib.suppress(httpx.WriteError):  # the service may hang up before all was sent
        answer = bank.http.post(f"{bank.open()}/credit", content=content)

        assert (413, "too_large") == (answer.status_code, answer.json()["error"]["code"])
    assert (200, {"status": "ok"}) == bank.show("/api/health")


def test_a_body_of_the_greatest_size_is_read(bank):
    """A body with exactly as many bytes as are allowed is read."""
    assert 200 == bank.http.post(f"{bank.open()}/credit", content=json.dumps(cents(1)).ljust(MAX_BODY)).status_code


@pytest.mark.parametrize(
    "name",
    [
        NOBODY,
        "x",
        "1",
        "-",
        "%00",
        "%ff%fe",
        "%F0%9F%A6%8A",
        "%2e%2e",
        "1" * 36,
        NOBODY + "0",
        "a" * 5000,
        "%7B" + NOBODY,
    ],
)
def test_what_is_not_there_is_not_found(name, bank):
    """Ids of nothing, and what is no id at all, are not found, in all paths that have one."""
    account, hold = f"/api/accounts/{name}", f"/api/authorizations/{name}"
    asked = [bank.http.get(path) for path in (account, hold, f"{account}/statement")]
    asked += [
        bank.http.post(path, json=cents(1))
        for path in (f"{account}/credit", f"{account}/debit", f"{hold}/capture", f"{hold}/void")
    ]

    assert [(404, "not_found")] * 7 == [(answer.status_code, answer.json()["error"]["code"]) for answer in asked]


def test_an_account_is_no_authorization(bank):
    """The id of an account finds no authorization, and the other way round."""
    account = bank.open(10)
    hold = bank.hold(account, 1)

    assert 404 == bank.show(f"/api/authorizations/{account[-36:]}")[0]
    assert 404 == bank.show(f"/api/accounts/{hold[-36:]}")[0]


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/", "/api/nothing", "//api/accounts", "/api/health/", "/API/health"]
)
def test_other_paths_are_not_found(path, bank):
    """Paths that are not the service's are answered in JSON as well."""
    answers = [bank.http.request(method, path) for method in ("GET", "POST")]

    assert [(404, "not_found")] * 2 == [(answer.status_code, answer.json()["error"]["code"]) for answer in answers]


def test_other_methods_are_not_allowed(bank):
    """Methods that a path does not have are refused in JSON, and nothing is done."""
    account = bank.open(10)
    hold = bank.hold(account, 1)
    reads, writes = ("/api/accounts", account, hold, "/api/health"), (f"{account}/credit", f"{hold}/void", "/api/reset")
    told = [
        bank.http.request(method, path) for method in ("PUT", "PATCH", "DELETE", "OPTIONS") for path in reads + writes
    ]
    told += [bank.http.get(path) for path in writes] + [bank.http.post(path) for path in (account, "/api/health")]

    assert {(405, "method_not_allowed")} == {(answer.status_code, answer.json()["error"]["code"]) for answer in told}
    assert (10, 1, 9) == bank.money(account)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=-1", "limit=+1", "limit=1.0", "limit=1e1", "limit=x", "limit=", "limit",
        "limit=%00", "limit=%ff", "limit=%C2%B2", "limit=%D9%A1", "limit=1;after=2", "limit=%201", "limit=1&limit=x",
        "after=-1", "after=x", "after=", "after=null", "after=9223372036854775808", "after=1" + "0" * 5000,
        "after=%F0%9F%A6%8A", "limit=1_0",
    ],
)  # fmt: skip
def test_odd_cursors_are_refused(query, bank):
    """A limit and a cursor are plain numbers within bounds."""
    answer = bank.http.get(f"{bank.open(1)}/statement?{query}")

    assert (400, "invalid_query") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize(
    "query", ["", "&&&", "=", "%", "limit[]=x", "x=%00", "a" * 40_000, "limit=100", "after=0", "limit=x&limit=1"]
)
def test_other_queries_are_ignored(query, bank):
    """What a query has besides a limit and a cursor does not matter; of two, the last one holds."""
    answer = bank.http.get(f"{bank.open(1)}/statement?{query}")

    assert (200, [1]) == (answer.status_code, [line["amount"] for line in answer.json()["lines"]])


def test_behind_the_last_line_there_is_nothing(bank):
    """The greatest cursor gives a page with nothing on it."""
    page = bank.show(f"{bank.open(1)}/statement", after=2**63 - 1)

    assert (200, {"lines": [], "next": None}) == page


def junk(chance, depth=0):
    """Make some value."""
    if depth < 3 and chance.random() < 0.2:
        if chance.random() < 0.5:
            return [junk(chance, depth + 1) for _ in range(chance.randrange(3))]
        return {chance.choice(["amount", "\ud800", "\0", ""]): junk(chance, depth + 1)}
    return chance.choice(
        [None, True, False, 0, -1, 1, 5, 1.5, float("nan"), float("inf"), 10**12, 10**13, 2**63, 10**30, -(2**63), "",
         "EUR", "USD", "\0", "\ud800", "\udfff", "x" * 300, "1", NOBODY, "é", "🦊", "\uffff"]
    )  # fmt: skip


def test_nothing_leads_to_an_error_of_the_server(bank):
    """Requests put together at random are answered in JSON, never with a status of 500 or more."""
    chance = random.Random(7)
    account = bank.open(10**6)
    hold = bank.hold(account, 1000)
    told: Counter[int] = Counter()
    for _ in range(600):
        path = chance.choice(
            ["/api/accounts", f"{account}/credit", f"{account}/debit", "/api/authorizations", f"{hold}/capture"]
        )
        data = {"owner": "Ada", "account": account[-36:], **cents(1)}
        for name in chance.sample(sorted(data), chance.choice([0, 1, 1, 2])):
            data[name] = junk(chance)
        content = json.dumps(junk(chance) if chance.random() < 0.1 else data)
        content = content[: chance.randrange(len(content))] if chance.random() < 0.1 else content
        headers = {b"Idempotency-Key": chance.choice([b"a", b"b", b"\xff"])} if chance.random() < 0.3 else {}
        answer = bank.http.post(path, content=content, headers=headers)
        told[answer.status_code] += 1

        assert 500 > answer.status_code, (path, content, headers)
        assert answer.is_success or ["code", "message"] == sorted(answer.json()["error"])
    balance, held, available = bank.money(account)

    assert {200, 201, 400, 422} <= set(told), told
    assert balance == sum(bank.statement(account))
    assert 0 <= available == balance - held


def test_a_client_that_hangs_up_disturbs_nobody(bank):
    """A request that breaks off in its body is not done, and the service goes on."""
    account = bank.open()
    host, port = bank.http.base_url.host, bank.http.base_url.port
    for sent in (
        b"",
        b"POST",
        b"\0\1\2\r\n\r\n",
        f"POST {account}/credit HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{".encode(),
    ):
        with socket.create_connection((host, port), PATIENCE) as connection:
            connection.sendall(sent)

    assert (200, {"status": "ok"}) == bank.show("/api/health")
    assert (0, 0, 0) == bank.money(account)


# --- at the same time ---------------------------------------------------------------------------


def pairs_of_debits(bank, rounds):
    """Debit an account twice at once, up to so many times, and say in which round an update was lost."""
    account = bank.open(rounds * 2)
    left = rounds * 2
    for number in range(rounds):
        told = at_once(*[lambda: bank.ask(f"{account}/debit", cents(1))] * 2)
        assert [200, 200] == [status for status, _ in told]
        left -= 2
        balance = bank.money(account)[0]
        if balance != left:
            return number, balance, sum(bank.statement(account))
    return None, left, sum(bank.statement(account))


def test_of_two_debits_at_once_none_is_lost(bank):
    """Without bugs, two debits at the same time are both done, and the statement adds up to the balance."""
    assert (None, 0, 0) == pairs_of_debits(bank, 150)


@pytest.fixture(scope="module")
def buggy(database) -> Iterator[Teller]:
    """Give a service with two bugs that have nothing to do with one another."""
    with running(database, "--bug", "lost-debit", "--bug", "flaky-release") as teller:
        yield teller


def test_with_the_switch_lost_debit_one_of_two_debits_is_lost(buggy):
    """With lost-debit on, an update is soon lost: the balance is higher than what the statement adds up to."""
    lost, balance, total = pairs_of_debits(buggy, 300)

    assert lost is not None
    assert balance == total + 1


def test_with_the_switch_lost_debit_nothing_is_lost_one_by_one(buggy):
    """With lost-debit on, debits that come one after the other are all done, and none overdraws."""
    account = buggy.open(20)
    told = [buggy.ask(f"{account}/debit", cents(1))[0] for _ in range(21)]

    assert [200] * 20 + [409] == told
    assert (0, 0, 0) == buggy.money(account)
    assert 0 == sum(buggy.statement(account))


def test_the_switch_flaky_release_shows_in_seventy_percent(buggy):
    """With flaky-release on, about 70 % of the voids leave their hold behind."""
    account = buggy.open(1000)
    for _ in range(60):
        assert 200 == buggy.ask(f"{buggy.hold(account, 1)}/void")[0]
    _, held, _ = buggy.money(account)

    assert 25 <= held <= 55


def test_at_once_no_more_is_spent_than_is_there(bank):
    """Debits and authorizations that arrive together get what is available, and not a cent more."""
    for _ in range(10):
        account = bank.open(3)
        debit = functools.partial(bank.ask, f"{account}/debit", cents(1))
        hold = functools.partial(bank.ask, "/api/authorizations", {"account": account[-36:], **cents(1)})
        told = Counter(status for status, _ in at_once(*[debit, hold] * 4))

        assert (3, 5) == (told[200] + told[201], told[409])
        assert (3 - told[200], told[201], 0) == bank.money(account)


def test_at_once_no_more_is_captured_than_was_authorized(bank):
    """Captures and voids that arrive together come one after the other."""
    for _ in range(10):
        account = bank.open(10)
        hold = bank.hold(account, 3)
        capture = functools.partial(bank.ask, f"{hold}/capture", {"amount": 1})
        void = functools.partial(bank.ask, f"{hold}/void")
        told = [status for status, _ in at_once(*[capture] * 5, void)]
        captured = told[:5].count(200)

        assert {200, 409} == set(told)
        assert captured <= 3
        assert (10 - captured, 0, 10 - captured) == bank.money(account)
        assert captured == bank.show(hold)[1]["captured"]


class Customer:
    """Somebody who asks for this and that, and notes what goes wrong."""

    def __init__(self, bank: Teller, seed: int, *, resets: bool = False) -> None:
        self.bank, self.chance, self.resets = bank, random.Random(seed), resets
        self.accounts: list[str] = []
        self.holds: list[str] = []
        self.told: Counter[int] = Counter()

    def act(self, accounts, holds):
        """Ask for one thing, now and then twice with one key."""
        amount = self.chance.randrange(1, 40)
        path, data = self.chance.choice(
            [
                (f"{self.chance.choice(accounts)}/credit", cents(amount)),
                (f"{self.chance.choice(accounts)}/debit", cents(amount)),
                ("/api/authorizations", {"account": self.chance.choice(accounts)[-36:], **cents(amount)}),
                *[(f"{hold}/capture", {"amount": amount // 3 + 1}) for hold in holds[-3:]],
                *[(f"{hold}/void", None) for hold in holds[-1:]],
            ]
        )
        key = str(uuid4()) if self.chance.random() < 0.5 else None
        status, said = self.bank.ask(path, data, key)
        self.told[status] += 1
        if status == 201:
            holds.append(f"/api/authorizations/{said['id']}")
        if key and status < 300 and self.chance.random() < 0.5:
            again = self.bank.ask(path, data, key)
            assert (status, said) == again or self.resets
            self.told[again[0]] += 1


def traffic(bank, customers, work):
    """Let customers work at the same time."""
    at_once(*[lambda customer=customer: work(customer) for customer in customers])
    told = sum((customer.told for customer in customers), Counter())
    assert 500 > max(told), told
    return told


def test_after_random_traffic_the_books_are_in_order(bank):
    """Statements add up to balances, holds to what is left of open authorizations, and nothing is overdrawn."""
    accounts, holds = [bank.open(200) for _ in range(3)], []
    customers = [Customer(bank, seed) for seed in range(8)]
    told = traffic(bank, customers, lambda customer: [customer.act(accounts, holds) for _ in range(60)])

    assert {200, 201, 409} == set(told)
    left: Counter[str] = Counter()
    for status, hold in map(bank.show, holds):
        assert 200 == status
        assert 0 <= hold["captured"] <= hold["amount"]
        assert (hold["status"] == "captured") == (hold["captured"] == hold["amount"])
        left[f"/api/accounts/{hold['account']}"] += (hold["amount"] - hold["captured"]) * (hold["status"] == "open")
    for account in accounts:
        balance, held, available = bank.money(account)
        assert balance == sum(bank.statement(account))
        assert held == left[account]
        assert 0 <= available == balance - held


def test_resets_in_the_middle_of_traffic_are_no_errors_of_the_server(bank):
    """Who loses an account by a reset is told that it is not there; neither he nor the reset gets a 500."""

    def work(customer):
        for number in range(12):
            if number % 4 == customer.chance.randrange(4):
                customer.told[bank.ask("/api/reset")[0]] += 1
            accounts, holds = [bank.open(100)], []
            for _ in range(6):
                customer.act(accounts, holds)

    told = traffic(bank, [Customer(bank, seed, resets=True) for seed in range(8)], work)

    assert {200, 201, 404} <= set(told) <= {200, 201, 404, 409}
    assert (200, {}) == bank.ask("/api/reset")
    assert (200, {"accounts": []}) == bank.show("/api/accounts")


def test_resets_at_once_are_one_reset(bank):
    """Resets that arrive together are all done."""
    for _ in range(5):
        for _ in range(3):
            bank.hold(bank.open(10), 5)

        assert [(200, {})] * 6 == at_once(*[lambda: bank.ask("/api/reset")] * 6)
        assert (200, {"accounts": []}) == bank.show("/api/accounts")


# --- where the network fails --------------------------------------------------------------------

FAULTS = [bug.name for bug in BUGS if bug.kind == "fault"]
TRIES = 5  # of what a busy machine may miss


@pytest.fixture(scope="module")
def switching(database) -> Iterator[Teller]:
    """Give a service whose bugs are switched while it runs."""
    start = shlex.join([sys.executable, "-m", "tests.switched", "toybank", "--port", "{port}"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database)
        with service.reached(url=None, start=start, health="{url}/api/health", patience=None) as base:
            teller = Teller(base)
            with teller.http:
                yield teller


@pytest.fixture
def faulty(switching) -> Callable[..., Teller]:
    """Give what switches bugs on, and gives the service, with nothing in it."""

    def switch(*bugs):
        switching.http.put("/bugs", json=bugs).raise_for_status()
        assert (200, {}) == switching.ask("/api/reset")
        return switching

    return switch


def requested(bank, kind):
    """Prepare an account with an authorization; give its path, and the path and the data of one kind of request."""
    account = bank.open(100)
    path = {
        "credit": f"{account}/credit",
        "debit": f"{account}/debit",
        "authorize": "/api/authorizations",
        "capture": f"{bank.hold(account, 20)}/capture",
    }[kind]
    return account, path, {"account": account[-36:], **cents(5)}


def books(bank, account):
    """Give what two looks in a row agree on: a request under way may be done between two pages of one look."""
    looks = [looked(bank, account), looked(bank, account)]
    while looks[-1] != looks[-2] and len(looks) < 10:
        looks.append(looked(bank, account))
    return looks[-1]


def looked(bank, account):
    """Give the money of an account, its authorizations as they were captured, and its statement."""
    holds = bank.show(f"{account}/authorizations")[1]["authorizations"]
    return bank.money(account), [hold["captured"] for hold in holds], bank.statement(account)


def without_its_answer(bank, kind):
    """Hang up on a request; give the books before it, after it, and after the same request with the same key."""
    account, path, data = requested(bank, kind)
    before, key = books(bank, account), str(uuid4())
    abrupt.hang_up(str(bank.http.base_url), path, data, key)
    lost = books(bank, account)
    assert bank.ask(path, data, key)[0] in {200, 201}
    return before, lost, books(bank, account)


ONCE = {
    "credit": ((105, 20, 85), [0], [100, 5]),
    "debit": ((95, 20, 75), [0], [100, -5]),
    "authorize": ((100, 25, 75), [0, 0], [100]),
    "capture": ((95, 15, 80), [5], [100, -5]),
}
TWICE = {
    "credit": ((110, 20, 90), [0], [100, 5, 5]),
    "debit": ((90, 20, 70), [0], [100, -5, -5]),
    "capture": ((90, 10, 80), [10], [100, -5, -5]),
}
BEFORE = ((100, 20, 80), [0], [100])


def awaited(database):
    """Wait until a request waits for its key."""
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(database, autocommit=True) as db:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while time.monotonic() < deadline:
            if db.execute(waiting).fetchone() != (0,):
                return
            time.sleep(0.002)
    pytest.fail("no request waits for its key")


@pytest.mark.parametrize("kind", ONCE)
def test_a_request_whose_client_hangs_up_meanwhile_is_done_to_its_end(kind, bank, database):
    """What had begun when its client hung up is done, and the same request with its key is not done again."""
    account, path, data = requested(bank, kind)
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("SELECT pg_advisory_lock(hashtextextended('gone', 0))")
        with abrupt.connected(str(bank.http.base_url)) as connection:
            connection.sendall(b"".join(abrupt.written(path, data, "gone")))
            awaited(database)
        time.sleep(abrupt.MOMENT)

        assert BEFORE == books(bank, account)
    deadline = time.monotonic() + PATIENCE
    while books(bank, account) == BEFORE and time.monotonic() < deadline:
        time.sleep(0.005)

    assert ONCE[kind] == books(bank, account)
    assert bank.ask(path, data, "gone")[0] in {200, 201}
    assert ONCE[kind] == books(bank, account)


@pytest.mark.parametrize("kind", ONCE)
def test_a_client_that_hangs_up_finds_its_request_done_or_not(kind, bank):
    """A request whose client hangs up is done whole or not at all; with its key again, it is done once."""
    before, lost, again = without_its_answer(bank, kind)

    assert BEFORE == before
    assert lost in (BEFORE, ONCE[kind])
    assert ONCE[kind] == again


@pytest.mark.parametrize("kind", TWICE)
def test_with_the_switch_hang_up_forgets_key_a_retry_pays_twice(kind, faulty):
    """With hang-up-forgets-key on, a payment whose client has hung up is done, and done again with the same key."""
    bank = faulty("hang-up-forgets-key")
    expected = BEFORE, ONCE[kind], TWICE[kind]
    tries = (without_its_answer(bank, kind) for _ in range(TRIES))

    assert expected in tries


def test_with_the_switch_hang_up_keeps_hold_nobody_gives_it_back(faulty):
    """With hang-up-keeps-hold on, an authorization whose client has hung up is gone, and what it held stays held."""
    bank = faulty("hang-up-keeps-hold")
    kept, twice = ((100, 25, 75), [0], [100]), ((100, 30, 70), [0, 0], [100])
    tries = (without_its_answer(bank, "authorize") for _ in range(TRIES))

    assert (BEFORE, kept, twice) in tries


def twice_at_once(bank, kind):
    """Send a request with its key twice at the same time; give the books after it."""
    account, path, data = requested(bank, kind)
    key = str(uuid4())
    told = at_once(*[lambda: bank.ask(path, data, key)] * 2)
    assert {200} == {status for status, _ in told}
    return books(bank, account)


@pytest.mark.parametrize("kind", TWICE)
def test_with_the_switch_duplicate_pays_twice_only_requests_at_once_do(kind, bank, faulty):
    """With duplicate-pays-twice on, a payment that comes twice at once is done twice; else it is done once."""
    assert ONCE[kind] == twice_at_once(bank, kind)

    buggy = faulty("duplicate-pays-twice")
    seen = [twice_at_once(buggy, kind) for _ in range(TRIES)]

    assert TWICE[kind] in seen
    assert all(each in (ONCE[kind], TWICE[kind]) for each in seen)


@pytest.mark.parametrize("bug", FAULTS)
def test_where_no_fault_is_the_switches_of_faults_show_nothing(bug, faulty):
    """With a bug on that only faults show, the ordinary runs of the model find nothing."""
    url = str(faulty(bug).http.base_url)
    result = integration.run(model=Bank, adapter=BankApi, base_url=url, seed=0, max_runs=2)

    assert (0, 2) == (result.exit_code, result.passed), result


def test_a_payment_whose_answer_was_read_is_kept(faulty):
    """With the bugs of hanging up on, whoever waits for the answer gets it, and the same again with the same key."""
    bank = faulty("hang-up-forgets-key", "hang-up-keeps-hold")
    for kind, expected in ONCE.items():
        account, path, data = requested(bank, kind)
        answers = [bank.ask(path, data, kind) for _ in range(2)]

        assert answers[0] == answers[1]
        assert expected == books(bank, account)


# --- the command line, and the process ----------------------------------------------------------


def printed(*arguments):
    """Run the command line until it ends by itself."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_switches_are_listed_one_a_line():
    """--list-bugs prints the names of the switches, one a line, and starts nothing."""
    done = printed("--list-bugs")

    assert (0, "") == (done.returncode, done.stderr)
    assert [bug.name for bug in BUGS] == done.stdout.splitlines()


def test_switches_are_listed_in_json():
    """--list-bugs --json prints all that is known of each switch."""
    done = printed("--list-bugs", "--json")

    assert [asdict(bug) for bug in BUGS] == json.loads(done.stdout)
    assert {"kind", "name", "shortest", "wrong"} == set(json.loads(done.stdout)[0])


def test_an_unknown_switch_is_told():
    """A switch that does not exist ends the program before anything is started."""
    done = printed("--bug", "no-such-bug")

    assert 2 == done.returncode
    assert "no-such-bug" in done.stderr.splitlines()[-1]


def test_two_services_on_one_database_do_not_disturb_one_another(database, bank):
    """Services with two schemas have accounts, keys and resets of their own."""
    account = bank.open()
    with running(database) as there:
        other = there.open()
        paid = bank.ask(f"{account}/credit", cents(5), "same"), there.ask(f"{other}/credit", cents(7), "same")
        unknown = there.show(account)[0]
        there.ask("/api/reset")

    assert [200, 200, 404] == [paid[0][0], paid[1][0], unknown]
    assert [(account[-36:], 5)] == [(row["id"], row["balance"]) for row in bank.show("/api/accounts")[1]["accounts"]]
    assert paid[0] == bank.ask(f"{account}/credit", cents(5), "same")


def test_a_service_that_is_started_again_finds_its_data(database):
    """On the same schema a new process finds accounts, authorizations and keys, and its migrations done."""
    name = schema()
    with running(database, name=name) as bank:
        account = bank.open()
        paid = bank.ask(f"{account}/credit", cents(50), "one")
        hold = bank.hold(account, 20)
    with running(database, name=name) as bank:
        assert (50, 20, 30) == bank.money(account)
        assert paid == bank.ask(f"{account}/credit", cents(50), "one")
        assert (200, -20, 30) == take(bank.ask(f"{hold}/capture", {"amount": 20}), "amount", "balance")
        assert [50, -20] == bank.statement(account)


def test_services_that_start_at_once_on_one_schema_share_it(database):
    """Three processes that start together make the tables once, and are one bank."""
    name = schema()
    with contextlib.ExitStack() as stack:
        banks = at_once(*[lambda: stack.enter_context(running(database, name=name))] * 3)
        account = banks[0].open(9)
        told = at_once(*[lambda bank=bank: bank.ask(f"{account}/debit", cents(3), "one") for bank in banks])

        assert [told[0]] * 3 == told
        assert [(6, 0, 6)] * 3 == [bank.money(account) for bank in banks]


@pytest.mark.parametrize("name", ["Bank", "my-bank", "my bank", 'a"b', "select", "a,b", "back\\slash", "it's"])
def test_a_schema_may_have_any_name(name, database):
    """The tables are made in the schema that was named, whatever characters its name has."""
    bank = Ledger(database, name)
    try:
        opened = bank.open_account("Ada", "EUR")
    finally:
        bank.close()
    with psycopg.connect(database) as db:
        query = psycopg.sql.SQL("SELECT id FROM {}").format(psycopg.sql.Identifier(name, "accounts"))
        rows = db.execute(query).fetchall()

    assert [opened["id"]] == [str(row[0]) for row in rows]


@contextlib.contextmanager
def started(
    url: str, port: int, *options: str, prefix=(), room: Path | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Start a service as a shell does, by nobody's supervisor; it is killed in the end."""
    more = {"TMPDIR": str(room)} if room else {}
    process = subprocess.Popen(
        [*prefix, *COMMAND, "--port", str(port), *options],
        cwd=ROOT,
        env=environment(DATABASE_URL=url, **more),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def talking(port: int) -> Iterator[Teller]:
    """Give somebody who talks to what listens at a port."""
    teller = Teller(f"http://127.0.0.1:{port}")
    with teller.http:
        yield teller


def healthy(bank: Teller, process: "subprocess.Popen[str] | None" = None) -> None:
    """Wait until a service is healthy."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        with contextlib.suppress(httpx.ConnectError):
            assert (200, {"status": "ok"}) == bank.show("/api/health")
            return
        time.sleep(0.03)
    pytest.fail("the service is not there")


@pytest.fixture
def room() -> Iterator[Path]:
    """Give a folder for temporary files; its path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="room-"))
    folder.chmod(0o755)
    yield folder
    for pid in processes(folder.name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def left(room: Path, patience: float = 8) -> list[object]:
    """List the processes that name a folder, and what is in it, once they had time to go."""
    deadline = time.monotonic() + patience
    while True:
        found = [*processes(room.name), *room.iterdir()]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


@LINUX
def test_sigterm_ends_a_service_and_leaves_nothing(room):
    """SIGTERM ends a service with its PostgreSQL; neither a process nor a file is left, nor is an error told."""
    port = free_port()
    with started("", port, "--schema", f"in_{room.name}", room=room) as process:
        with talking(port) as bank:
            healthy(bank, process)
            account = bank.open(5)
            money = bank.money(account)
            begun = len(left(room, patience=0))
            process.terminate()
            said = process.communicate(timeout=PATIENCE)[0]

        assert (5, 0, 5) == money
        assert begun > 3
        assert (143, "") == (process.returncode, said)
        assert [] == left(room, patience=0)


SENT = (
    b"",
    b"GET /api/hea",
    b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /api/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
)


def test_clients_that_are_slow_do_not_hold_up_the_end(database):
    """A service ends within seconds of SIGTERM, whatever its clients still have to say; who hung up is no error."""
    port = free_port()
    with started(database, port, "--schema", schema()) as process, contextlib.ExitStack() as stack:
        with talking(port) as bank:
            healthy(bank, process)
        for sent in SENT:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as broken:
                broken.sendall(sent)
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            slow.sendall(sent)
        time.sleep(0.3)
        process.terminate()
        try:
            said = process.communicate(timeout=8)[0]
        except subprocess.TimeoutExpired:
            pytest.fail("the service waits for its clients")

    assert 143 == process.returncode
    assert "ClientDisconnect" not in said


PARENT = """
import subprocess, sys, time
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
print(process.pid, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def orphaned(url: str, *options: str, room: Path) -> Iterator[tuple[Teller, str, int]]:
    """Start a service, open an account, and kill the program that started it: give the account and the service's id."""
    port = free_port()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *COMMAND, "--port", str(port), "--schema", f"in_{room.name}", *options],
        cwd=ROOT, env=environment(DATABASE_URL=url, TMPDIR=str(room)), text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    with talking(port) as bank:
        try:
            pid = int(parent.stdout.readline())
            healthy(bank)
            account = bank.open(5)
        finally:
            parent.kill()
            parent.communicate()
        yield bank, account, pid


@LINUX
def test_a_service_ends_with_its_parent(room):
    """When the program that started it is killed, a service ends, and its PostgreSQL with it."""
    with orphaned("", room=room) as (bank, _, _):
        assert [] == left(room)
        with pytest.raises(httpx.ConnectError):
            bank.show("/api/health")


@LINUX
@pytest.mark.parametrize("moment", [0.1, 0.4, 0.8])
def test_a_service_whose_parent_ends_while_it_starts_ends_too(moment, room):
    """However soon the program that started it is killed, nothing is left of the service and its PostgreSQL."""
    command = [*COMMAND, "--port", str(free_port()), "--schema", f"in_{room.name}"]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *command], cwd=ROOT, env=environment(DATABASE_URL="", TMPDIR=str(room)),
        text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout.readline()
    time.sleep(moment)
    parent.kill()
    parent.communicate()

    assert [] == left(room)


@LINUX
def test_a_request_that_waits_for_a_lock_does_not_keep_a_service_alive(database, room):
    """Who waits for a row that somebody else has locked is told so with 503, also when the service is to end."""
    port, schema = free_port(), f"in_{room.name}"
    with started(database, port, "--schema", schema, room=room) as process, talking(port) as bank:
        healthy(bank, process)
        account = bank.open(5)
        with psycopg.connect(database) as db, ThreadPoolExecutor() as pool:
            db.execute(
                psycopg.sql.SQL("SELECT * FROM {} FOR UPDATE").format(psycopg.sql.Identifier(schema, "accounts"))
            )
            waiting = pool.submit(bank.http.post, f"{account}/credit", json=cents(1), timeout=30)
            refused = waiting.result(30)
            waiting = pool.submit(bank.http.post, f"{account}/credit", json=cents(1), timeout=30)
            time.sleep(0.3)
            process.terminate()
            process.wait(15)
            waiting.exception(30)

    assert 503 == refused.status_code
    assert 143 == process.returncode
    assert [] == left(room)


@LINUX
def test_a_service_outlives_its_parent_if_it_is_told_to(database, room):
    """With --outlive-parent, a service goes on when the program that started it is killed."""
    with orphaned(database, "--outlive-parent", room=room) as (bank, account, pid):
        time.sleep(5 * PARENT_POLL)
        money = bank.money(account)
        os.kill(pid, signal.SIGTERM)

    assert (5, 0, 5) == money
    assert [] == left(room)


@LINUX
def test_an_ordinary_user_is_served(room):
    """Somebody who is not root has a service with a PostgreSQL of its own, and nothing of it is left."""
    prefix = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
    if prefix and subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("this machine forbids user namespaces")
    port = free_port()
    with started("", port, "--schema", f"in_{room.name}", prefix=prefix, room=room) as process:
        with talking(port) as bank:
            healthy(bank, process)
            account = bank.open(7)
            money = bank.money(account)
        process.terminate()
        said = process.communicate(timeout=PATIENCE)[0]

        assert (7, 0, 7) == money
        assert (143, "") == (process.returncode, said)
        assert [] == left(room, patience=0)
