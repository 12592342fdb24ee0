"""Places: where in a message a secret is expected, by the name that it stands under.

Headers, cookies, pairs of a query or a form, keys of JSON at any depth, elements of XML, parts of multipart. What is
found is given to `cover`, and what that returns is put in its place; the rest of the text stays to the byte. Texts are
wire text (module disguise); they need not be well formed, since a secret in half a document is one too.
"""

import json
import re
from collections.abc import Callable
from typing import Protocol

from replaykit.disguise import base64_around, plain_text, unescaped, unquoted, wire_text
from replaykit.placeholder import is_marked_number, is_placeholder
from replaykit.secret import Policy, Weight, is_secret_value, is_telling, weight_below, weight_of_header
from replaykit.value import JsonData

LONG_COOKIE = 16  # characters of a cookie that is looked for everywhere, whatever its name
MOST_NESTED = 5  # JSON in a text of JSON


class Cover(Protocol):
    """What is given each secret that is found."""

    def __call__(self, label: str, value: str, known: bool = True) -> str:
        """Return what is to stand in its place; `known` says whether it is to be looked for elsewhere."""


class Places:
    """Finds secrets by their names, and has them covered."""

    def __init__(self, policy: Policy, cover: Cover, cover_number: Callable[[str, str], str]) -> None:
        self._policy = policy
        self._cover = cover
        self._cover_number = cover_number

    def header(self, name: str, value: str) -> str:
        """Cover the value of a header: cookies one by one, credentials but for their scheme."""
        if not value:
            return value
        lower = name.lower()
        weight = self._policy.weight(name)
        if weight == "kept":
            return value
        if lower == "cookie":
            return "; ".join([self._cookie(each) for each in value.split("; ")])
        if lower == "set-cookie":
            first, semicolon, attributes = value.partition(";")
            return f"{self._cookie(first)}{semicolon}{attributes}"
        if lower in {"authorization", "proxy-authorization"}:
            return self._credentials(lower, value)
        if is_secret_value(weight_of_header(name, weight), value):
            return self._cover(lower, value)
        if "=" in value or "//" in value:
            return self.in_pairs(value)
        return value

    def _cookie(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if not equals or self._policy.weight(name.strip()) == "kept":
            return pair
        quotes = '"' if len(value) > 1 and value[0] == value[-1] == '"' else ""
        plain, weight = value.strip(quotes or None), self._policy.weight(name.strip())
        told = bool(weight) or len(plain) >= LONG_COOKIE
        return f"{name}={quotes}{self._cover(name.strip(), plain, told)}{quotes}"

    def _credentials(self, label: str, value: str) -> str:
        scheme, space, rest = value.partition(" ")
        if not space:
            return self._cover(label, value)
        if scheme.lower() == "basic" and (read := base64_around(rest, 0, len(rest))) is not None:
            password = read[2].partition(":")[2]
            if is_telling(password):
                self._cover(label, password)
        return f"{scheme} {self._cover(label, rest.strip())}"

    def named(self, wire: str) -> str:
        """Cover what stands under the name of a secret: in JSON, a form, a query, XML, a part of multipart."""
        if not self._policy.hints(wire.lower()) and "\\u" not in wire and "%" not in wire:
            return wire
        if '"' in wire and self._has_names(wire):
            wire = _NAMED_LATER.sub(self._named_later, self._in_json(wire))
        if "=" in wire:
            wire = self.in_pairs(wire)
        if "</" in wire:
            wire = _XML.sub(self._element, wire)
        if 'name="' in wire or "name='" in wire:
            wire = _INPUT_LATER.sub(self._named_later, _INPUT.sub(self._input, wire))
            if "\r\n--" in wire:
                wire = "\r\n--".join([_PART.sub(self._input, part, count=1) for part in wire.split("\r\n--")])
        return wire

    def _has_names(self, wire: str) -> bool:
        keys = set(_KEY.findall(wire))
        return '\\"' in wire or "value" in keys or any(self._weight(unescaped(key)) for key in keys)

    def _weight(self, name: str) -> Weight:
        weight = self._policy.weight(plain_text(name))
        return "" if weight == "kept" else weight

    def _in_json(self, wire: str, depth: int = 0) -> str:
        """Cover the values of secret keys, in what is JSON or has JSON in it; the rest stays to the byte."""
        done, end = [], 0
        level = _Level()
        stack = [level]
        for token in _TOKEN.finditer(wire):
            kind = token[0][0]
            if kind == '"':
                if token[2] is not None:
                    level.key = unescaped(token[1])
                    continue
                weight, label = level.expected(self._weight)
                covered = self._json_string(token[1], weight, label, depth)
                level.read(unescaped(token[1]))
                if covered is not None:
                    done += [wire[end : token.start(1)], covered]
                    end = token.end(1)
            elif kind in "{[":
                weight, label = level.expected(self._weight)
                level.key = None
                level = _Level(weight, label, is_list=kind == "[")
                stack.append(level)
            elif kind in "}]":
                if len(stack) > 1:
                    stack.pop()
                    level = stack[-1]
            else:
                weight, label = level.expected(self._weight)
                level.key = None
                if weight in {"secret", "digits"} and not is_marked_number(_number(token[0])):
                    done += [wire[end : token.start()], self._cover_number(label, token[0])]
                    end = token.end()
        if not done:
            return wire
        return "".join([*done, wire[end:]])

    def _json_string(self, raw: str, weight: Weight, label: str, depth: int) -> str | None:
        """Return what is to stand in a string of JSON; None where nothing is covered."""
        value = unescaped(raw)
        if weight and is_secret_value(weight, value):
            if is_placeholder(value):
                return None
            scheme, space, rest = value.partition(" ")
            if space and weight == "guarded" and rest:
                return f"{scheme} {self._cover(label, rest)}"
            return self._cover(label, value)
        if '\\"' in raw and value.lstrip()[:1] in {"{", "["} and depth < MOST_NESTED:
            covered = self._in_json(value, depth + 1)
            if covered != value:
                return wire_text(json.dumps(plain_text(covered), ensure_ascii=raw.isascii())[1:-1])
        return None

    def in_pairs(self, wire: str) -> str:
        """Cover the values of secret keys in a query, a form, or a text with such pairs in it."""
        if "=" not in wire:
            return wire
        is_form = wire[:1] not in {"{", "[", "<"} and not _SPACE.search(wire)
        return (_FORM if is_form else _PAIR).sub(self._pair, wire)

    def _pair(self, found: re.Match[str]) -> str:
        name = unquoted(found[2], plus=True) if "%" in found[2] else found[2]
        weight = self._weight(name)
        if not weight:
            return found[0]
        value = unquoted(found[3], plus=True)
        if weight == "guarded" and _SPACED.match(value):
            return found[0]
        return f"{found[1]}{found[2]}={self._cover(name, value)}" if is_secret_value(weight, value) else found[0]

    def in_command(self, wire: str) -> str:
        """Cover what stands after an option that names a secret, as a word of its own: --password hunter2."""
        return _OPTION.sub(self._after_option, wire)

    def _after_option(self, found: re.Match[str]) -> str:
        name, between, value = found.groups()
        if not is_secret_value(self._weight(name), value):
            return found[0]
        return f"{name}{between}{self._cover(name, value)}"

    def in_repr(self, wire: str) -> str:
        """Cover what stands in what Python shows of a value: Told(token='...')."""
        return _REPR.sub(self._shown, wire)

    def _shown(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not is_secret_value(self._weight(name), found[5]):
            return found[0]
        start = found.start(5) - found.start()
        return f"{found[0][:start]}{self._cover(name, found[5])}{found[0][start + len(found[5]) :]}"

    def _element(self, found: re.Match[str]) -> str:
        if not is_secret_value(self._weight(found[1]), found[2].strip()):
            return found[0]
        return found[0].replace(f">{found[2]}</", f">{self._cover(found[1], found[2].strip())}</")

    def _named_later(self, found: re.Match[str]) -> str:
        """Cover a value whose name stands after it."""
        if not is_secret_value(self._weight(unescaped(found[2])), found[1]):
            return found[0]
        start = found.start(1) - found.start()
        return f"{found[0][:start]}{self._cover(found[2], found[1])}{found[0][start + len(found[1]) :]}"

    def _input(self, found: re.Match[str]) -> str:
        if not is_secret_value(self._weight(found[2]), found[3]):
            return found[0]
        start = found.start(3) - found.start()
        return f"{found[0][:start]}{self._cover(found[2], found[3])}{found[0][start + len(found[3]) :]}"


class _Level:
    """An object or a list of JSON that is being read."""

    def __init__(self, weight: Weight = "", label: str = "", *, is_list: bool = False) -> None:
        self.weight = weight
        self.label = label
        self.is_list = is_list
        self.key: str | None = None  # whose value comes next
        self.named = ""  # what the object says to be the name of its value: {"name": "password", "value": "..."}

    def expected(self, weigh: Callable[[str], Weight]) -> tuple[Weight, str]:
        """Say what the next value may be, and under which name it stands."""
        key = self.key
        if key is None:
            return (self.weight, self.label) if self.is_list else ("", "")
        if key.lower() == "value" and self.named:
            return weigh(self.named), self.named
        own = weigh(key)
        if not self.weight or own:
            return own, key if self.weight != "secret" else self.label
        return weight_below(self.weight, key), self.label

    def read(self, value: str) -> None:
        """Take note of a text."""
        if self.key is not None and self.key.lower() in {"name", "key"}:
            self.named = value
        self.key = None


_KEY = re.compile(r'"([^"\\]{0,100}(?:\\.[^"\\]{0,50}){0,8})"\s{0,40}:')
_TOKEN = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)(?:"(\s*:)?|\\?\Z)|[{}\[\]]|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?', re.DOTALL)
_PAIR = re.compile(r"(^|[?&;#\s\"',])([A-Za-z0-9_.%\[\]-]{2,64})=([^&;#\s\"'<>\\,)]+)")
_FORM = re.compile(r"(^|[?&;#])([^=&;#?]{1,128})=((?:[^&;#]|;(?![^=&;#?]{1,128}=))+)")
_OPTION = re.compile(r"""(?<![^\s'"])(--?[A-Za-z][\w-]{1,63})(['"]?\s+['"]?)([^\s'"${-][^\s'"]*)""")
_SPACE = re.compile(r"\s")
_SPACED = re.compile(r"\S+\s\S+\s")
_REPR = re.compile(r"""(?:\b(\w{2,64})=|'(\w{2,64})':\ )((b?)['"])([^'"\\]{1,4096})['"]""")
_XML = re.compile(r"<(?:[A-Za-z][\w-]{0,40}:)?([A-Za-z][\w.-]{1,64})(?:\s[^<>]{0,500})?>([^<>]+)</")
_INPUT = re.compile(r"""name=(["'])([^"'<>\r\n]{2,64})["'][^<>\r\n]{0,200}?\bvalue=["']([^"'<>]+)["']""")
_INPUT_LATER = re.compile(r"""\bvalue=["']([^"'<>]+)["'][^<>\r\n]{0,200}?name=["']([^"'<>\r\n]{2,64})["']""")
_NAMED_LATER = re.compile(
    r'"value"\s{0,9}:\s{0,9}"([^"\\]{1,4096})"\s{0,9},\s{0,9}"(?:name|key)"\s{0,9}:\s{0,9}"([^"\\]{2,64})"'
)
_PART = re.compile(r'name=(")([^"\r\n]{2,64})"(?:\r\n[^\r\n]+){0,5}\r\n\r\n(.+)\Z', re.DOTALL)


def _number(text: str) -> JsonData:
    return int(text) if text.isdigit() and len(text) < 20 else None  # noqa: PLR2004
