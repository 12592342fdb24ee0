"""Redaction: secrets are covered before anything is written, and the rest stays to the byte."""

import base64
import gzip
import json
import threading
import time
import zlib
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.placeholder import MARKED_NUMBER
from replaykit.redact import Redactor
from replaykit.secret import Policy

TOKEN = "s3cret/0123+456789"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJlLXRoYXQtaXM"


def interaction(
    sent: tuple = (),
    got: tuple | None = (),
    *,
    url: str = "http://127.0.0.1/a",
    asked: bytes = b"sent",
    body: bytes = b"body",
) -> Interaction:
    """Make an interaction with some headers and bodies."""
    response = None if got is None else Response(status=200, headers=got, body=body)
    return Interaction(
        request=Request(method="GET", url=url, headers=sent, body=asked),
        response=response,
        trouble=Trouble(error="ReadTimeout") if got is None else None,
        elapsed=0.5,
    )


def covered(*bodies: str, policy: Policy | None = None) -> list[str]:
    """Return answers with these bodies as they are written, one after the other into one bundle."""
    redactor = Redactor(policy or Policy())
    return [redactor.interaction(interaction(body=each.encode())).response.body.decode() for each in bodies]


# --- headers and URLs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    """
    Proxy-Authorization X-Api-Key api-key x-auth-token X-CSRF-Token x-amz-security-token X-Hub-Signature X-Auth-Key
    X-Access-Key X-Signing-Key X-Jwt X-Sid X-Bearer X-Api_Key
    """.split(),
)
@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_secret_headers_are_covered_however_they_are_spelled(name, spell):
    """The value of a secret header is covered in request and response; its name stays as it was written."""
    made = Redactor().interaction(interaction(((spell(name), "s3cret"),), ((spell(name), "s3cret"),)))

    assert ((spell(name), f"REDACTED.{name.lower()}.1"),) == made.request.headers
    assert made.request.headers == made.response.headers


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("Bearer s3cret", "Bearer REDACTED.authorization.1"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic REDACTED.authorization.1"),
        ("s3cret", "REDACTED.authorization.1"),
        ("AWS4-HMAC-SHA256 Credential=a/b, Signature=c", "AWS4-HMAC-SHA256 REDACTED.authorization.1"),
    ],
)
def test_the_scheme_of_credentials_stays(value, wanted):
    """What kind of credentials there were can be read, and no more."""
    assert (("Authorization", wanted),) == Redactor().interaction(
        interaction((("Authorization", value),))
    ).request.headers


def test_cookies_are_covered_one_by_one():
    """The names of cookies and the attributes stay; a cookie that is set to nothing stays as it is."""
    sent = (("Cookie", 'sid=abc; theme="dark"'),)
    got = (("Set-Cookie", "sid=abc; Path=/; HttpOnly"), ("set-cookie", "gone=; Max-Age=0"))
    made = Redactor().interaction(interaction(sent, got))

    assert (("Cookie", 'sid=REDACTED.sid.1; theme="REDACTED.theme.2"'),) == made.request.headers
    assert (("Set-Cookie", "sid=REDACTED.sid.1; Path=/; HttpOnly"), ("set-cookie", "gone=; Max-Age=0")) == (
        made.response.headers
    )


def test_queries_are_covered_by_their_keys():
    """Of a URL, the values of secret keys are covered, also in a Location header; all else stays."""
    url = "http://127.0.0.1/a?x=%20y&api%5Fkey=k%2F1&token_type=b&next_token=n&x#access_token=z"
    made = Redactor().interaction(interaction((), (("Location", "/b?access_token=z&y=1"),), url=url))

    assert (
        "http://127.0.0.1/a?x=%20y&api%5Fkey=REDACTED.api_key.1&token_type=b&next_token=n&x#access_token="
        "REDACTED.access_token.2"
    ) == made.request.url
    assert (("Location", "/b?access_token=REDACTED.access_token.2&y=1"),) == made.response.headers


def test_all_else_stays():
    """Other headers keep their order, case, duplicates and values, and so do body, URL, status and time."""
    plain = interaction((("Accept", "*/*"), ("X-Many", "1"), ("x-many", "2")), (("Content-Type", "text/plain"),))

    assert plain is Redactor().interaction(plain)


def test_the_given_interaction_keeps_its_secrets():
    """What the run itself works with is not changed."""
    given_one = interaction((("Authorization", "Bearer s3cret"),))
    Redactor().interaction(given_one)

    assert (("Authorization", "Bearer s3cret"),) == given_one.request.headers


def test_a_lost_answer_is_covered_too():
    """A request without a response has secrets as well."""
    made = Redactor().interaction(interaction((("Authorization", "Bearer s3cret"),), None))

    assert (("Authorization", "Bearer REDACTED.authorization.1"),) == made.request.headers
    assert None is made.response


def test_covering_twice_changes_nothing_more():
    """Redaction is idempotent, also of what the first version wrote."""
    once = Redactor().interaction(
        interaction(
            (("Authorization", "Bearer s3cret"), ("Cookie", "[redacted]")), (("Set-Cookie", "a=1"),), asked=b'{"pin":1}'
        )
    )

    assert once is Redactor().interaction(once)


# --- bodies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ('{ "password" : "a",\t"n":1.50 }', '{ "password" : "REDACTED.password.1",\t"n":1.50 }'),
        ('{"a":[{"b":{"apiKey":"x"}}]}', '{"a":[{"b":{"apiKey":"REDACTED.apiKey.1"}}]}'),
        ('{"tokens":["x","y","x"]}', '{"tokens":["REDACTED.tokens.1","REDACTED.tokens.2","REDACTED.tokens.1"]}'),
        ('{"secret":{"old":"x","n":[5]}}', f'{{"secret":{{"old":"REDACTED.secret.1","n":[{MARKED_NUMBER + 2}]}}}}'),
        ('{"token":{"id":"x"},"name":"y"}', '{"token":{"id":"x"},"name":"y"}'),
        ('{"password":null,"token":true,"tokens":5}', '{"password":null,"token":true,"tokens":5}'),
        ('{"pin":1234,"cvv":123.0}', f'{{"pin":{MARKED_NUMBER + 1},"cvv":{MARKED_NUMBER + 2}}}'),
        ('{"p\\u0061ssword":"x"}', '{"p\\u0061ssword":"REDACTED.password.1"}'),
        ('{"body":"{\\"token\\": \\"x\\"}"}', '{"body":"{\\"token\\": \\"REDACTED.token.1\\"}"}'),
        ('[{"name":"password","value":"x"},{"name":"n","value":"y"}]',
         '[{"name":"password","value":"REDACTED.password.1"},{"name":"n","value":"y"}]'),
        ('{"token":"cut sho', '{"token":"REDACTED.token.1'),
        ('data: {"token":"x"}\n\ndata: {}', 'data: {"token":"REDACTED.token.1"}\n\ndata: {}'),
        ("user=a&password=b%20c&x=1", "user=a&password=REDACTED.password.1&x=1"),
        ("<a><Password>x</Password><n>1</n></a>", "<a><Password>REDACTED.Password.1</Password><n>1</n></a>"),
        ('<input name="csrf_token" value="x">', '<input name="csrf_token" value="REDACTED.csrf_token.1">'),
        ('--b\r\nContent-Disposition: form-data; name="pwd"\r\n\r\nx\r\n--b--',
         '--b\r\nContent-Disposition: form-data; name="pwd"\r\n\r\nREDACTED.pwd.1\r\n--b--'),
        ('{"account":"token@3","token":"token@3"}', '{"account":"token@3","token":"token@3"}'),
        ('{"authorization":"auth@7","session":"morning"}', '{"authorization":"auth@7","session":"morning"}'),
        ('{"authorization":"Bearer x"}', '{"authorization":"Bearer REDACTED.authorization.1"}'),
        ('{"token":{"value":"x","type":"y"}}', '{"token":{"value":"REDACTED.token.1","type":"y"}}'),
        ('{"tokens":{"access":"x","expires":"y"}}', '{"tokens":{"access":"REDACTED.tokens.1","expires":"y"}}'),
        ('{"session":{"id":"0123456789abcdef","user":"ann"}}',
         '{"session":{"id":"REDACTED.session.1","user":"ann"}}'),
        ('{"apiKeys":[{"v":"x"}]}', '{"apiKeys":[{"v":"REDACTED.apiKeys.1"}]}'),
        ('{"value":"x","name":"password"}', '{"value":"REDACTED.password.1","name":"password"}'),
        ('<input value="x" name="csrf_token">', '<input value="REDACTED.csrf_token.1" name="csrf_token">'),
        ('{"prev_password":"x","db_pass":"y"}',
         '{"prev_password":"REDACTED.prev_password.1","db_pass":"REDACTED.db_pass.2"}'),
        ("a=1;token=x", "a=1;token=REDACTED.token.1"),
        ("token=x;y&a=1", "token=REDACTED.token.1&a=1"),
        ('{"href":"http://x/?sig=x&a=1"}', '{"href":"http://x/?sig=REDACTED.sig.1&a=1"}'),
    ],
)  # fmt: skip
def test_bodies_are_covered_by_their_keys(body, wanted):
    """What stands under the name of a secret is covered at any depth; the rest stays to the byte, and types stay."""
    assert [wanted] == covered(body)


def test_one_value_has_one_placeholder():
    """The same value has the same placeholder wherever it is found, and another one has another."""
    told = covered('{"token":"aaaa"}', '{"secret":"aaaa"}', '{"token":"bbbb"}')

    assert ['{"token":"REDACTED.token.1"}', '{"secret":"REDACTED.token.1"}', '{"token":"REDACTED.token.2"}'] == told


def test_a_value_once_found_stays_covered():
    """A token that was found by its key is covered in another body, a header, a URL, an event and a message."""
    redactor = Redactor()
    redactor.interaction(interaction(body=json.dumps({"token": TOKEN}).encode()))
    later = redactor.interaction(
        interaction(
            (("X-Echo", f"it is {TOKEN}"),), url=f"http://127.0.0.1/{quote(TOKEN, safe='')}/b?q={quote_plus(TOKEN)}"
        )
    )

    assert (("X-Echo", "it is REDACTED.token.1"),) == later.request.headers
    assert "http://127.0.0.1/REDACTED.token.1/b?q=REDACTED.token.1" == later.request.url
    assert b'{"note": "REDACTED.token.1"}' == redactor.text(json.dumps({"note": TOKEN}).encode())
    assert "got REDACTED.token.1" == redactor.message(f"got {TOKEN}")
    assert {"a": ["REDACTED.token.1"]} == redactor.data({"a": [TOKEN]})


def test_what_an_answer_tells_covers_its_request():
    """A secret that is found at the end of an interaction is covered at its beginning."""
    made = Redactor().interaction(
        interaction(url=f"http://127.0.0.1/{quote(TOKEN)}", body=json.dumps({"token": TOKEN}).encode())
    )

    assert "http://127.0.0.1/REDACTED.token.1" == made.request.url


@pytest.mark.parametrize("word", ["customer", "short", "20261121", "internationally"])
def test_plain_words_are_covered_only_in_their_place(word):
    """A word, a date or a short value that is called a token does not make all others of its kind vanish."""
    told = covered(json.dumps({"token": word}), json.dumps({"note": word}))

    assert ['{"token": "REDACTED.token.1"}', json.dumps({"note": word})] == told


@pytest.mark.parametrize(
    ("coding", "packed"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", lambda raw: zlib.compress(raw)[2:-4])],
)
def test_compressed_bodies_are_looked_into(coding, packed):
    """A compressed body is covered and compressed again, the same each time, and its length is told rightly."""
    body = packed(json.dumps({"token": TOKEN, "more": "x" * 500}).encode())
    got = (("Content-Encoding", coding), ("content-length", str(len(body))))
    first, second = (Redactor().interaction(interaction((), got, body=body)).response for _ in range(2))
    unpack = gzip.decompress if coding == "gzip" else zlib.decompress

    assert {"token": "REDACTED.token.1", "more": "x" * 500} == json.loads(unpack(first.body))
    assert ("content-length", str(len(first.body))) == first.headers[1]
    assert first == second


def test_compressed_bodies_without_secrets_stay_to_the_byte():
    """What has no secret is not compressed anew, and what can't be read stays as it is."""
    for body in (gzip.compress(b"nothing", mtime=5), b"\x1f\x8b\x08broken", b"\x1f\x8b\x08"):
        plain = interaction((), (("Content-Encoding", "gzip"),), body=body)

        assert plain is Redactor().interaction(plain)


def test_a_bomb_is_not_unpacked():
    """A body that becomes enormous costs no enormous memory."""
    bomb = gzip.compress(bytes(100 * 1024 * 1024))
    began = time.monotonic()
    made = Redactor().interaction(interaction((), (("Content-Encoding", "gzip"),), body=bomb))

    assert time.monotonic() - began < 20
    assert b"REDACTED.body.1" == gzip.decompress(made.response.body)


# --- disguises ----------------------------------------------------------------------------------


def json_escapes(text: str) -> str:
    """Write a text in JSON with an escape for each character."""
    raw = text.encode("utf-16-be")
    return '"' + "".join(f"\\u{raw[place : place + 2].hex()}" for place in range(0, len(raw), 2)) + '"'


DISGUISES = {
    "raw": lambda text: f"<{text}>",
    "url": lambda text: f"a={quote(text, safe='')}",
    "url, small": lambda text: f"a={quote(text, safe='').lower()}" if text.islower() else quote(text, safe=""),
    "url, plus": lambda text: f"a={quote_plus(text)}",
    "url, all": lambda text: "".join(f"%{each:02x}" for each in text.encode()),
    "json": lambda text: json.dumps({"a": text}),
    "json, utf-8": lambda text: json.dumps({"a": text}, ensure_ascii=False),
    "json, slashes": lambda text: json.dumps({"a": text}).replace("/", "\\/"),
    "json, all": lambda text: f'{{"a":{json_escapes(text)}}}',
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, 1": lambda text: base64.b64encode(f"x{text}y".encode()).decode(),
    "base64, 2": lambda text: base64.urlsafe_b64encode(f"xx{text}yy".encode()).decode().rstrip("="),
    "basic": lambda text: "Basic " + base64.b64encode(f"user:{text}".encode()).decode(),
}


def seen(text: str, secret: str) -> bool:
    """Say whether a secret can be read in a text, in whatever disguise."""
    raw = secret.encode()
    inside = [base64.b64encode(b"x" * offset + raw).decode()[4:-8] for offset in range(3)]
    sought = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], json_escapes(secret)[1:-1]]
    sought += [each for part in inside for each in (part, part.replace("+", "-").replace("/", "_")) if len(part) > 5]
    return any(each.lower() in text.lower() for each in sought)


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1), min_size=12, max_size=40).filter(
        lambda text: not text.isdigit() and len(set(text)) > 5 and "REDACTED" not in text
    ),
    st.sampled_from(sorted(DISGUISES)),
)
@example('a"b\\c/d e+f%g&h=i', "json, slashes")
@example("päß wörd/😀 123", "json, all")
def test_a_known_secret_is_found_in_every_disguise(secret, name):
    """What the configuration names as a secret is covered, however it is written."""
    policy = Policy(given=(("KEY", secret.encode().decode("latin-1")),))
    [told] = covered(DISGUISES[name](secret), policy=policy)

    assert not seen(told, secret), told


def test_base64_stays_base64():
    """What else stands in base64 with a secret can still be read."""
    [told] = covered(base64.b64encode(f"user:{TOKEN}:end".encode()).decode(), policy=Policy(given=(("KEY", TOKEN),)))

    assert b"user:REDACTED.KEY.1:end" == base64.b64decode(told, validate=True)


def test_numbers_of_json_stay_numbers():
    """A card number that is known is covered in a text by a placeholder, and as a number by a number."""
    told = covered(
        '{"text":"4111111111111111 (4111 1111 1111 1111)"}', '{"n":4111111111111111,"m":[41111111111111115]}'
    )

    assert '{"text":"REDACTED.card.1 (REDACTED.card.2)"}' == told[0]
    assert {"n": MARKED_NUMBER + 1, "m": [41111111111111115]} == json.loads(told[1])


def test_a_secret_that_is_the_name_of_its_place_is_covered_once():
    """Where a value is its own label, its placeholder holds it, and is left alone."""
    redactor = Redactor()
    redactor.interaction(interaction(body=b'{"access_token":"access_token"}'))
    made = redactor.interaction(interaction(url="http://a/access_token%20b/access_token"))

    assert made.request.url == "http://a/REDACTED.access_token.1%20b/REDACTED.access_token.1"
    assert made is redactor.interaction(made)


def test_a_header_with_an_odd_quote_hides_nothing():
    """Each text is looked at on its own: a quote in one of them is no beginning of a string in another."""
    redactor = Redactor()
    redactor.interaction(interaction(body=b'{"password":"hunter2-hunter2"}'))
    made = redactor.interaction(interaction((), (("X", 'odd"'),), body=b'{"a":"hunter2-hunte\\u00722"}'))

    assert b'{"a":"REDACTED.password.1"}' == made.response.body


@pytest.mark.parametrize(
    ("first", "late"), [("b", False), ("hunter2-hunter2", True), ("x hunter2%2Dhunter2", True), ("hunter2-", False)]
)
def test_a_secret_is_late_only_where_it_stood_in_what_was_written(first, late):
    """A secret that comes first under its name is not late; one that stood somewhere else before is."""
    redactor = Redactor()
    for each in ({"a": first}, {"password": "hunter2-hunter2"}, {"c": "hunter2-hunter2"}):
        redactor.interaction(interaction(body=json.dumps(each).encode()))

    assert late == redactor.is_late


def test_placeholders_are_not_covered_again():
    """A secret that is a part of a placeholder does not spoil it."""
    told = covered('{"token":"abc","x":"a token"}', policy=Policy(given=(("KEY", "token"),)))

    assert ['{"REDACTED.KEY.2":"REDACTED.token.1","x":"a REDACTED.KEY.2"}'] == told


# --- test data ----------------------------------------------------------------------------------


def test_arguments_stay_as_they_are():
    """What a generator made up is replayed as it is, and does not vanish elsewhere because of where it stood."""
    redactor = Redactor()
    args = {"password": "Made-up-0ne", "deep": [{"token": "Made-up-tw0"}], "n": 5}

    assert args == redactor.arguments(args)
    redactor.interaction(interaction(asked=b'{"password":"Made-up-0ne"}'))
    assert b'{"a":"Made-up-0ne"}' == redactor.text(b'{"a":"Made-up-0ne"}')


def test_arguments_hold_no_configured_secrets():
    """A configured secret and what looks like one are covered in arguments too."""
    redactor = Redactor(Policy(given=(("KEY", TOKEN),)))

    assert {"a": ["REDACTED.KEY.1"], "b": "x REDACTED.jwt.2"} == redactor.arguments({"a": [TOKEN], "b": f"x {JWT}"})


def test_another_bundle_starts_over():
    """What was found in one bundle is not known in the next, and its numbers begin anew."""
    redactor = Redactor()
    redactor.interaction(interaction(body=json.dumps({"token": TOKEN}).encode()))
    redactor.restart()

    assert json.dumps({"a": TOKEN}).encode() == redactor.text(json.dumps({"a": TOKEN}).encode())
    assert b'{"token":"REDACTED.token.1"}' == redactor.text(b'{"token":"x"}')


def test_numbers_of_a_bundle_that_is_written_again_are_left_to_it():
    """A new value does not get the placeholder of another one that stands there already."""
    redactor = Redactor()
    redactor.look_at([interaction(body=b'{"token":"REDACTED.token.7"}')])

    assert b'{"token":"REDACTED.token.8"}' == redactor.text(b'{"token":"x"}')


def test_names_of_a_project():
    """A project names more keys, and those that are no secrets."""
    policy = Policy(names=frozenset({"myflag"}), kept=frozenset({"csrftoken", "xapikey"}))
    told = covered('{"my_flag":"x","csrf_token":"y","token":"z"}', policy=policy)
    header = Redactor(policy).interaction(interaction((("X-Api-Key", "public"),)))

    assert ['{"my_flag":"REDACTED.my_flag.1","csrf_token":"y","token":"REDACTED.token.2"}'] == told
    assert (("X-Api-Key", "public"),) == header.request.headers


def test_redaction_can_be_turned_off():
    """A project that wants nothing covered gets everything."""
    plain = interaction((("Authorization", "Bearer s3cret"),))

    assert plain is Redactor(Policy(enabled=False)).interaction(plain)


# --- threads and time ---------------------------------------------------------------------------


def test_several_threads_use_one_redactor():
    """A value has one placeholder, whichever thread comes first, and no two values share one."""
    redactor, told = Redactor(), []

    def work() -> None:
        told.extend([redactor.text(json.dumps({"token": f"value-{number % 50}"}).encode()) for number in range(500)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 50 == len(set(told))


@pytest.mark.parametrize(
    "piece",
    ["a", '"', '\\"', "eyJ", "-----BEGIN PRIVATE KEY-----", 'name="', "4111 ", "token=", "<token>", "%41", "aws_secret",
     '{"token":', "[", "Bearer ", "\\u0041", '"a":"', "sk-", 'name="a" '],
)  # fmt: skip
def test_hostile_bodies_take_no_hostile_time(piece):
    """A megabyte of what makes a careless pattern search for ever is looked through in a moment."""
    body = (piece * (1_000_000 // len(piece)) + " %41").encode()
    redactor = Redactor(Policy(given=(("KEY", "some-s3cret-value"),)))
    began = time.process_time()
    redactor.interaction(interaction(body=body))

    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("app --password hunter2secret --port {port}", "app --password REDACTED.--password.1 --port {port}"),
        ("app --api-key 'hunter2secret' x", "app --api-key 'REDACTED.--api-key.1' x"),
        ("--api-key=sk_live_abcdef0123456789abcdef", "--api-key=REDACTED.--api-key.1"),
        (
            "app --token $TOKEN --password {pw} --secret --port 1",
            "app --token $TOKEN --password {pw} --secret --port 1",
        ),
        ("app --author hunter2secret", "app --author hunter2secret"),
    ],
)
def test_what_follows_an_option_that_names_a_secret_is_covered(command, expected):
    """A command line has its secrets as words of their own too; what only says where one is stays."""
    assert expected == Redactor().command(command)


def test_a_secret_of_a_command_is_known_in_what_a_service_says():
    """What was covered in a command is covered in the reasons that quote it."""
    redactor = Redactor()
    redactor.command("app --password hunter2secret")

    assert "no REDACTED.--password.1 here" == redactor.message("no hunter2secret here")
