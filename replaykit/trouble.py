"""Trouble: the network errors of other clients in the words that httpx has for them, and back.

The classes are known by their names, so that no client is imported that nobody uses. What is raised again is of the
class that the client raises in the usual case of such trouble, which need not be the very one that was recorded.
"""

import errno
import http.client
import sys
from typing import Any
from urllib.parse import urlsplit

from replaykit.interaction import Request, Trouble

_NAMES = {  # of classes of exceptions: what httpx calls it
    # urllib3
    "NewConnectionError": "ConnectError",
    "ConnectTimeoutError": "ConnectTimeout",
    "ReadTimeoutError": "ReadTimeout",
    "ProtocolError": "RemoteProtocolError",
    # aiohttp
    "ConnectionTimeoutError": "ConnectTimeout",
    "ServerTimeoutError": "ReadTimeout",
    "ServerDisconnectedError": "RemoteProtocolError",
    "ClientPayloadError": "RemoteProtocolError",
    "ClientResponseError": "",  # an answer, whose status was not liked
    "InvalidURL": "",
    "ClientConnectorError": "ConnectError",
    "ClientOSError": "ReadError",
    "CancelledError": "ReadTimeout",  # by asyncio.wait_for and its kin
    # the standard library
    "gaierror": "ConnectError",
    "SSLCertVerificationError": "ConnectError",
    "ConnectionRefusedError": "ConnectError",
    "RemoteDisconnected": "RemoteProtocolError",
    "HTTPException": "RemoteProtocolError",
    "BrokenPipeError": "WriteError",
    "TimeoutError": "ReadTimeout",
    "OSError": "ReadError",
}


def network_trouble(error: BaseException, *, connected: bool) -> Trouble | None:
    """Say a network error in the words of httpx; None where it is something else."""
    names = [kind.__name__ for kind in type(error).__mro__]
    if "TransportError" in names and type(error).__module__.startswith("httpx"):
        return Trouble(error=type(error).__name__, message=str(error))
    found = next((_NAMES[name] for name in names if name in _NAMES), "")
    if not connected and found == "ReadTimeout":
        found = "ConnectTimeout"
    if not connected and "OSError" in names and "ConnectionError" not in names and found == "ReadError":
        found = "ConnectError"  # no route, no such network
    return Trouble(error=found, message=_message_of(error)) if found else None


def _message_of(error: BaseException) -> str:
    """Return the message without what the client puts before it, and will put there again."""
    if type(error).__name__ in {"NewConnectionError", "ConnectTimeoutError"}:
        return str(error).partition("): ")[2] or str(error)
    if type(error).__name__.startswith("ClientConnector"):
        return str(getattr(error, "strerror", error))
    return str(error)


def of_http_client(trouble: Trouble) -> Exception:
    """Return what the standard library raises."""
    message = trouble.message
    if trouble.error == "ConnectError":
        return ConnectionRefusedError(message)
    if trouble.error.endswith("Timeout"):
        return TimeoutError(message)
    if trouble.error == "RemoteProtocolError":
        return http.client.RemoteDisconnected(message)
    return ConnectionResetError(message)


def of_urllib3(connection: Any, trouble: Trouble) -> Exception:
    """Return what a connection of urllib3 raises, of which urllib3, requests and botocore make theirs."""
    errors = sys.modules["urllib3.exceptions"]
    if trouble.error in {"ConnectError", "ConnectTimeout"}:
        name = "NewConnectionError" if trouble.error == "ConnectError" else "ConnectTimeoutError"
        made: Exception = getattr(errors, name)(connection, trouble.message)
        return made
    return of_http_client(trouble)


def of_aiohttp(trouble: Trouble, request: Request) -> Exception:
    """Return what aiohttp raises."""
    aiohttp, message = sys.modules["aiohttp"], trouble.message
    made: Exception
    if trouble.error == "ConnectError":
        parts = urlsplit(request.url)
        key = sys.modules["aiohttp.client_reqrep"].ConnectionKey(
            parts.hostname or "", parts.port, parts.scheme == "https", True, None, None, None
        )
        made = aiohttp.ClientConnectorError(key, ConnectionRefusedError(errno.ECONNREFUSED, message))
    elif trouble.error == "ConnectTimeout":
        made = getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError)(message)
    elif trouble.error.endswith("Timeout") and not message:  # the one for the whole request
        made = TimeoutError()
    elif trouble.error.endswith("Timeout"):
        made = getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError)(message)
    elif trouble.error == "RemoteProtocolError" and message.startswith("Response payload"):
        made = aiohttp.ClientPayloadError(message)
    elif trouble.error == "RemoteProtocolError":
        made = aiohttp.ServerDisconnectedError(message)
    else:
        made = aiohttp.ClientOSError(message)
    return made


def of_httpx(trouble: Trouble, request: Any) -> Exception:
    """Return what httpx raises, or its successor, whichever the request is of."""
    library = sys.modules[type(request).__module__.partition(".")[0]]
    kind = getattr(library, trouble.error, None)
    if not (isinstance(kind, type) and issubclass(kind, library.TransportError)):
        kind = library.TransportError
    made: Exception = kind(trouble.message, request=request)
    return made
