"""A client that sends what no library does: requests in pieces, and requests whose answer it does not wait for."""

import json
import socket
import time
from typing import Any

import httpx

PATIENCE = 10.0  # seconds
MOMENT = 0.012  # seconds in which a service has begun with a request, and a bug that takes its time has not ended


def written(path: str, data: object, key: str | None = None) -> tuple[bytes, bytes]:
    """Write a request as its head and its body."""
    body = json.dumps(data).encode()
    headers = ["Host: service", "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close"]
    if key is not None:
        headers.append(f"Idempotency-Key: {key}")
    return "\r\n".join([f"POST {path} HTTP/1.1", *headers, "", ""]).encode(), body


def connected(url: str) -> socket.socket:
    """Connect to a service; each piece is sent at once."""
    place = httpx.URL(url)
    connection = socket.create_connection((place.host, place.port), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def hang_up(url: str, path: str, data: object, key: str | None = None) -> None:
    """Send a request, and hang up a moment later; an answer that is there by then is not read."""
    with connected(url) as connection:
        connection.sendall(b"".join(written(path, data, key)))
        time.sleep(MOMENT)


def in_pieces(url: str, *pieces: bytes) -> tuple[int, Any]:
    """Send a request piece by piece; return the status and the JSON of the answer."""
    with connected(url) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(MOMENT)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)
