"""Secrets: which names hold them, what they look like, and what a project says of them."""

import random

import pytest

from replaykit.errors import RedactionError
from replaykit.secret import PREFIX, Policy, is_luhn, looks, policy_of, weight_of, weight_of_header

SECRET = """
password Password passwords user_password userPassword passwd pwd secret clientSecret client_secret private_key
credit_card card_number cardNumber cvv CVC ssn security_code password_confirmation SECRET_ACCESS_KEY currentpassword
""".split()
TOKEN = """
token tokens access_token accessToken ACCESS-TOKEN refresh_token id_token csrf_token csrfmiddlewaretoken api_key apikey
X-Api-Key auth_key session_id sessionid JSESSIONID PHPSESSID jwt sig X-Amz-Signature AccountKey
""".split()
HARMLESS = """
author authors title name next_token nextPageToken page_token continuation_token token_type tokenType token_count
max_tokens tokens_remaining password_policy password_changed_at has_password is_secret secret_name secretId key
keyboard primary_key monkey passenger passport compass shipping spinner opinion card cards discard cardinality secretary
tokenizer tokenized user_id id hotpink cookie_policy expires_in signed design assignment
""".split()


@pytest.mark.parametrize("name", SECRET)
def test_names_of_secrets(name):
    """Below these names everything is a secret."""
    assert weight_of(name) == "secret"


@pytest.mark.parametrize("name", TOKEN)
def test_names_of_tokens(name):
    """Texts under these names are secrets, numbers and objects are not."""
    assert weight_of(name) == "token"


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_names(name):
    """These names only look like those of secrets."""
    assert weight_of(name) == ""


@pytest.mark.parametrize(
    "name",
    ["Access-Control-Allow-Headers", "WWW-Authenticate", "X-RateLimit-Tokens", "ETag", "Idempotency-Key", "Accept"],
)
def test_harmless_headers(name):
    """These headers speak of secrets, or not even that."""
    assert weight_of_header(name, weight_of(name)) == ""


LETTERS = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3x4Y5z6A1b2C3d4E5f6G7h8I9j0"


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2ln-bmF0dXJl_"),
        ("aws_key", "AKIAIOSFODNN7EXAMPLE"),
        ("github", "ghp_" + LETTERS[:36]),
        ("github", "github_pat_" + LETTERS[:22] + "_" + LETTERS[:59]),
        ("gitlab", "glpat-" + LETTERS[:20]),
        ("slack", "xoxb-123456789012-" + LETTERS[:24]),
        ("stripe", "sk_live_" + LETTERS[:24]),
        ("google", "AIza" + LETTERS[:35]),
        ("npm", "npm_" + LETTERS[:36]),
        ("pypi", "pypi-AgEIcHlwaS5vcmc" + LETTERS[:60]),
        ("sendgrid", f"SG.{LETTERS[:22]}.{LETTERS[:43]}"),
        ("digitalocean", "dop_v1_" + "0a" * 32),
        ("shopify", "shpat_" + "0a" * 16),
        ("vault", "hvs." + LETTERS[:24]),
        ("api_key", "sk-proj-" + LETTERS[:40]),
        ("pem", f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{LETTERS}\n-----END RSA PRIVATE KEY-----"),
        ("card", "4111 1111 1111 1111"),
        ("card", "5555-5555-5555-4444"),
        ("card", "378282246310005"),
        ("card", "6011111111111117"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", "a {} b", '{{"x":"{}"}}', "x={}&y=1", "'{}'", "({})"])
def test_what_looks_like_a_secret(label, value, around):
    """Keys of clouds and forges, JWTs, private keys and card numbers are found wherever they stand."""
    text = around.format(value)

    assert [(label, value)] == [(found, text[start:stop]) for found, start, stop in looks(text)]


def test_a_private_key_that_is_cut_off():
    """It is found up to what can't belong to it, so that JSON around it stays JSON."""
    [(label, start, stop)] = looks(f'{{"x":"-----BEGIN PRIVATE KEY-----\\n{LETTERS}","y":1}}')

    assert ("pem", 6, 6 + 29 + len(LETTERS)) == (label, start, stop)


@pytest.mark.parametrize(
    ("label", "text", "value"),
    [
        ("aws_secret", f"aws_secret_access_key = {LETTERS[:40]}", LETTERS[:40]),
        ("azure", f"AccountName=a;AccountKey={LETTERS[:64]}==;E=b", f"{LETTERS[:64]}=="),
        ("bearer", "Authorization: Bearer abc.def-123", "abc.def-123"),
        ("basic", "curl -H 'Authorization: Basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
    ],
)
def test_only_the_secret_itself_is_found(label, text, value):
    """What says that it is one stays."""
    assert [(label, value)] == [(found, text[start:stop]) for found, start, stop in looks(text)]


@pytest.mark.parametrize(
    "text",
    [
        "a bearer instrument", "Bearer authentication", "Basic information about it", "4111111111111112",
        '{"id":4111111111111111}', '{"a":[4111111111111111]}', "14111111111111111", "4111111111111111.5",
        "b0a41111-4111-1111-1111-111111111111", "1761234567890123", "1761234567890123456", "0000000000000000",
        "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "AKIAshort", "eyJhbGciOiJIUzI1NiJ9", "sk-learn",
        "hf_hub", "0123456789abcdef0123456789abcdef", "2024-01-01T00:00:00Z", "3.14159265358979323846",
    ],
)  # fmt: skip
def test_what_does_not_look_like_a_secret(text):
    """Words, identifiers, times, numbers of JSON and public keys are left alone."""
    assert [] == looks(text)


def test_few_identifiers_look_like_cards():
    """Of random numbers of 16 digits that begin as a card does, only those with the right check digit do."""
    chance = random.Random(1)
    numbers = [f"4{chance.randrange(10**15):015d}" for _ in range(2000)]

    assert [each for each in numbers if is_luhn(each)] == [each for each in numbers if looks(each)]
    assert sum(map(is_luhn, numbers)) < 300


# --- the rules of a project ---------------------------------------------------------------------


def test_rules_of_a_project_are_read():
    """Variables, values and names are taken, and what is not set is left out."""
    policy = policy_of(
        {"env": ["A_TOKEN", "NOT_SET"], "values": ["listed"], "keys": ["My-Key"], "keep": ["csrf_token"]},
        {"A_TOKEN": "päss", f"{PREFIX}OTHER": "given", "UNNAMED": "unnamed"},
        "pyproject.toml",
    )

    assert (("A_TOKEN", "pÃ¤ss"), ("other", "given"), ("value", "listed")) == policy.given
    assert ("secret", "kept", "token") == tuple(map(policy.weight, ["my_key", "csrfToken", "token"]))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"envs": []}, "an unknown key 'envs'"),
        ({"env": "A"}, "env is not a list of texts"),
        ({"keys": [1]}, "keys is not a list of texts"),
        ({"enabled": "no"}, "enabled is not true or false"),
        ({"values": ["abc"]}, "fewer than 4 characters"),
    ],
)
def test_wrong_rules_are_told(settings, says):
    """What can't be meant is an error, and never shows the value."""
    with pytest.raises(RedactionError, match=says):
        policy_of(settings, {}, "pyproject.toml")


@pytest.mark.parametrize("name", [*SECRET, *TOKEN, "authorization", "session", "pin", "otp", "one_time_password"])
def test_names_are_not_passed_over(name):
    """The quick look at a text sees each name that counts."""
    assert Policy().hints(f'{{"{name}": 1}}'.lower())
