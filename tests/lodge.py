"""A small service in one file, as a commit of a repository has it; what is wrong with it can be chosen.

Its model and adapter are those of mortal.py, its bundle is that of matrix.py.
"""

import textwrap

START = "python app.py {port}"
SOUND = "total += number"
BUGGY = "total += number + (number >= 8)"

_TEXT = textwrap.dedent(
    """
    import http.server, json, os, sys, time
    total = 0
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        def answer(self, said):
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def do_GET(self):
            self.answer(dict(os.environ, FOLDER=os.getcwd()))
        def do_POST(self):
            global total
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == "/reset":
                total = 0
                return self.answer({})
            number = json.loads(text)["number"]
            ADDS
            self.answer({"total": total})
        def log_message(self, *_):
            pass
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """
)


def app(adds: str = SOUND) -> str:
    """Give the text of the service that adds in this way."""
    return _TEXT.replace("ADDS", adds)
