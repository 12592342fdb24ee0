"""Redaction: credentials in well-known headers never reach what is written."""

import pytest

from replaykit.interaction import Interaction, Request, Response, Trouble, header
from replaykit.redact import PLACEHOLDER, SECRET_HEADERS, redacted


def interaction(sent: tuple = (), got: tuple | None = ()) -> Interaction:
    """Make an interaction with some headers in its request and its response."""
    response = None if got is None else Response(status=200, headers=got, body=b"body")
    return Interaction(
        request=Request(method="GET", url="http://127.0.0.1/a", headers=sent, body=b"sent"),
        response=response,
        trouble=Trouble(error="ReadTimeout") if got is None else None,
        elapsed=0.5,
    )


@pytest.mark.parametrize("name", sorted(SECRET_HEADERS))
@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_secret_headers_are_covered_however_they_are_spelled(name, spell):
    """The value of a secret header is covered in request and response; its name stays as it was written."""
    covered = redacted(interaction(((spell(name), "s3cret"),), ((spell(name), "s3cret"),)))

    assert ((spell(name), PLACEHOLDER),) == covered.request.headers
    assert ((spell(name), PLACEHOLDER),) == covered.response.headers
    assert "s3cret" not in repr(covered)


def test_headers_that_are_known_to_be_secret():
    """Credentials, cookies and keys in the usual headers are covered."""
    known = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"}

    assert known <= SECRET_HEADERS


def test_all_else_stays():
    """Other headers keep their order, case, duplicates and values, and so do body, URL, status and time."""
    sent = (("Accept", "*/*"), ("Cookie", "a=1"), ("X-Many", "1"), ("x-many", "2"), ("Cookie", "b=2"))
    covered = redacted(interaction(sent))

    assert (("Accept", "*/*"), ("Cookie", PLACEHOLDER), ("X-Many", "1"), ("x-many", "2"), ("Cookie", PLACEHOLDER)) == (
        covered.request.headers
    )
    assert interaction() == covered.replace(request=covered.request.replace(headers=()))


def test_an_interaction_without_secrets_is_returned_as_it_is():
    """Where there is nothing to cover, nothing is copied."""
    plain = interaction((("Accept", "*/*"),), (("Content-Type", "text/plain"),))

    assert plain is redacted(plain)


def test_the_given_interaction_keeps_its_secrets():
    """What the run itself works with is not changed."""
    given = interaction((("Authorization", "Bearer s3cret"),))
    redacted(given)

    assert (("Authorization", "Bearer s3cret"),) == given.request.headers


def test_a_lost_answer_is_covered_too():
    """A request without a response has secrets as well."""
    covered = redacted(interaction((("Authorization", "Bearer s3cret"),), None))

    assert (("Authorization", PLACEHOLDER),) == covered.request.headers
    assert None is covered.response


def test_covering_twice_changes_nothing_more():
    """Redaction is idempotent."""
    once = redacted(interaction((("Authorization", "Bearer s3cret"),), (("Set-Cookie", "a=1"),)))

    assert once == redacted(once)


def test_a_header_is_found_whatever_its_case():
    """The first header of a name is returned, and None where there is none."""
    headers = (("Content-Type", "text/plain"), ("content-type", "text/html"))

    assert "text/plain" == header(headers, "CONTENT-TYPE")
    assert None is header(headers, "Accept")
