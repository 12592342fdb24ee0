"""Disguises: the ways to write a value."""

import base64

import pytest

from replaykit.disguise import (
    base64_around,
    base64_forms,
    base64_like,
    forms,
    plain_text,
    unescaped,
    wire_text,
)


@pytest.mark.parametrize("text", ["", "plain", "päß 😀", "\x00\x1f\x7f"])
def test_wire_text_is_read_back(text):
    """Text becomes bytes, one character each, and text again."""
    assert text == plain_text(wire_text(text))
    assert wire_text(text).encode("latin-1") == text.encode()


@pytest.mark.parametrize("offset", range(3))
@pytest.mark.parametrize("value", ["0123456789", "a?>~b?>~c?>~d"])
def test_a_value_is_found_inside_of_base64(offset, value):
    """In each alignment, and whatever follows, one of the forms stands in the base64."""
    for after in (b"", b"\xff", b"\xff\xff", b"tail"):
        coded = base64.b64encode(b"\xff" * offset + value.encode() + after).decode()

        assert any(each in coded for each in base64_forms(value))


def test_base64_is_read_where_it_stands():
    """What is around a place is read, and written again in the same alphabet and with the same padding."""
    for write in (base64.b64encode, base64.urlsafe_b64encode):
        coded = write(b"a?>~b?>~c?>~d~").decode()
        text = f'x "{coded}" y'
        read = base64_around(text, text.index(coded) + 4, 4)

        assert (3, 3 + len(coded), "a?>~b?>~c?>~d~") == read
        assert coded == base64_like(coded, read[2])
        assert coded.rstrip("=") == base64_like(coded.rstrip("="), read[2])


def test_forms_of_a_value():
    """A plain value has one form; one that needs escapes has several, each once."""
    assert ["plain"] == forms("plain")
    assert {"a/b", "a%2Fb", "a%2fb", "a\\/b"} == set(forms("a/b"))


@pytest.mark.parametrize(
    ("raw", "value"),
    [("a\\u0062\\/", "ab/"), ("\\ud83d\\ude00", wire_text("😀")), ("broken\\", "broken\\"), ("\n", "\n")],
)
def test_strings_of_json_are_read(raw, value):
    """Escapes are read; what is no JSON stays as it is."""
    assert value == unescaped(raw)
