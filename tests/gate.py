"""A service that carries one secret in seven ways, its model and its adapter; it stops counting after some visits."""

import base64
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, ClassVar, Self

from replaykit import Adapter, Command, Event, Model, Observation, check, gen, handles, observes, on, requires, same

TOKEN = 'tök/en+"s3cret"&=%0123456789'  # what is hard to find again in every disguise
CARRIERS = ("header", "cookie", "gzip", "base64", "escapes", "query", "nested", "basic")


def escaped(text: str) -> str:
    """Write a text in JSON with an escape for each character."""
    return '"' + "".join(f"\\u{ord(each):04x}" for each in text) + '"'


def disguises(secret: str) -> list[bytes]:
    """List how the secret can be seen in bytes that it stands in."""
    from urllib.parse import quote, quote_plus

    raw = secret.encode()
    parts = [base64.b64encode(b"x" * offset + raw)[4:-8] for offset in range(3)]
    shown = [quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], escaped(secret)[1:-1]]
    shown += [json.dumps(json.dumps(secret)[1:-1])[1:-1], json.dumps(json.dumps(secret, ensure_ascii=False))[3:-3]]
    return list(dict.fromkeys([raw, secret.encode("latin-1", "ignore"), *parts, *[each.encode() for each in shown]]))


class Service(ThreadingHTTPServer):
    """Logs in, and takes visits; each answer carries the secret in one of the ways."""

    daemon_threads = True

    def __init__(self, token: str = TOKEN, most: int = 2) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token = token
        self.most = most  # visits that are counted
        self.is_early = False  # does the reset tell the token, where nothing says that it is one?
        self.visits = 0
        self.logins: list[str] = []  # passwords that were given
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/api/health"):
            self._say({"ok": True})
        else:
            self._say({"visits": self.server.visits})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        server, token = self.server, self.server.token
        if self.path == "/reset":
            server.visits = 0
            self._say({"note": server.token} if server.is_early else {})
        elif self.path.startswith("/login"):
            server.logins.append(json.loads(body)["password"])
            self._say({"user": {"name": "a", "access_token": token}})
        else:
            carrier = self.path.split("/")[2].partition("?")[0]
            server.visits += server.visits < server.most
            said: dict[str, object] = {"visits": server.visits}
            raw = None
            headers = {}
            if carrier == "header":
                headers["X-Auth-Token"] = base64.b64encode(token.encode()).decode()
                headers["X-Echo"] = token.encode().decode("latin-1")
            elif carrier == "cookie":
                headers["Set-Cookie"] = f"sid={base64.urlsafe_b64encode(token.encode()).decode()}; Path=/; HttpOnly"
            elif carrier == "base64":
                said["blob"] = base64.b64encode(f"user:{token}:end".encode()).decode()
            elif carrier == "escapes":
                raw = f'{{"visits":{server.visits},"note":{escaped(token)}}}'.encode()
            elif carrier == "nested":
                said["deep"] = [{"er": {"note": json.dumps({"token": token})}}]
            else:
                said["note"] = f"it was {token}"
            self._say(said, raw, headers, packed=carrier == "gzip")

    def _say(
        self,
        data: dict[str, object],
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        packed: bool = False,
    ) -> None:
        body = raw or json.dumps(data).encode()
        if packed:
            body = gzip.compress(body)
        self.send_response(200)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class LogIn(Command):
    password: str = "correct horse battery 1"


class Visit(Command, weight=9):
    number: Annotated[int, gen.integers(0, 9)]


class LoggedIn(Event):
    token: str


class Visited(Event):
    visits: int
    note: str = ""


class Count(Observation):
    visits: int


class Gate(Model):
    commands: ClassVar = (LogIn, Visit)
    token: str = ""
    visits: int = 0

    @requires
    def is_in(self, cmd: Visit) -> bool:
        return bool(self.token)

    @requires
    def is_out(self, cmd: LogIn) -> bool:
        return not self.token

    @on
    def logged_in(self, event: LoggedIn) -> None:
        self.token = event.token

    @on
    def visited(self, event: Visited) -> None:
        self.visits += 1

    @check
    def counts(self, count: Count) -> None:
        same({"visits": count.visits, "of": self.token}, {"visits": self.visits, "of": self.token})


class GateApi(Adapter[Gate]):
    token: str = ""
    sent: int = 0  # visits

    def reset(self) -> None:
        self.http.post("/reset").raise_for_status()

    @handles
    def log_in(self, cmd: LogIn) -> LoggedIn:
        answer = self.http.post("/login", json={"password": cmd.password}).json()
        self.token = answer["user"]["access_token"]
        return LoggedIn(token=self.token)

    @handles
    def visit(self, cmd: Visit) -> Visited:
        carrier = CARRIERS[self.sent % len(CARRIERS)]
        self.sent += 1
        token, headers, query = self.token, {}, {}
        body: dict[str, object] = {"n": cmd.number}
        if carrier == "header":
            headers["Authorization"] = b"Bearer " + token.encode()
        elif carrier == "basic":
            headers["Authorization"] = b"Basic " + base64.b64encode(f"user:{token}".encode())
        elif carrier == "cookie":
            headers["Cookie"] = b"sid=" + base64.b64encode(token.encode())
        elif carrier == "query":
            query["key"] = token
        elif carrier == "base64":
            body["blob"] = base64.b64encode(f"user:{token}".encode()).decode()
        elif carrier == "nested":
            body["deep"] = [{"er": json.dumps({"x": token})}]
        answer = self.http.post(f"/visit/{carrier}", headers=headers, params=query, json=body).json()
        return Visited(visits=answer["visits"], note=str(answer.get("note", "")))

    @observes
    def count(self) -> Count:
        return Count(visits=self.http.get("/count").json()["visits"])
