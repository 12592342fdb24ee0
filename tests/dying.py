"""A service that dies in a way that can be chosen.

    python tests/dying.py PORT HOW

It keeps a total. HOW: `well`; `early`, wrong where 8 or more is added in its first three requests; `in`, it dies in
the middle of an addition of 8 or more; `after`, it answers such a one with a 500, and dies then; `once`, as `in`, but
only if the file beside it is not there, which it makes; `sick`, its health check fails from then on; `chatty`, it
prints a lot; `wrong`, a bug like others, where 8 or more is added, and it dies where 0 is added to 0.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LARGE = 8
EARLY = 3  # requests


class Handler(BaseHTTPRequestHandler):
    """The service."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    total = requests = 0
    how = "well"
    mark = Path()
    is_sick = False

    def do_GET(self) -> None:
        """Say how it is."""
        self.answer(503 if Handler.is_sick else 200, {})

    def do_POST(self) -> None:
        """Add, or start again."""
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/reset":
            Handler.total = 0
            return self.answer(200, {})
        if self.path != "/add":
            return self.answer(404, {})
        Handler.requests += 1
        number = json.loads(text)["number"]
        Handler.total += number
        if Handler.how == "chatty":
            print("x" * 50_000, flush=True)
        if Handler.how == "wrong" and Handler.total == 0:
            self.die()
        if number >= LARGE:
            return self.go_wrong(number)
        return self.answer(200, {"total": Handler.total})

    def go_wrong(self, number: int) -> None:
        """Do what was chosen."""
        how, status, total = Handler.how, 200, Handler.total
        if how == "in" or (how == "once" and not Handler.mark.exists()):
            Handler.mark.touch()
            self.die()
        if how == "after":
            threading.Timer(0.01, lambda: os._exit(3)).start()
            status = 500
        Handler.is_sick = Handler.is_sick or how == "sick"
        if how == "wrong" or (how == "early" and Handler.requests <= EARLY):
            total += 1
        return self.answer(status, {"total": total})

    def die(self) -> None:
        """End in the middle of a request."""
        print("out of memory", flush=True)
        os._exit(3)

    def answer(self, status: int, data: object) -> None:
        """Answer."""
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    Handler.how = sys.argv[2]
    Handler.mark = Path(sys.argv[3] if len(sys.argv) > 3 else os.devnull)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
