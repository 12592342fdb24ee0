"""YAML of strangers: read within bounds, and nothing is made of it but values."""

import re
import time

import pytest

from replaykit import yaml


def test_values_are_read():
    """Text, bytes, numbers, lists and mappings are what they are in YAML; dates stay text."""
    read = yaml.load(b"a: [1, 2.5, true, null, '1', 2026-11-21]\nb: !!binary aGk=\nc: |\n  two\n  lines\n")

    assert {"a": [1, 2.5, True, None, "1", "2026-11-21"], "b": b"hi", "c": "two\nlines\n"} == read


def test_what_is_written_is_read():
    """Hostile text and bytes survive writing and reading."""
    data = {"text": "\x7f\u2028\ufeff\x85 # : - !!binary \U0001f600\r\n\t", "bytes": b"\x00\xff", "no": None}

    assert data == yaml.load(yaml.dump(data).encode())


def test_tags_of_old_cassettes_mean_plain_values():
    """What vcrpy wrote for text of Python 2, tuples, open files and iterators is read as what it held."""
    read = yaml.load(
        b"a: !!python/unicode 'x'\n"
        b"b: !!python/tuple [1, 2]\n"
        b"c: !!python/object/new:_io.BytesIO\n  state: !!python/tuple [!!binary aGk=, 0, null]\n"
        b"d: !!python/object/apply:builtins.iter\n  args: [[!!binary aGk=, ho]]\n  state: 0\n"
        b"e: !!python/object:vcr.request.Request {f: !!python/object/apply:__builtin__.frozenset [[g]]}\n"
    )

    assert {"a": "x", "b": [1, 2], "c": b"hi", "d": b"hiho", "e": {"f": ["g"]}} == read


def test_an_alias_stands_for_what_was_named():
    """PyYAML writes what is the same object twice as an alias."""
    assert {"a": [1], "b": [1]} == yaml.load(b"a: &x [1]\nb: *x\n")


BOMB = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (number, number, b",".join([b"*a%d" % (number - 1)] * 10)) for number in range(1, 12)
)
BAD = {
    "a bomb of aliases": (BOMB, "line 8: with its aliases written out"),
    "deep lists": (b"a: " + b"[" * 100_000, "line 1: it is nested more than 100 deep"),
    "deep blocks": (b"- " * 100_000, "line 1: it is nested more than 100 deep"),
    "a program": (b"a: !!python/object/apply:os.system ['false']", "names a thing of a program"),
    "a class": (b"--- !!python/object:builtins.object {}", "names a thing of a program"),
    "a module": (b"--- !!python/module:os ''", "names a thing of a program"),
    "a tag of nobody": (b"--- !thing x", "names a thing of a program"),
    "a loop": (b"a: &x [*x]", "line 1: *x stands for nothing"),
    "an alias of nothing": (b"\n- *x", "line 2: *x stands for nothing"),
    "a key twice": (b"a: 1\na: 2", "a key stands there twice"),
    "a key that is none": (b"? [1]\n: 2", "a key is no text"),
    "a huge number": (b"a: " + b"1" * 5000, "a number of 5000 characters"),
    "a wrong number": (b"a: !!int x", "'x' is not what its tag says"),
    "wrong base64": (b"a: !!binary a", "is not what its tag says"),
    "two documents": (b"--- 1\n--- 2", "line 2: there is more than one document"),
    "a quote without an end": (b"a: 'b", "this is no YAML"),
    "NUL": (b"a: \0", "this is no YAML"),
    "no UTF-8": (b"a: \xff\xfe", "this is no YAML"),
    "half a character": (b'a: "\\ud800"', "this is no YAML"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_good_is_told_at_once(what: str):
    """Each is a ValueError that says the line, where there is one, in less than two seconds."""
    content, why = BAD[what]
    began = time.monotonic()
    with pytest.raises(ValueError, match=re.escape(why)) as told:
        yaml.load(content)

    assert ValueError is told.type
    assert time.monotonic() - began < 2


def test_without_libyaml_it_is_the_same(monkeypatch: pytest.MonkeyPatch):
    """PyYAML's own parser, which is there where libyaml is not, reads the same, and refuses the same."""
    import yaml as library

    monkeypatch.setattr(yaml, "_Loader", library.SafeLoader)

    assert {"a": [1, b"hi"]} == yaml.load(b"a: [1, !!binary aGk=]")
    for what in ("a bomb of aliases", "deep blocks", "a program", "a key twice", "a quote without an end", "NUL"):
        content, why = BAD[what]
        with pytest.raises(ValueError, match=re.escape(why)):
            yaml.load(content[:1000] if what == "deep blocks" else content)
