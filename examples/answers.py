"""What the example services say to a client that asks for what can't be done: JSON with a code and a message."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

MAX_BODY = 64 * 1024  # bytes
CODES = {404: "not_found", 405: "method_not_allowed"}  # of requests that no endpoint takes


class RefusedError(Exception):
    """What the client asked for can't be done: the status of the answer, a code and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


async def document(request: Request, *, whole: bool = True) -> dict[str, Any]:
    """Read the body of a request: a JSON object, or nothing; or only its first piece. Raises RefusedError."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise RefusedError(413, "too_large", f"a body has at most {MAX_BODY} bytes")
            if not whole:
                break
    except ClientDisconnect:
        raise RefusedError(400, "incomplete", "the client hung up") from None  # nobody reads it
    try:
        data = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise RefusedError(400, "invalid_json", "the body is an object in JSON")
    return data


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Make the answer that says why not."""
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers=headers)


async def refused(_: Request, why: Exception) -> Response:
    """Say what an endpoint refuses."""
    assert isinstance(why, RefusedError)
    return error(why.status, why.code, why.message)


async def not_routed(_: Request, why: Exception) -> Response:
    """Say that there is no such endpoint, or no such method of it."""
    assert isinstance(why, HTTPException)
    return error(why.status_code, CODES.get(why.status_code, "refused"), why.detail, why.headers)
