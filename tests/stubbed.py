"""A service made of a description: it keeps what is made, and answers all else with values that fit the schemas.

`python -m stubbed FILE --port N`; it refuses what does not fit, and what is not there.
"""

import argparse
import json
import random
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from replaykit.openapi.description import accept, read
from replaykit.openapi.fit import Fit
from replaykit.openapi.link import links_of
from replaykit.openapi.operation import operations_of
from replaykit.openapi.schema import members, type_of, whole, without_null
from replaykit.openapi.shape import Shapes
from replaykit.source import Source


class Stub:
    """One service, with what was made in it."""

    def __init__(self, path: Path):
        self.description = accept(read(path))
        self.operations = list(operations_of(self.description))
        self.links = links_of(self.description, self.operations)
        self.requests, self.answers = Fit(self.description, is_request=True), Shapes(self.description, is_request=False)
        self.made: dict[str, dict[str, dict]] = {}  # kind -> id -> what it looks like
        self.random = random.Random(1)
        self.routes = [
            (each, re.compile(re.sub(r"\{[^}]+\}", "([^/]+)", each.path.replace(".", r"\.")) + "$"))
            for each in sorted(self.operations, key=lambda each: each.path.count("{"))
        ]

    def answer(self, method: str, target: str, body: bytes, content_type: str):
        """Return a status, and what is said in JSON."""
        parts = urlsplit(target)
        if parts.path == "/":
            return 200, {}
        for operation, route in self.routes:
            found = route.match(parts.path)
            if operation.method == method and found:
                values = dict(
                    zip([each.name for each in operation.in_path()], map(unquote, found.groups()), strict=True)
                )
                return self.act(operation, values, parse_qs(parts.query), self.read(operation, body, content_type))
        return 404, self.refusal(None)

    def read(self, operation, body: bytes, content_type: str):
        if not body:
            return {}
        if "json" in content_type:
            return json.loads(body)
        inside = members(self.description, operation.body.schema)
        said = parse_qs(body.decode(), keep_blank_values=True)
        return {name: self.typed(inside[name].pointer, texts[0]) for name, texts in said.items()}

    def typed(self, pointer: str, text: str):
        if type_of(without_null(self.description, whole(self.description, pointer))) in {"integer", "number"}:
            try:
                return int(text)
            except ValueError:
                return text
        return text

    def act(self, operation, path, query, sent):
        for each in operation.parameters:
            if each.place != "query" or each.name not in query or not each.schema or each.style != "form":
                continue
            if not self.requests.is_met(each.schema, self.typed(each.schema, query[each.name][0])):
                return self.refused(operation, 422)
        if operation.body is not None and not self.requests.is_met(operation.body.schema, sent):
            return self.refused(operation, 422)
        for name, value in path.items():
            kind = self.links.refs.get((operation.endpoint, "path", name))
            if kind is not None and value not in self.made.get(kind, {}):
                return self.refused(operation, 404)
        return self.done(operation, path, sent if isinstance(sent, dict) else {})

    def done(self, operation, path, sent):
        status = int(next((name for name in sorted(operation.replies) if name.startswith("2")), "200"))
        item = self.links.item(operation)
        made = next((each for each in self.links.kinds.values() if operation.endpoint in each.made_by), None)
        listed = next((each for each in self.links.kinds.values() if operation.endpoint in each.listed_by), None)
        answer = self.sample(operation)
        if made is not None and method_makes(operation):
            own = made.made_by[operation.endpoint].rpartition("/")[2]
            count = sum(map(len, self.made.values())) + self.random.randrange(10**6)
            chosen = count if type_of(whole(self.description, made.id_schema)) == "integer" else f"t{count}"
            answer = {**answer, **sent, own: chosen}
            self.made.setdefault(made.name, {})[str(chosen)] = answer | {"\0parents": tuple(sorted(path.values()))}
        elif item is not None and operation.method in {"GET", "PUT", "PATCH", "POST"}:
            kept = self.made[item][list(path.values())[-1]]
            kept.update(sent)
            answer = kept
        elif item is not None and operation.method == "DELETE":
            del self.made[item][list(path.values())[-1]]
        elif listed is not None:
            where = tuple(sorted(path.values()))
            rows = [each for each in self.made.get(listed.name, {}).values() if each["\0parents"] == where]
            rows = [{name: value for name, value in each.items() if name != "\0parents"} for each in rows]
            name = listed.listed_by[operation.endpoint].split("/")[1]
            answer = rows if name == "*" else {**answer, name: rows}
        if isinstance(answer, dict):
            answer = {name: value for name, value in answer.items() if name != "\0parents"}
        return status, answer

    def sample(self, operation):
        reply = operation.success
        shape = self.answers.of(reply.json) if reply is not None and reply.json is not None else None
        if shape is None:
            return {}
        return shape.generator.build(shape.generator.sample(Source(self.random.randrange(10**6)), 5))

    def refused(self, operation, status):
        return status if operation.reply(status) else 404, self.refusal(operation)

    def refusal(self, operation):
        del operation
        return {"message": "no", "error": {"type": "invalid_request_error"}}


def method_makes(operation) -> bool:
    return operation.method in {"POST", "PUT"}


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args()
    stub = Stub(chosen.file)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, said = stub.answer(self.command, self.path, body, self.headers.get("content-type", ""))
            text = b"" if status in {204, 304} else json.dumps(said).encode()
            self.send_response(status)
            if text:
                self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815  as the library calls them

        def log_message(self, *_):
            pass

    ThreadingHTTPServer(("127.0.0.1", chosen.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
