"""Noise: what headers say by chance gets a stand-in, and what says something stays."""

import pytest

from replaykit.noise import DATE, LATER, Noise
from replaykit.value import JsonData

FIRST, NEXT, LAST = (f"Sat, 21 Nov 2026 12:00:0{second} GMT" for second in (1, 2, 3))
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def settled(headers: list[tuple[str, str]], elsewhere: JsonData = None) -> list[str]:
    """Return what stands for the headers of a bundle in which that stands elsewhere."""
    noise = Noise()
    for header in headers:
        noise.meet(*header)
    noise.look([noise.silence(*header) for header in headers])
    noise.look(elsewhere)
    return [noise.stand_in(*header) for header in headers]


def test_ids_stay_equal_and_different():
    """The same id has the same stand-in wherever it is sent, another one another."""
    headers = [("X-Request-Id", "a1"), ("traceparent", TRACE), ("x-request-id", "b1"), ("X-Correlation-Id", "a1")]

    assert ["ID.1", "ID.2", "ID.3", "ID.1"] == settled(headers)


def test_dates_of_versions_keep_their_order():
    """What was modified later is so afterwards, however they came; moments of answers are all one."""
    headers = [
        ("Last-Modified", LAST), ("If-Modified-Since", FIRST), ("Last-Modified", FIRST), ("Last-Modified", NEXT),
        ("Date", FIRST), ("Date", NEXT), ("Expires", NEXT), ("Set-Cookie", f"a=b; Expires={LAST}; Path=/"),
    ]  # fmt: skip
    last, since, first, between, *moments = settled(headers)

    assert [first, between, last] == [f"Fri, 01 Jan 1999 00:00:0{second} GMT" for second in range(3)]
    assert first == since
    assert [DATE, DATE, DATE, f"a=b; Expires={LATER}; Path=/"] == moments


@pytest.mark.parametrize(
    ("header", "elsewhere"),
    [
        (("X-Ms-Request-Id", "3f2a91c07d5e"), {"request": {"uri": "http://h/operations/3f2a91c07d5e"}}),
        (("X-Request-Id", "b7"), {"request": {"uri": "http://h/operations/b7?wait=1"}}),
        (("X-Request-Id", "a9/c81f00"), "/operations/a9%2Fc81f00"),
        (("X-Request-Id", "123456"), {"id": 123456}),
        (("traceparent", TRACE), "see 4bf92f3577b34da6a3ce929d0e0e4736"),
        (("X-Request-Id", "3f2a91c07d5e"), {"body": {"!!binary": "AP8zZjJhOTFjMDdkNWU="}}),
        (("X-Runtime", "0.012345"), {"data": {"took": 0.012345}}),
        (("Last-Modified", FIRST), {"data": {"modified": 1795262401.0}}),
        (("Last-Modified", FIRST), {"data": {"modified": "2026-11-21T12:00:01+00:00"}}),
        (("Date", FIRST), f"seen on {FIRST}"),
        (("Date", FIRST), {"1795262401000": []}),
        (("Set-Cookie", f"a=b; Expires={FIRST}"), "until 2026-11-21 12:00:01"),
    ],
)
def test_what_stands_elsewhere_stays(header: tuple[str, str], elsewhere: JsonData):
    """A value, or a part of an id, that is used in any other place of the bundle is not touched."""
    assert [header[1]] == settled([header], elsewhere)
    assert [header[1]] != settled([header], {"took": 12, "of": "00-01", "at": "2026-11-21T11:00:00"})


def test_one_date_elsewhere_keeps_them_all():
    """Dates are compared with each other, so that none is moved where one of them stays."""
    headers = [("Date", NEXT), ("Last-Modified", FIRST), ("X-Request-Id", "a1")]

    assert [NEXT, FIRST, "ID.1"] == settled(headers, {"modified": 1795262401})


@pytest.mark.parametrize(
    "header",
    [
        ("Expires", "0"), ("Expires", "Wed, 11 Jan 1984 05:00:00 GMT"), ("Last-Modified", DATE), ("Age", ""),
        ("Server", "x"), ("Set-Cookie", "a=; expires=Thu, 01-Jan-1970 00:00:00 GMT"), ("Date", "soon"),
        ("Last-Modified", "Sat, 21 Xxx 2026 12:00:00 GMT"), ("Date", "Xxx, 99 Xxx 9999 99:99:99"),
    ],
)  # fmt: skip
def test_what_says_nothing_of_now_stays(header: tuple[str, str]):
    """What is no date, or one of long ago, is the same each time as it is."""
    assert [header[1]] == settled([header])
