"""ToyBank over HTTP: what is asked is read and checked, answered in JSON, and refused in JSON too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.answers import RefusedError, document, error, not_routed, refused
from examples.regrets import Regrets
from examples.toybank.ledger import MAX_PAGE, MAX_TEXT, Ledger, Row

MAX_LINE = 2**63 - 1
MAX_DIGITS = 19  # of a number in the query string: int() takes its time with long ones


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as the endpoints see it."""

    name: UUID  # of the account or the authorization in the path
    data: dict[str, Any]  # the JSON body
    query: dict[str, str]
    key: str | None  # Idempotency-Key

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Read a number of the query string."""
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS and low <= int(text) <= high):
            raise RefusedError(400, "invalid_query", f"{name} is a number from {low} to {high}")
        return int(text)

    def named(self, name: str) -> UUID:
        """Read the id of something from the body."""
        try:
            return UUID(self.data.get(name))
        except (ValueError, TypeError, AttributeError):
            raise RefusedError(400, f"invalid_{name}", f"{name} is the id of one") from None


@dataclass(frozen=True, slots=True)
class Undo:
    """What a bug undoes of a request whose client has hung up."""

    bug: str
    act: Callable[[Ask, Row], None]


def application(ledger: Ledger) -> Starlette:
    """Make the service."""
    regrets = Regrets()

    def route(method: str, path: str, act: Callable[[Ask], Row], status: int = 200, undo: Undo | None = None) -> Route:
        async def endpoint(request: Request) -> Response:
            ask = await _ask(request)
            await regrets.over()
            made = await run_in_threadpool(act, ask)
            async with regrets.after(request, bug=undo is not None and undo.bug in ledger.bugs) as hung_up:
                if undo is not None and hung_up:
                    await run_in_threadpool(undo.act, ask, made)
            return JSONResponse(made, status)

        return Route(f"/api{path}", endpoint, methods=[method])

    forget = Undo("hang-up-forgets-key", lambda ask, _: ledger.forget(ask.key))
    take_back = Undo("hang-up-keeps-hold", lambda ask, made: ledger.take_back(UUID(made["id"]), ask.key))

    account, auth = "/accounts/{name:uuid}", "/authorizations/{name:uuid}"
    app = Starlette(
        routes=[
            route(
                "POST",
                "/accounts",
                lambda ask: ledger.open_account(ask.data.get("owner"), ask.data.get("currency")),
                201,
            ),
            route("GET", "/accounts", lambda _: ledger.accounts()),
            route("GET", account, lambda ask: ledger.account(ask.name)),
            route("POST", f"{account}/credit", lambda ask: ledger.credit(ask.name, *_money(ask), ask.key), undo=forget),
            route("POST", f"{account}/debit", lambda ask: ledger.debit(ask.name, *_money(ask), ask.key), undo=forget),
            route("GET", f"{account}/statement", lambda ask: ledger.statement(ask.name, *_page(ask))),
            route("GET", f"{account}/authorizations", lambda ask: ledger.authorizations(ask.name)),
            route(
                "POST",
                "/authorizations",
                lambda ask: ledger.authorize(ask.named("account"), *_money(ask), ask.key),
                201,
                take_back,
            ),
            route("GET", auth, lambda ask: ledger.authorization(ask.name)),
            route(
                "POST",
                f"{auth}/capture",
                lambda ask: ledger.capture(ask.name, ask.data.get("amount"), ask.key),
                undo=forget,
            ),
            route("POST", f"{auth}/void", lambda ask: ledger.void(ask.name, ask.key)),
            route("POST", "/reset", lambda _: ledger.reset()),
            route("GET", "/health", lambda _: ledger.health()),
        ],
        exception_handlers={
            RefusedError: refused,
            HTTPException: not_routed,
            psycopg.OperationalError: _unavailable,
            psycopg_pool.PoolTimeout: _unavailable,
        },
    )
    app.router.redirect_slashes = False
    return app


def _money(ask: Ask) -> tuple[Any, Any]:
    return ask.data.get("amount"), ask.data.get("currency")


def _page(ask: Ask) -> tuple[int, int]:
    return ask.number("limit", 20, 1, MAX_PAGE), ask.number("after", 0, 0, MAX_LINE)


async def _ask(request: Request) -> Ask:
    return Ask(
        name=request.path_params.get("name", UUID(int=0)),
        data=await document(request) if request.method == "POST" else {},
        query=dict(request.query_params),
        key=_key(request),
    )


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_TEXT:
        raise RefusedError(400, "invalid_key", f"an Idempotency-Key has 1 to {MAX_TEXT} characters")
    return key


async def _unavailable(_: Request, __: Exception) -> Response:
    return error(503, "unavailable", "the database does not answer")
