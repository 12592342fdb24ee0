"""Scripts with curl, Python and pytest: run for real, against services with the bug and without, and none at all."""

import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import environment, leaderboard, replaykit

from replaykit import service
from replaykit.bundle import Bundle, Origin, Provenance
from replaykit.errors import UnexportableError
from replaykit.export import left_out, render
from replaykit.export.claims import Claim, claims_of
from replaykit.interaction import Cut, Headers, Interaction, Request, Response, Trouble
from replaykit.reader import read
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure

RECORDED = "http://127.0.0.1:9"  # nothing listens there
WAYS = [("curl", "dash"), ("curl", "bash"), ("python", sys.executable), ("pytest", sys.executable)]
EACH_WAY = pytest.mark.parametrize(("form", "program"), WAYS, ids=["dash", "bash", "python", "pytest"])
JSON = ("Content-Type", "application/json")


def run(text: str, program: str, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder of its own; it is named so that pytest takes it."""
    folder.mkdir(exist_ok=True)
    script = folder / "test_script.py"
    script.write_text(text, encoding="utf-8")
    given = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **more}  # the many plugins of this environment take their time
    clean = {key: value for key, value in environment(**given).items() if key != "PYTHONPATH"}
    command = [program, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean, cwd=folder, timeout=60, check=False)


def step_of(label: int, tag: str, args: dict, *interactions: Interaction, said: dict | None = None, **more) -> Step:
    """Make a step of a run."""
    event = None if said is None else Said(tag="done", version=1, data=json.dumps(said).encode())
    return Step(call=Call(label=label, tag=tag, args=args), interactions=interactions, event=event, **more)


def exchange(
    method: str, path: str, sent: object, status: int, got: object, headers: Headers = (), answer: Headers = (JSON,)
) -> Interaction:
    """Make an interaction of JSON."""
    body = b"" if sent is None else sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    request = Request(method=method, url=RECORDED + path, headers=((JSON, *headers) if body else headers), body=body)
    told = got if isinstance(got, bytes) else json.dumps(got).encode()
    return Interaction(request=request, response=Response(status=status, reason="OK", headers=answer, body=told))


def bundle_of(trace: Trace, url: str = RECORDED) -> Bundle:
    """Make a bundle of a run, or of a recording."""
    if trace.ending == "recorded":
        return Bundle(origin=Origin(url=url), trace=trace)
    origin = Provenance(
        url=url, model="m:M", adapter="m:A", model_digest="0", campaign_seed=1, run=0, seed=1, commands=9
    )
    return Bundle(origin=origin, trace=trace)


def failed(kind: str, step: int | None, *steps: Step, message: str = "it is wrong", **more) -> Bundle:
    """Make a bundle of a run that failed."""
    failure = Failure(kind=kind, name="rule", step=step, command="do", message=message)
    return bundle_of(Trace(steps=steps, ending="failed", failure=failure, **more))


# --- a bug that was found


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, str]]:
    """Give the URLs of a leaderboard with the bug and of one without."""
    start = f"{sys.executable} {leaderboard()[7:]}"
    with service.reached(url=None, start=f"{start} --bug duplicate-names", health=None, patience=None) as buggy:
        with service.reached(url=None, start=start, health=None, patience=None) as fixed:
            yield {"buggy": buggy, "fixed": fixed}


@EACH_WAY
def test_the_bug_is_there(form: str, program: str, tmp_path: Path, duplicate_names: Path, services: dict[str, str]):
    """Against the service that has the bug, a script exits with 1."""
    ran = run(render(read(duplicate_names), form), program, tmp_path, services["buggy"])

    assert 1 == ran.returncode, ran


@EACH_WAY
def test_the_bug_is_gone(form: str, program: str, tmp_path: Path, duplicate_names: Path, services: dict[str, str]):
    """Against the service that does not have it, a script exits with 0."""
    ran = run(render(read(duplicate_names), form), program, tmp_path, services["fixed"])

    assert 0 == ran.returncode, ran


@EACH_WAY
def test_nothing_listens(form: str, program: str, tmp_path: Path, duplicate_names: Path):
    """Where the service can't be reached, a script exits with 125."""
    ran = run(render(read(duplicate_names), form), program, tmp_path, RECORDED)

    assert 125 == ran.returncode, ran
    assert "the reset was not answered" in ran.stdout


@EACH_WAY
def test_usage(form: str, program: str, tmp_path: Path, duplicate_names: Path):
    """Wrong arguments end with 129."""
    text = render(read(duplicate_names), form)

    assert 129 == run(text, program, tmp_path, "ftp://127.0.0.1").returncode
    assert 129 == run(text, program, tmp_path, RECORDED, RECORDED).returncode


def test_under_pytest(tmp_path: Path, duplicate_names: Path, services: dict[str, str]):
    """Collected by pytest, the test fails, passes, or is skipped."""
    text = render(read(duplicate_names), "pytest")
    outcomes = []
    for url in (services["buggy"], services["fixed"], RECORDED):
        program = ["-m", "pytest", "-p", "no:cacheprovider", "-q"]
        (tmp_path / "test_script.py").write_text(text)
        ran = subprocess.run(
            [sys.executable, *program, "test_script.py"], capture_output=True, text=True, env=environment(URL=url),
            cwd=tmp_path, check=False,
        )  # fmt: skip
        outcomes.append(ran.stdout.rstrip().rpartition("\n")[2].partition(" in ")[0])

    assert ["1 failed", "1 passed", "1 skipped"] == outcomes


def test_the_command_line_exports(tmp_path: Path, duplicate_names: Path):
    """`replaykit export` writes the script to a file."""
    script = tmp_path / "bug.sh"
    ran = replaykit("export", duplicate_names, "--format", "curl", "--output", script)

    assert 0 == ran.code, ran
    assert script.read_text().startswith("#!/bin/sh\n")


def test_shellcheck_and_ruff_have_nothing_to_say(tmp_path: Path, duplicate_names: Path):
    """A script is well written: shellcheck, ruff's own errors and a compiler find nothing."""
    bundle = read(duplicate_names)
    shell, script, test = tmp_path / "a.sh", tmp_path / "a.py", tmp_path / "test_a.py"
    for path, form in ((shell, "curl"), (script, "python"), (test, "pytest")):
        path.write_text(render(bundle, form))
    checked = [
        subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
        for command in (
            ["shellcheck", "-s", "sh", str(shell)],
            ["ruff", "check", "--isolated", "--select", "E9,F,B", str(script), str(test)],
        )
    ]

    assert [0, 0] == [each.returncode for each in checked], checked


# --- what the service makes is carried


class Shop(ThreadingHTTPServer):
    """A service that makes ids, tokens and cookies of its own, and asks for them again."""

    daemon_threads = True

    def __init__(self, *, wrong: bool) -> None:
        super().__init__(("127.0.0.1", 0), Clerk)
        self.wrong = wrong  # does it take a point twice?
        self.token, self.cookie, self.next = secrets.token_hex(12), secrets.token_hex(6), 40 + secrets.randbelow(9)
        self.scores: dict[int, int] = {}
        self.heard: list[tuple[str, str, Headers, bytes]] = []
        self.answer: tuple[int, bytes] | None = None
        self.url = f"http://127.0.0.1:{self.server_port}"


class Clerk(BaseHTTPRequestHandler):
    """Answers for a shop."""

    protocol_version = "HTTP/1.1"
    server: Shop

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def handle_any(self) -> None:
        shop = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shop.heard.append((self.command, self.requestline.split(" ")[1], tuple(self.headers.items()), body))
        if shop.answer is not None:
            return self.say(*shop.answer)
        data = json.loads(body or b"{}")
        if self.path == "/login":
            cookie = ("Set-Cookie", f"sid={shop.cookie}; Path=/; HttpOnly")
            return self.say(200, {"access": {"token": shop.token}}, cookie)
        known = self.headers.get("Cookie") == f"sid={shop.cookie}"
        if not known or self.headers.get("Authorization") != f"Bearer {shop.token}":
            return self.say(401, {})
        if self.path == "/players":
            shop.next += 1
            shop.scores[shop.next] = 0
            return self.say(201, {"id": shop.next, "name": data["name"], "at": time.time()})
        number = int(self.path.split("/")[2])
        if number not in shop.scores or (self.command == "POST" and data.get("player") != number):
            return self.say(404, {})
        if self.command == "POST":
            shop.scores[number] += data["points"] * (1 + shop.wrong)
        return self.say(200, {"player": number, "score": shop.scores[number], "at": time.time()})

    def say(self, status: int, data: object, *headers: tuple[str, str]) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in (JSON, *headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_HEAD = do_PATCH = handle_any  # noqa: N815


@pytest.fixture
def shops() -> Iterator[dict[bool, Shop]]:
    """Give a shop that is wrong and one that is right."""
    made = {wrong: Shop(wrong=wrong) for wrong in (True, False)}
    threads = [threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.02}) for shop in made.values()]
    for thread in threads:
        thread.start()
    yield made
    for shop in made.values():
        shop.shutdown()
        shop.server_close()
    for thread in threads:
        thread.join()


def recorded_at_the_shop(token: str, cookie: str) -> Bundle:
    """Make the bundle of a player with the id 17, who is given 17 points, and gets 34."""
    sent = (("Authorization", f"Bearer {token}"), ("Cookie", f"sid={cookie}"))
    login = exchange(
        "POST", "/login", {"user": "ann"}, 200, {"access": {"token": token}},
        answer=(JSON, ("Set-Cookie", f"sid={cookie}; Path=/; HttpOnly")),
    )  # fmt: skip
    create = exchange("POST", "/players", {"name": "ann"}, 201, {"id": 17, "name": "ann", "at": 1.5}, sent)
    points = exchange("POST", "/players/17/points", {"player": 17, "points": 17}, 200, {"score": 34, "at": 2.5}, sent)
    look = exchange("GET", "/players/17", None, 200, {"player": 17, "score": 34, "at": 3.5}, sent)
    seen = Said(tag="score", version=1, data=b'{"rows":[["player@1",34]]}')
    return failed(
        "check", 2,
        step_of(1, "create", {"name": "ann"}, create, said={"player": "player@1"}),
        step_of(
            2, "give", {"player": "player@1", "points": 17}, points, said={}, observing=(look,), observations=(seen,)
        ),
        resetting=(login,),
    )  # fmt: skip


@EACH_WAY
def test_ids_tokens_and_cookies_are_carried(form: str, program: str, tmp_path: Path, shops: dict[bool, Shop]):
    """What the service makes anew goes into later requests, and a number that is the same by accident does not."""
    text = render(recorded_at_the_shop("7d1c0f0e5b3a", "a1b2c3d4"), form)
    codes = [run(text, program, tmp_path, shops[wrong].url).returncode for wrong in (True, False)]
    number = next(iter(shops[True].scores))

    assert [1, 0] == codes
    assert [("/login", b'{"user": "ann"}'), ("/players", b'{"name": "ann"}')] == [
        (path, body) for _, path, _, body in shops[True].heard[:2]
    ]
    assert (f"/players/{number}/points", {"player": number, "points": 17}) == (
        shops[True].heard[2][1], json.loads(shops[True].heard[2][3]),
    )  # fmt: skip


@EACH_WAY
def test_covered_values_that_an_answer_holds_are_carried(
    form: str, program: str, tmp_path: Path, shops: dict[bool, Shop]
):
    """A placeholder that stands in an answer first is what the service says now; nothing has to be set for it."""
    text = render(recorded_at_the_shop("REDACTED.token.1", "REDACTED.sid.2"), form)

    assert "REPLAYKIT_SECRET" not in text.replace("REPLAYKIT_SECRET_<", "")
    assert [1, 0] == [run(text, program, tmp_path, shops[wrong].url).returncode for wrong in (True, False)]


def test_secrets_that_would_share_a_variable_have_one_each():
    """Labels that differ in case and signs alone are numbered; what no variable can stand for is not exported."""
    asks = [
        exchange("GET", f"/{n}", None, 200, {}, (("X-A", f"REDACTED.{label}.{n}"),))
        for n, label in enumerate(("x-t", "x_t"))
    ]
    text = render(bundle_of(Trace(recorded=tuple(asks), ending="recorded")), "python")

    assert ["REPLAYKIT_SECRET_X_T_0", "REPLAYKIT_SECRET_X_T_1"] == re.findall(r"secret\('(\w+)'\)", text)
    for body in (b'{"pin": 990000000001}', b'{"a": "UkVEQUNURUQuYS4x"}', b"[redacted]"):
        ask = exchange("POST", "/", body, 200, {})
        with pytest.raises(UnexportableError, match="covered"):
            render(bundle_of(Trace(recorded=(ask,), ending="recorded")), "curl")


@pytest.mark.parametrize("form", ["curl", "python", "har", "vcr"])
def test_requests_stand_as_they_were_sent(form: str):
    """A request that was overtaken stands before those that overtook it, in whatever part of a run."""
    first = exchange("GET", "/first", None, 200, {}).replace(before=2)
    step = step_of(0, "do", {}, exchange("GET", "/second", None, 200, {}), said={}, observing=(
        exchange("GET", "/third", None, 200, {}), first,
    ))  # fmt: skip
    text = render(failed("check", 0, step), form)
    found = [text.index(path) for path in ("/first", "/second", "/third")]

    assert sorted(found) == found


@pytest.mark.parametrize("form", ["curl", "python", "pytest"])
@pytest.mark.parametrize("part", ["request", "response"])
def test_a_body_that_was_not_kept_whole_is_not_sent(form: str, part: str):
    """A script would send something else than was sent, or hold the service to something else."""
    ask = exchange("POST", "/", b"ab", 200, b"cd")
    ask = ask.replace(**{part: getattr(ask, part).replace(cut=Cut(size=9, sha256="0" * 64))})
    with pytest.raises(UnexportableError, match=r"only the beginning is kept|cut short"):
        render(bundle_of(Trace(recorded=(ask,), ending="recorded")), form)


def test_a_cassette_leaves_out_what_is_not_whole():
    """A capped body, and one that was cut short, would look whole in a cassette; how many are left out is said."""
    ask = exchange("GET", "/", None, 200, b"cd")
    cut = Cut(size=9, sha256="0" * 64)
    parts = (
        ask,
        ask.replace(response=ask.response.replace(complete=False)),
        ask.replace(response=ask.response.replace(cut=cut)),
        ask.replace(request=ask.request.replace(cut=cut)),
    )
    bundle = bundle_of(Trace(recorded=parts, ending="recorded"))

    assert 1 == render(bundle, "vcr").count("uri:")
    assert left_out(bundle, "vcr").startswith("3 of the requests ")


@EACH_WAY
def test_the_target_is_sent_as_it_was(form: str, program: str, tmp_path: Path, shops: dict[bool, Shop]):
    """Dots and double slashes in a path are no business of the client's, and no name of its own is told."""
    shop = shops[False]
    shop.answer = (200, b"{}")
    asks = [exchange("GET", target, None, 200, {}) for target in ("//evil/../x/./y?a=%2e&'\"", "/a/..", "?b=..")]
    asks.append(exchange("GET", "/named", None, 200, {}, (("User-Agent", "me"),)))
    ran = run(render(bundle_of(Trace(recorded=tuple(asks), ending="recorded")), form), program, tmp_path, shop.url)
    agents = [dict(headers).get("User-Agent") for _, _, headers, _ in shop.heard]

    assert 0 == ran.returncode, ran
    assert ["//evil/../x/./y?a=%2e&'\"", "/a/..", "/?b=..", "/named"] == [path for _, path, _, _ in shop.heard]
    assert [None, None, None, "me"] == agents


@EACH_WAY
def test_other_covered_values_come_from_the_environment(
    form: str, program: str, tmp_path: Path, shops: dict[bool, Shop]
):
    """A placeholder that no answer holds is read from a variable; where that is missing, its name is told."""
    shop = shops[True]
    shop.answer = (500, b"")
    key = ("X-Api-Key", "REDACTED.api-key.2")
    ask = exchange("POST", f"/a?key={key[1]}", b'{"pin":"REDACTED.pin.3"}', 500, b"", (key,))
    text = render(failed("server_error", 0, step_of(0, "do", {}, ask)), form)
    missing = run(text, program, tmp_path, shop.url)
    values = {"REPLAYKIT_SECRET_API_KEY": "k&y", "REPLAYKIT_SECRET_PIN": '"1"\n'}
    ran = run(text, program, tmp_path, shop.url, **values)
    _, path, headers, body = shop.heard[-1]

    assert 125 == missing.returncode
    assert "set REPLAYKIT_SECRET_API_KEY" in missing.stdout
    assert 1 == ran.returncode, ran
    assert ("/a?key=k%26y", "k&y", b'{"pin":"\\"1\\"\\n"}') == (path, dict(headers)["X-Api-Key"], body)


@EACH_WAY
def test_minted_names_are_new_in_each_run(form: str, program: str, tmp_path: Path, shops: dict[bool, Shop]):
    """What the client made unique to its run is unique to each run of a script."""
    shops[True].answer = (500, b"")
    nonce = "0123456789abcdef"
    ask = exchange("POST", f"/a/{nonce}", {"name": f"ann-{nonce}"}, 500, b"")
    text = render(failed("server_error", 0, step_of(0, "do", {}, ask), nonce=nonce), form)
    for _ in range(2):
        run(text, program, tmp_path, shops[True].url)
    names = [(path.rpartition("/")[2], json.loads(body)["name"]) for _, path, _, body in shops[True].heard]

    assert all(name == f"ann-{made}" and len(made) == len(nonce) for made, name in names)
    assert 3 == len({nonce, *(made for made, _ in names)})


# --- what a stranger's bundle says is not run

HOSTILE = (
    "'; touch pwned; '", '"; touch pwned; "', "$(touch pwned)", "`touch pwned`", "a\ntouch pwned\n", "\\\n' \\' \"\"\"",
    "'''\nimport os; os.system('touch pwned')\n'''", "END_OF_JUDGE\ntouch pwned\n",
    "%s%n%d {0} {story}", "!! ~ * ? [a]",
    "\x00\x01\x1b[31m\x7f", "日本 🎉 \u202e \u2028", "@/etc/passwd", "${HOME}", "-o pwned", "# vim: set shell=touch:",
)  # fmt: skip


@EACH_WAY
@pytest.mark.parametrize("text", HOSTILE, ids=[f"text {number}" for number in range(len(HOSTILE))])
def test_nothing_that_a_bundle_says_is_run(form: str, program: str, text: str, tmp_path: Path, shops: dict[bool, Shop]):
    """Each text arrives at the service as it was recorded, and nothing else happens."""
    body = text.encode()
    shops[True].answer = (200, body)
    header = "".join(each for each in text if " " <= each != "\x7f" and ord(each) < 256).strip()
    sent = exchange("PUT", "/a'$(touch%20pwned)?q=`'\"", body, 200, body, (("X-Text", header), ("X-'`", "1")))
    bundle = failed("expectation", 0, step_of(0, f"do{text}", {"a": text}, sent, said={"a": text}), message=text * 2)
    script = render(bundle, form)
    folder = tmp_path / "run"
    ran = run(script, program, folder, shops[True].url)
    method, path, headers, received = shops[True].heard[-1]

    assert 1 == ran.returncode, ran
    assert ("PUT", "/a'$(touch%20pwned)?q=`'\"") == (
        method,
        path.replace("%22", '"').replace("%60", "`").replace("%27", "'"),
    )
    assert body == received
    assert header == dict(headers)["X-Text"]
    assert "\x1b" not in script + ran.stdout
    assert {"test_script.py"} == {each.name for each in folder.iterdir()} - {"__pycache__"}


@EACH_WAY
def test_bodies_of_any_bytes_and_sizes_are_sent(form: str, program: str, tmp_path: Path, shops: dict[bool, Shop]):
    """Binary bodies, and those that no argument of a command could hold, arrive as they were."""
    shops[True].answer = (500, b"")
    for body in (bytes(range(256)), b"x" * 300_000, b"%" * 70_000):
        bundle = failed("server_error", 0, step_of(0, "do", {}, exchange("POST", "/a", body, 500, b"")))
        ran = run(render(bundle, form), program, tmp_path, shops[True].url)

        assert 1 == ran.returncode, ran.stdout[-300:]
        assert body == shops[True].heard[-1][3]


@pytest.mark.parametrize("form", ["curl", "python", "pytest"])
@pytest.mark.parametrize(
    "request_",
    [
        Request(method="GET", url=f"{RECORDED}/a b"),
        Request(method="GET", url=f"{RECORDED}/\n"),
        Request(method="GET", url="http://127.0.0.1:9'$(touch pwned)/"),
        Request(method="GET", url="http://evil.example\\@127.0.0.1/"),
        Request(method="GET\nX", url=RECORDED),
        Request(method="CONNECT", url=RECORDED),
        Request(method="GET", url=RECORDED, headers=(("@/etc/passwd", "1"),)),
        Request(method="GET", url=RECORDED, headers=(("a", "1\r\nb: 2"),)),
    ],
)
def test_what_no_client_sends_is_refused(form: str, request_: Request):
    """Requests that only a forged bundle holds are not exported."""
    interaction = Interaction(request=request_, response=Response(status=500))
    with pytest.raises(UnexportableError):
        render(failed("server_error", 0, step_of(0, "do", {}, interaction)), form)


@EACH_WAY
def test_another_host_has_to_be_named(form: str, program: str, tmp_path: Path, shops: dict[bool, Shop]):
    """A script of a bundle that was recorded elsewhere sends nothing there unless it is told to."""
    interaction = Interaction(
        request=Request(method="GET", url="http://service.example/base/a"), response=Response(status=500)
    )
    failure = failed("server_error", 0, step_of(0, "do", {}, interaction))
    text = render(bundle_of(failure.trace, "http://service.example/base"), form)
    shops[True].answer = (500, b"")

    assert 129 == run(text, program, tmp_path).returncode or form == "pytest"
    assert 1 == run(text, program, tmp_path, f"{shops[True].url}/base").returncode
    assert "/base/a" == shops[True].heard[-1][1]


@pytest.mark.parametrize(
    "url", ['http://127.0.0.1:9/"""\nimport os', "http://127.0.0.1:9/'\n#", "http://127.0.0.1:9/$(a)"]
)
def test_a_recorded_url_that_would_break_out_stands_nowhere(url: str):
    """The recorded URL is shown in a script's first lines only if it holds nothing but what URLs hold."""
    bundle = failed("server_error", 0, step_of(0, "do", {}, exchange("GET", "/a", None, 500, b"")))
    bundle = bundle.replace(origin=bundle.origin.replace(url=url))

    for form in ("curl", "python", "pytest"):
        assert "import os\nimport os" not in render(bundle, form)
        assert url not in render(bundle, form)


# --- what is judged


def verdict(bundle: Bundle, tmp_path: Path, shop: Shop, status: int, body: object) -> int:
    """Run a script against a service that always answers the same."""
    shop.answer = (status, body if isinstance(body, bytes) else json.dumps(body).encode())
    codes = {run(render(bundle, form), program, tmp_path, shop.url).returncode for form, program in (WAYS[0], WAYS[2])}
    [code] = codes
    return code


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, {"id": 5, "name": "ann", "points": 3, "open": True, "at": "2026-11-21T10:00:00Z", "n": 7}, 1),
        (200, {"id": 9, "name": "ann", "points": 3, "open": True, "at": "2027-01-01T00:00:00Z", "n": 8, "new": 1}, 1),
        (200, {"id": 5, "name": "bob", "points": 3, "open": True, "at": "", "n": 7}, 0),
        (200, {"id": 5, "name": "ann", "points": 4, "open": True, "at": "", "n": 7}, 0),
        (200, {"id": 5, "name": "ann", "points": 3, "open": False, "at": "", "n": 7}, 0),
        (200, {"id": 5, "name": "ann"}, 0),
        (200, b"<p>no JSON</p>", 0),
        (400, {"error": "no"}, 0),
        (503, {"error": "busy"}, 125),
    ],
)
def test_which_values_of_an_answer_count(status: int, body: object, code: int, tmp_path: Path, shops: dict[bool, Shop]):
    """The status counts, what the adapter read, and what is neither a number nor an id nor a time."""
    recorded = {"id": 5, "name": "ann", "points": 3, "open": True, "at": "2026-11-21T10:00:00Z", "n": 7}
    ask = exchange("POST", "/a", {"name": "x"}, 200, recorded)
    bundle = failed("expectation", 0, step_of(0, "do", {}, ask, said={"who": "ANN", "points": -3}))

    assert code == verdict(bundle, tmp_path, shops[True], status, body)


@pytest.mark.parametrize(("body", "code"), [([], 1), ([{"name": "a"}], 0), ({}, 1), ({"a": 1}, 0)])
def test_how_long_a_list_is_counts(body: list | dict, code: int, tmp_path: Path, shops: dict[bool, Shop]):
    """An answer that was empty and is not is another one."""
    ask = exchange("GET", "/a", None, 200, type(body)())
    bundle = failed("expectation", 0, step_of(0, "do", {}, ask, said={"rows": []}))

    assert code == verdict(bundle, tmp_path, shops[True], 200, body)


@pytest.mark.parametrize(("status", "code"), [(500, 1), (503, 1), (200, 0), (404, 0)])
def test_a_failure_of_the_service_is_any_5xx(status: int, code: int, tmp_path: Path, shops: dict[bool, Shop]):
    """Where the model asks for no 5xx, the bug is there as long as there is one."""
    bundle = failed("server_error", 0, step_of(0, "do", {}, exchange("GET", "/a", None, 500, b"")))

    assert code == verdict(bundle, tmp_path, shops[True], status, b"")


def test_other_answers_before_the_failure_are_not_judged(tmp_path: Path, shops: dict[bool, Shop]):
    """Where a request before the failing one is answered otherwise, nothing is said about the bug."""
    first, last = exchange("POST", "/a", {}, 201, {}), exchange("POST", "/b", {}, 200, {"a": "b"})
    bundle = failed("expectation", 1, step_of(0, "do", {}, first, said={}), step_of(1, "do", {}, last, said={}))

    assert 125 == verdict(bundle, tmp_path, shops[True], 200, {"a": "b"})


@EACH_WAY
@pytest.mark.parametrize(("now", "code"), [("open", 0), ("shut", 1)])
def test_a_recording_says_what_is_right(
    form: str, program: str, now: str, code: int, tmp_path: Path, shops: dict[bool, Shop]
):
    """Without a failure, a script exits with 0 if all is answered as recorded, and with 1 if not."""
    recording = Trace(recorded=(exchange("GET", "/door", None, 200, {"state": "open"}),), ending="recorded")
    shops[True].answer = (200, json.dumps({"state": now}).encode())

    assert code == run(render(bundle_of(recording), form), program, tmp_path, shops[True].url).returncode


def test_a_check_that_was_given_time_is_given_time(tmp_path: Path, shops: dict[bool, Shop]):
    """What was still wrong after a while is looked at after that while, and once."""
    look = exchange("GET", "/a", None, 200, {"state": "pending"})
    seen = Said(tag="state", version=1, data=b'{"state":"pending"}')
    step = step_of(
        0, "do", {}, exchange("POST", "/a", {}, 200, {}), said={}, observing=(look,) * 9, observations=(seen,)
    )
    bundle = failed("check", 0, step, message="is pending (still so after 0.4 seconds)")
    began = time.monotonic()
    code = verdict(bundle, tmp_path, shops[True], 200, {"state": "pending"})

    assert (1, ["POST", "GET"] * 2) == (code, [method for method, *_ in shops[True].heard])
    assert time.monotonic() - began >= 0.8  # two scripts


ANSWERED = step_of(0, "do", {}, exchange("GET", "/", None, 200, {}))
LOST = Interaction(request=Request(method="GET", url=RECORDED), trouble=Trouble(error="ReadTimeout"))


@pytest.mark.parametrize("form", ["curl", "python", "pytest"])
@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (failed("latency", 0, ANSWERED), "too slow"),
        (failed("adapter", 0, ANSWERED), "nothing about the service"),
        (failed("check", 0, ANSWERED, message="x (still so after 999 seconds)"), "waits 60"),
        (failed("expectation", 0, Step(call=Call(label=0, tag="do", twice=True))), "at the same time"),
        (failed("linearization", 0, Step(call=Call(label=0, tag="do", branch=1))), "at the same time"),
        (failed("check", 0, step_of(0, "do", {})), "no request"),
        (failed("check", 0, step_of(0, "do", {}), resetting=ANSWERED.interactions), "rests on no answer"),
        (bundle_of(Trace(ending="unknown", recorded=ANSWERED.interactions)), "ended as unknown"),
        (bundle_of(Trace(ending="recorded", recorded=(LOST,))), "lost or cut short"),
    ],
)
def test_what_no_script_can_show_is_refused(form: str, bundle: Bundle, said: str):
    """A failure that rests on more than answers in turn is not exported, with the reason."""
    with pytest.raises(UnexportableError) as caught:
        render(bundle, form)

    assert said in str(caught.value)


def test_a_script_without_python_says_so(tmp_path: Path, duplicate_names: Path, services: dict[str, str]):
    """Where the program that looks at the answers is not there, a shell script exits with 125."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("curl", "mktemp", "rm", "cat", "tr", "sleep", "dash"):
        found = next(Path(each) / name for each in os.environ["PATH"].split(os.pathsep) if (Path(each) / name).exists())
        (folder / name).symlink_to(found)
    ran = run(render(read(duplicate_names), "curl"), "/usr/bin/env", tmp_path / "run", services["buggy"])
    script = str(tmp_path / "run" / "test_script.py")
    ran = subprocess.run(
        [str(folder / "dash"), script, services["buggy"]], capture_output=True, text=True, env={"PATH": str(folder)},
        check=False,
    )  # fmt: skip

    assert (125, "VERDICT not judged: python3 is not there (exit 125)\n") == (ran.returncode, ran.stdout)


@pytest.mark.parametrize(
    ("value", "is_claimed"),
    [(3, True), (1_700_000_000, False), (1795293473.25, False), (1_700_000_000_123, False), (12_000_000_000, True)],
)
def test_a_number_that_may_be_a_time_is_no_claim(value: float, is_claimed: bool):
    """What an answer holds by chance at its time is not held against the next one, whatever its name."""
    response = Response(status=200, body=json.dumps({"seen": value}).encode())

    assert is_claimed == (Claim("is", ("seen",), value) in claims_of(response, []))
