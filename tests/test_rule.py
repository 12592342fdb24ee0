"""Rules: which are taken, which are refused, and what each type covers."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from replaykit.errors import NoiseError
from replaykit.rule import Rule, in_order, rules_of, time_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def rule(**settings) -> Rule:
    [made] = rules_of([settings], "pyproject.toml")
    return made


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"place": "$", "type": "any"}, "too broad"),
        ({"place": "$.*", "type": "any"}, "too broad"),
        ({"place": "$[*]", "type": "uuid"}, "too broad"),
        ({"place": "$.rows.*", "type": "any"}, "too broad"),
        ({"place": "$.rows[*].*", "type": "pattern", "pattern": "[a-z]"}, "too broad"),
        ({"place": "$..id", "type": "any"}, "no place"),
        ({"place": "status", "type": "any"}, "no place"),
        ({"type": "any"}, "a place or a header"),
        ({"place": "$.a", "header": "location", "type": "any"}, "a place or a header"),
        ({"header": "date", "type": "any"}, "not compared"),
        ({"header": "location", "type": "time"}, "covered by a pattern"),
        ({"place": "$.a", "type": "some"}, "type"),
        ({"place": "$.a", "type": "any", "size": 1}, "size"),
        ({"place": "$.a", "type": "any", "request": "players"}, "no method and path"),
        ({"place": "$.a", "type": "any", "request": "GET /**/a"}, "no method and path"),
        ({"place": "$.a", "type": "any", "tolerance": 1.0}, "tolerance is for rules of the type time"),
        ({"place": "$.a", "type": "time", "tolerance": 0.0}, "more than 0"),
        ({"place": "$.a", "type": "pattern"}, "needs a pattern"),
        ({"place": "$.a", "type": "pattern", "pattern": ".*"}, "too broad"),
        ({"place": "$.a", "type": "pattern", "pattern": "["}, "its pattern is none"),
        ({"place": "$.a", "type": "pattern", "pattern": "(a+)+b"}, "may take for ever"),
        ({"place": "$.a", "type": "pattern", "pattern": "(a|aa){1,50}b"}, "may take for ever"),
        ({"place": "$.a", "type": "pattern", "pattern": r"(a)\1"}, "may take for ever"),
        ({"place": "$.a", "type": "pattern", "pattern": "a*a*a*a*b"}, "may take for ever"),
        ({"place": "$.a", "type": "pattern", "pattern": "a" * 201}, "200 characters"),
        ({"place": "$.a", "type": "pattern", "pattern": "(a|a)" * 30 + "x"}, "may take for ever"),
        ({"place": "$.a", "type": "pattern", "pattern": "a?" * 30 + "a" * 30}, "may take for ever"),
        ({"place": "$.a", "type": "pattern", "pattern": "a{1,9}" * 30 + "b"}, "may take for ever"),
        ({"place": "$.a", "type": "pattern", "pattern": "(?:a*|b)a*(a{2,}|c)a+b"}, "may take for ever"),
        ({"place": "$.a", "type": "any", "request": "GET /" + "*a" * 40}, "one * in each part"),
        ({"place": "$.a", "type": "any", "request": "GET /a**"}, "one * in each part"),
        ({"place": "$.a", "type": "any", "request": "GET "}, "no method and path"),
        ({"place": "$.rows[*].*[*]", "type": "any"}, "too broad"),
        ({"place": "$.rows[*].*[0]", "type": "any"}, "too broad"),
        ({"place": "$.a", "type": "pattern", "pattern": ".{2,}"}, "too broad"),
        ({"place": "$.a", "type": "pattern", "pattern": "[a-z].*|[0-9].*"}, "too broad"),
        ({"place": "$.a", "type": "pattern", "pattern": r"[\s\S]+[0-9]"}, "too broad"),
    ],
)
def test_what_is_not_well_made_is_refused(settings: dict, why: str):
    """A rule that is too broad, or names what can't be, or might take for ever, is an error with its number."""
    with pytest.raises(NoiseError, match=r"oise rule 2 in pyproject\.toml") as error:
        rules_of([{"place": "$.a", "type": "uuid"}, settings], "pyproject.toml")

    assert why in error.value.happened


@pytest.mark.parametrize(
    "settings",
    [
        {"place": "$.a", "type": "pattern", "pattern": "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"},
        {"place": "$.a", "type": "pattern", "pattern": "req-.*"},
        {"place": "$.a", "type": "pattern", "pattern": r"[0-9]+\.[0-9]+(-rc[0-9]{1,3})?"},
        {"place": "$.a", "type": "pattern", "pattern": r"[*+?(]{8}\?"},
        {"place": "$.tags[*]", "type": "any"},
        {"place": "$.a", "type": "any", "request": "* /rows-*/all/**"},
        {"place": "$.a", "type": "any", "request": "GET /"},
    ],
)
def test_what_names_something_is_taken(settings: dict):
    """A pattern with a form of its own, a list with a name, and one star in a part of a path are no mistakes."""
    assert rule(**settings).type == settings["type"]


def test_no_list_of_rules_is_refused():
    """Rules are a list of tables."""
    with pytest.raises(NoiseError, match="no list"):
        rules_of({"place": "$.a"}, "pyproject.toml")


UUID = "6b1f2a0e-3c58-4d0e-9a51-0d5c8b1f7a11"


@pytest.mark.parametrize(
    ("settings", "before", "after", "fits"),
    [
        ({"type": "any"}, "a", 1, True),
        ({"type": "uuid"}, UUID, UUID.upper(), True),
        ({"type": "uuid"}, UUID, UUID[:-1], False),
        ({"type": "number"}, 1, 2, True),
        ({"type": "number"}, 1, True, False),
        ({"type": "number"}, 1, Decimal("1.5"), False),
        ({"type": "pattern", "pattern": "[0-9a-f]{4}"}, "00ff", "beef", True),
        ({"type": "pattern", "pattern": "[0-9a-f]{4}"}, "00ff", "beefs", False),
        ({"type": "pattern", "pattern": "a+"}, "a", "a" * 1000, False),
        ({"type": "time"}, "2020-01-01T00:00:00Z", "2026-01-01T11:56:00+00:00", True),
        ({"type": "time"}, "2020-01-01T00:00:00Z", "2026-01-01T11:54:00+00:00", False),
        ({"type": "time", "tolerance": 600.0}, "2020-01-01T00:00:00Z", "2026-01-01T11:54:00+00:00", True),
        ({"type": "time"}, "2020-01-01T00:00:00Z", int(NOW.timestamp()), False),
        ({"type": "time"}, 1577836800, int(NOW.timestamp()), True),
        ({"type": "time"}, 1577836800000, int(NOW.timestamp()) * 1000, True),
        ({"type": "time", "to": "recorded", "tolerance": 5.0}, "2020-01-01 00:00:00", "2020-01-01 00:00:04", True),
        ({"type": "time", "to": "recorded", "tolerance": 5.0}, "2020-01-01 00:00:00", "2020-01-01 00:00:06", False),
        ({"type": "time"}, "Wed, 01 Jan 2020 00:00:00 GMT", "Thu, 01 Jan 2026 12:01:00 GMT", True),
        ({"type": "time"}, "yesterday", "Thu, 01 Jan 2026 12:01:00 GMT", False),
    ],
)
def test_a_type_covers_what_has_its_form(settings: dict, before, after, fits: bool):
    """Both values have the form of the type, and a time is near to now, or to the recorded one."""
    assert fits == rule(place="$.a", **settings).fits(before, after, NOW.timestamp())


def test_without_a_moment_any_time_is_near():
    """Of two bundles nobody knows when they were made, so the form of a time has to do."""
    later = (NOW + timedelta(days=900)).isoformat()

    assert rule(place="$.a", type="time").fits(NOW.isoformat(), later, None)


@pytest.mark.parametrize(
    ("request_", "method", "path", "covers"),
    [
        ("* **", "GET", "/a/b", True),
        ("GET /a/*", "GET", "/a/b", True),
        ("GET /a/*", "POST", "/a/b", False),
        ("GET /a/*", "GET", "/a/b/c", False),
        ("* /a/**", "PUT", "/a/b/c", True),
        ("GET /a.b", "GET", "/axb", False),
    ],
)
def test_requests_are_named_by_method_and_path(request_: str, method: str, path: str, covers: bool):
    """A star is one part of a path, two are any rest."""
    assert covers == rule(request=request_, place="$.a", type="any").covers_request(method, path)


def test_a_place_is_the_place_itself():
    """A rule covers the places that it names, neither those above nor those below, nor names that go on."""
    made = rule(place="$.rows[*].id", type="any")

    assert [True, False, False, False] == [
        made.covers_place(each) for each in ("$.rows[3].id", "$.rows[3].id.x", "$.rows[3].idx", "$.id")
    ]


@pytest.mark.parametrize("pattern", ["a*a*a*b", "a?" * 21 + "b", "(a|a)" * 21 + "x", "a{1,9}" * 6 + "b"])
def test_no_pattern_takes_long(pattern: str):
    """The worst pattern that is taken ends within a second on the longest text that is matched."""
    made = rule(place="$.a", type="pattern", pattern=pattern)
    before = time.process_time()

    assert not made.fits("a" * 256, "a" * 256, 0)
    assert time.process_time() - before < 1


def test_lists_are_put_in_order_by_their_key():
    """Items are ordered by a key, or as a whole, whatever the order of keys in them."""
    assert [{"id": 1, "a": 3}, {"id": 2}] == in_order([{"id": 2}, {"id": 1, "a": 3}], "id")
    assert [{"a": 1, "b": 2}, {"b": 2, "c": 1}] == in_order([{"c": 1, "b": 2}, {"b": 2, "a": 1}], None)
    assert "text" == in_order("text", None)


@pytest.mark.parametrize(
    "value", [True, 5, "", "2026", "no time at all, no", "2026-99-99T00:00:00", None, 1e300, 10**400]
)
def test_what_is_no_time_is_none(value):
    """Small numbers, words and dates that can't be are no times."""
    assert time_of(Decimal(value) if isinstance(value, float) else value) is None
