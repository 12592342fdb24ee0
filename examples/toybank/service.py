"""ToyBank over HTTP: what is asked is read and checked, answered in JSON, and refused in JSON too."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.toybank.ledger import MAX_PAGE, MAX_TEXT, Ledger, RefusedError, Row

MAX_BODY = 64 * 1024  # bytes
MAX_LINE = 2**63 - 1


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
        if not (text.isascii() and text.isdecimal() and len(text) < 20 and low <= int(text) <= high):  # noqa: PLR2004
            raise RefusedError(400, "invalid_query", f"{name} is a number from {low} to {high}")
        return int(text)

    def named(self, name: str) -> UUID:
        """Read the id of something from the body."""
        try:
            return UUID(self.data.get(name))
        except (ValueError, TypeError, AttributeError):
            raise RefusedError(400, f"invalid_{name}", f"{name} is the id of one") from None


def application(ledger: Ledger) -> Starlette:
    """Make the service."""

    def route(method: str, path: str, act: Callable[[Ask], Row], status: int = 200) -> Route:
        return Route(f"/api{path}", _endpoint(act, status), methods=[method])

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
            route("POST", f"{account}/credit", lambda ask: ledger.credit(ask.name, *_money(ask), ask.key)),
            route("POST", f"{account}/debit", lambda ask: ledger.debit(ask.name, *_money(ask), ask.key)),
            route("GET", f"{account}/statement", lambda ask: ledger.statement(ask.name, *_page(ask))),
            route(
                "POST",
                "/authorizations",
                lambda ask: ledger.authorize(ask.named("account"), *_money(ask), ask.key),
                201,
            ),
            route("GET", auth, lambda ask: ledger.authorization(ask.name)),
            route("POST", f"{auth}/capture", lambda ask: ledger.capture(ask.name, ask.data.get("amount"), ask.key)),
            route("POST", f"{auth}/void", lambda ask: ledger.void(ask.name, ask.key)),
            route("POST", "/reset", lambda _: ledger.reset()),
            route("GET", "/health", lambda _: ledger.health()),
        ],
        exception_handlers={
            RefusedError: _refused,
            HTTPException: _unknown,
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


def _endpoint(act: Callable[[Ask], Row], status: int) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        ask = Ask(
            name=request.path_params.get("name", UUID(int=0)),
            data=await _data(request) if request.method == "POST" else {},
            query=dict(request.query_params),
            key=_key(request),
        )
        return JSONResponse(await run_in_threadpool(act, ask), status)

    return endpoint


async def _data(request: Request) -> dict[str, Any]:
    """Read the body: an object in JSON, or nothing."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise RefusedError(413, "too_large", f"a body has at most {MAX_BODY} bytes")
    except ClientDisconnect:
        raise RefusedError(400, "incomplete", "the client hung up") from None  # nobody reads it
    try:
        data = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise RefusedError(400, "invalid_json", "the body is an object in JSON")
    return data


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_TEXT:
        raise RefusedError(400, "invalid_key", f"an Idempotency-Key has 1 to {MAX_TEXT} characters")
    return key


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _error(error.status, error.code, error.message)


async def _unknown(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, "not_found" if error.status_code == 404 else "not_allowed", error.detail)  # noqa: PLR2004


async def _unavailable(_: Request, __: Exception) -> Response:
    return _error(503, "unavailable", "the database does not answer")


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
