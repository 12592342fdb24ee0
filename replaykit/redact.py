"""Redaction: secrets out, before anything is written.

Theory of operation. A run, its checks and its trace have the true values; a bundle's writer gives all that it is about
to write to a *redactor*, and writes what comes back. Of each part, two questions are asked.

1. What in it is a secret? Something stands under the name of one (a header, a cookie, a key of a query, a form, or
   JSON at any depth), or looks like one (a JWT, the key of a cloud, a card number). It is covered there, by its
   placeholder; and where it is long enough to mean nothing else, it is *known* from then on.
2. Which known secrets stand in it, in whatever disguise? Those that the configuration names are known from the
   beginning. They are covered wherever they stand.

An interaction is asked the first question as a whole before the second one, so that an earlier header is covered for
the sake of a later body. All else stays as it was on the wire, byte for byte.

The arguments of commands are test data, made up by generators: they have to stay as they are to be replayed. They
are asked the second question, and for what looks like a secret; and what stands in them is not known because of its
place, or every "a" of the run would vanish.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from replaykit.coding import TooLargeError, coding_of, decoded, encoded
from replaykit.disguise import (
    JSON_STRING,
    base64_around,
    base64_forms,
    base64_like,
    forms,
    plain_text,
    unescaped,
    unquoted,
    url_runs,
    wire_text,
)
from replaykit.interaction import Headers, Interaction
from replaykit.place import Places
from replaykit.placeholder import (
    MARK,
    MARKED_NUMBER,
    is_placeholder,
    placeholder,
    placeholders_in,
    split,
)
from replaykit.secret import (
    Policy,
    is_telling,
    looks,
)
from replaykit.value import JsonData, JsonText, loads, text_of_data

MOST_KNOWN = 500  # secrets that are looked for everywhere; a service that makes more is no reason to stand still


MOST_REMEMBERED = 500  # headers and texts that need not be looked at again
MOST_SEEN = 16 * 1024 * 1024  # characters that are kept, to find out whether a secret stood in them
MOST_SEARCHES = 2_000_000  # of one form of one secret in one text, to find that out


class Found(NamedTuple):
    """A secret that was found: its label, and its value as wire text."""

    label: str
    value: str


class Redactor:
    """Covers the secrets of one bundle. Several threads may use it."""

    def __init__(self, policy: Policy = Policy()) -> None:  # noqa: B008  it never changes
        self.policy = policy
        self._lock = threading.RLock()
        self._places = Places(policy, self._cover, self._cover_number)
        self.restart()

    def restart(self) -> None:
        """Forget what was found, for the next bundle."""
        self._numbers: dict[str, tuple[str, int]] = {}  # by value: its placeholder
        self._count = 0
        self._known: dict[str, str] = {}  # value to label
        self._needles: list[tuple[str, str, bool]] = []  # how it may be written, the value, is it in base64?
        self._own: set[str] = set()  # what stands in arguments of commands
        self._clean: set[str] = set()  # texts without secrets
        self._lines: dict[str, str] = {}  # URLs and reasons, and what is left of them
        self._heads: dict[Headers, Headers] = {}  # headers, and what is left of them when names and looks are covered
        self._headers: dict[tuple[str, str], tuple[str, str]] = {}  # the same for each
        self._seen: list[tuple[str, ...]] = []  # what was written
        self._seen_size = 0  # in characters
        self.found: list[Found] = []  # in order, once each
        for label, value in self.policy.given:
            self._learn(value, label)

    @property
    def is_late(self) -> bool:
        """Whether a secret stands, or may stand, in what was written before it was known."""
        with self._lock:
            if len(self._known) == len({value for _, value in self.policy.given}):
                return False
            if self._seen_size > MOST_SEEN or len(self._seen) * len(self._needles) > MOST_SEARCHES:
                return True
            return any(self._known_in(each) != each for texts in self._seen for each in texts)

    def _see(self, *texts: str) -> None:
        self._seen_size += sum(map(len, texts))
        if self._seen_size <= MOST_SEEN:
            self._seen.append(texts)

    # --- what is written

    def interaction(self, interaction: Interaction) -> Interaction:
        """Cover the secrets of a request and its answer; return it as it is where there are none."""
        if not self.policy.enabled:
            return interaction
        request, response, trouble = interaction.request, interaction.response, interaction.trouble
        with self._lock:
            asked = self._by_place(request.headers, request.body, request.url)
            told = None if response is None else self._by_place(response.headers, response.body, response.reason)
            changes: dict[str, Any] = {}
            url, headers, body = self._everywhere(asked, request.body)
            if (url, headers, body) != (request.url, request.headers, request.body):
                changes["request"] = request.replace(url=url, headers=headers, body=body)
            if response is not None and told is not None:
                reason, headers, body = self._everywhere(told, response.body)
                if (headers, body, reason) != (response.headers, response.body, response.reason):
                    changes["response"] = response.replace(headers=headers, body=body, reason=reason)
            if trouble is not None and (message := self.message(trouble.message)) != trouble.message:
                changes["trouble"] = trouble.replace(message=message)
        return interaction.replace(**changes) if changes else interaction

    def text(self, text: JsonText) -> JsonText:
        """Cover the secrets of JSON text: an event, an observation, a state."""
        if not self.policy.enabled:
            return text
        wire = text.decode("latin-1")
        with self._lock:
            covered = self._covered(wire)
        return text if covered is wire else covered.encode("latin-1")

    def data(self, data: JsonData) -> JsonData:
        """Cover the secrets of JSON data."""
        if not self.policy.enabled or not isinstance(data, str | dict | list):
            return data
        if isinstance(data, str):
            return self.message(data)
        before = text_of_data(data)
        after = self.text(before)
        return data if after is before else loads(after)

    def message(self, text: str) -> str:
        """Cover the secrets of a text for people."""
        if not self.policy.enabled or not text:
            return text
        wire = wire_text(text)
        with self._lock:
            covered = self._covered(wire, also=self._places.in_repr)
        return text if covered is wire else plain_text(covered)

    def command(self, text: str) -> str:
        """Cover the secrets of a command, or of a word of one: also what stands after an option that names one."""
        if not self.policy.enabled or not text:
            return text
        wire = wire_text(text)
        with self._lock:
            covered = self._covered(self._places.in_command(wire), also=self._places.in_repr)
        return text if covered == wire else plain_text(covered)

    def shown(self, text: str) -> str:
        """Cover in a text for the terminal what the project knows as secrets, and what looks like one."""
        if not self.policy.enabled or not text:
            return text
        wire = wire_text(text)
        with self._lock:
            covered = self._known_in(self._by_looks(wire))
        return text if covered == wire else plain_text(covered)

    def arguments(self, data: JsonData) -> JsonData:
        """Take note of test data, and cover in it what is known to be a secret, or looks like one."""
        if not self.policy.enabled or not data:
            return data
        with self._lock:
            return self._arguments(data)

    def _arguments(self, data: JsonData) -> JsonData:
        if isinstance(data, str):
            wire = wire_text(data)
            covered = self._known_in(self._by_looks(wire))
            if covered != wire:
                return plain_text(covered)
            self._own.add(wire)
            return data
        if isinstance(data, list):
            return [self._arguments(each) for each in data]
        if isinstance(data, dict):
            return {plain_text(self._known_in(wire_text(key))): self._arguments(each) for key, each in data.items()}
        return data

    def header(self, name: str, value: str) -> str:
        """Cover the secrets of one header."""
        with self._lock:
            return self._known_in(self._header((name, value))[1])

    def url(self, url: str) -> str:
        """Cover the secrets of a URL."""
        if not self.policy.enabled:
            return url
        with self._lock:
            return self._known_in(self._by_looks(self._places.in_pairs(url)))

    def look_at(self, interactions: Iterable[Interaction]) -> None:
        """Find what is secret in interactions that are to be written, and leave the numbers of placeholders to them."""
        listed = list(interactions)
        for each in listed:
            request, response = each.request, each.response
            texts = [request.url, request.body.decode("latin-1"), *[value for _, value in request.headers]]
            if response is not None:
                texts += [response.body.decode("latin-1"), *[value for _, value in response.headers]]
            for text in texts:
                self.reserve(text)
        for each in listed:
            self.interaction(each)

    def look_at_arguments(self, data: JsonData) -> None:
        """Take note of test data that is to be written."""
        if data:
            self.reserve(text_of_data(data).decode("latin-1"))
            self.arguments(data)

    def reserve(self, text: str) -> None:
        """Leave the numbers of placeholders that stand in a text to them: it comes from a bundle."""
        for _, number in placeholders_in(text).values():
            self._count = max(self._count, number)

    # --- parts of an interaction

    def _by_place(self, headers: Headers, body: bytes, line: str) -> "_Parts":
        """Cover what is a secret by its place or its look, and learn it."""
        line, head = self._line(line), self._head(headers)
        coding, plain = coding_of(headers, body), body
        if coding:
            try:
                plain = decoded(coding, body)
            except TooLargeError:  # who can't look into it can't say that there is no secret in it
                return _Parts(line, head, self._name(body.decode("latin-1"), "body"), "", coding)
            except ValueError:
                coding = ""
        wire = plain.decode("latin-1")
        covered = self._by_looks(self._places.named(wire)) if wire else wire
        return _Parts(line, head, covered, wire, coding)

    def _line(self, line: str) -> str:
        """Cover what is in a URL or a reason; most of them come again and again."""
        covered = self._lines.get(line)
        if covered is None:
            covered = self._by_looks(self._places.in_pairs(line))
            if len(self._lines) < MOST_REMEMBERED and len(line) < 1000:  # noqa: PLR2004
                self._lines[line] = covered
        return covered

    def _head(self, headers: Headers) -> Headers:
        """Cover the values of headers; most of them come again and again."""
        covered = self._heads.get(headers)
        if covered is None:
            covered = tuple([self._header(pair) for pair in headers])
            if len(self._heads) < MOST_REMEMBERED:
                self._heads[headers] = covered
        return covered

    def _header(self, pair: tuple[str, str]) -> tuple[str, str]:
        covered = self._headers.get(pair)
        if covered is None:
            name, value = pair
            covered = name, self._by_looks(self._places.header(name, value))
            if len(self._headers) < MOST_REMEMBERED and len(value) < 1000:  # noqa: PLR2004
                self._headers[pair] = covered
        return covered

    def _everywhere(self, parts: "_Parts", body: bytes) -> tuple[str, Headers, bytes]:
        """Cover what is known by now, and write the body as it was written."""
        line, headers, covered = parts.line, parts.headers, parts.body
        if self._needles and self._may_know("\n".join([line, *[value for _, value in headers], covered])):
            line, covered = self._known_in(line), self._known_in(covered)
            headers = tuple([(name, self._known_in(value)) for name, value in headers])
        self._see(line, *[value for _, value in headers], covered)
        if covered == parts.plain:
            return line, headers, body
        written = encoded(parts.coding, covered.encode("latin-1"))
        if len(written) != len(body):
            headers = tuple(
                (name, str(len(written)) if _is_length(name, value, body) else value) for name, value in headers
            )
        return line, headers, written

    # --- all of it

    def _covered(self, wire: str, also: Callable[[str], str] | None = None) -> str:
        """Ask both questions; return the very text where there is nothing in it."""
        if wire in self._clean:
            return wire
        covered = self._places.named(wire)
        covered = self._by_looks(covered if also is None else also(covered))
        covered = self._known_in(covered)
        self._see(covered)
        if covered != wire:
            return covered
        if len(wire) < 100_000:  # noqa: PLR2004
            if len(self._clean) > MOST_REMEMBERED:
                self._clean.clear()
            self._clean.add(wire)
        return wire

    # --- by look

    def _by_looks(self, wire: str) -> str:
        found = looks(wire)
        if not found:
            return wire
        done, end = [], 0
        for label, start, stop in sorted(found, key=lambda each: each[1]):
            value = wire[start:stop]
            if start < end or is_placeholder(value):
                continue
            done += [wire[end:start], self._cover(label, value, sure=True)]
            end = stop
        return "".join([*done, wire[end:]])

    # --- everywhere

    def _may_know(self, wire: str) -> bool:
        """Say quickly whether something known may stand in a text."""
        return any([each[0] in wire for each in self._needles]) or any([each in wire for each in ("\\u", "\\/", "%")])  # noqa: C419

    def _known_in(self, wire: str) -> str:
        """Cover what is known, in whatever disguise it stands there."""
        if not self._needles or not wire:
            return wire
        for needle, value, in_base64 in self._needles:
            if needle in wire:
                wire = self._uncovered(wire, needle, value, in_base64=in_base64)
        if "\\u" in wire or "\\/" in wire:
            wire = JSON_STRING.sub(self._escaped_string, wire)
        runs = url_runs(wire)
        return wire if runs is None else runs.sub(self._escaped_run, wire)

    def _uncovered(self, wire: str, needle: str, value: str, *, in_base64: bool) -> str:
        """Cover one known secret, but leave placeholders alone."""
        if in_base64:
            return self._in_base64(wire, needle, value)
        if MARK in wire:
            return "".join(
                [part if is_placeholder(part) else self._plainly(part, needle, value) for part in split(wire)]
            )
        return self._plainly(wire, needle, value)

    def _without(self, text: str, secret: str) -> str:
        """Cover a secret where it stands as it is, but for placeholders, whose label it may be."""
        name = self._name(secret)
        return "".join([part if is_placeholder(part) else part.replace(secret, name) for part in split(text)])

    def _plainly(self, wire: str, needle: str, value: str) -> str:
        if needle not in wire:
            return wire
        name = self._name(value)
        if not value.isdigit():
            return wire.replace(needle, name)
        number = str(self._numbers[value][1] + MARKED_NUMBER)  # where JSON has a number, a number has to stand
        wire = re.sub(rf"(?<=[\[:,])(\s{{0,40}}){needle}(?=\s{{0,40}}[\]}},])", rf"\g<1>{number}", wire)
        return re.sub(rf"(?<!\d)(?<!\d\.){needle}(?!\d|\.\d)", name, wire)  # not a part of another number

    def _in_base64(self, wire: str, needle: str, value: str) -> str:
        place = 0
        while (place := wire.find(needle, place)) >= 0:
            read = base64_around(wire, place, len(needle))
            start, end, name = place, place + len(needle), self._name(value)
            if read is not None and value in read[2]:
                start, end, said = read
                name = base64_like(wire[start:end], self._without(said, value))
            wire = f"{wire[:start]}{name}{wire[end:]}"
            place = start + len(name)
        return wire

    def _escaped_string(self, found: re.Match[str]) -> str:
        if "\\u" not in found[1] and "\\/" not in found[1]:
            return found[0]
        value = unescaped(found[1])
        covered = self._raw_in(value)
        if covered == value:
            return found[0]
        written = wire_text(json.dumps(plain_text(covered), ensure_ascii=found[1].isascii())[1:-1])
        return found[0].replace(found[1], written)

    def _escaped_run(self, found: re.Match[str]) -> str:
        for plus in (False, True):
            value = unquoted(found[0], plus=plus)
            if self._raw_in(value) != value:  # each escape on its own, so that the others stay as they are
                return self._in_escapes(found[0], plus=plus)
        return found[0]

    def _in_escapes(self, run: str, *, plus: bool) -> str:
        pieces = [each[0] for each in re.finditer(r"%[0-9A-Fa-f]{2}|.", run, re.DOTALL)]
        value = "".join([unquoted(each, plus=plus) for each in pieces])
        for secret in self._known:
            if secret not in value:
                continue
            name, done, place = self._name(secret), [], 0
            for part in split(value):
                end = place + len(part)
                if not is_placeholder(part):
                    for before in part.split(secret)[:-1]:
                        done += [*pieces[place : place + len(before)], *name]
                        place += len(before) + len(secret)
                done += pieces[place:end]
                place = end
            pieces, value = done, self._without(value, secret)
        return "".join(pieces)

    def _raw_in(self, value: str) -> str:
        for secret in self._known:
            if secret in value:
                value = self._without(value, secret)
        return value

    # --- what is known

    def _cover(self, label: str, value: str, known: bool = True, *, sure: bool = False) -> str:
        """Return the placeholder of a value, and know it from now on where it is one of a kind."""
        if not value or is_placeholder(value):
            return value
        if known and (sure or is_telling(value)) and value not in self._known and value not in self._own:
            self._learn(value, label)
        return self._name(value, label)

    def _cover_number(self, label: str, digits: str) -> str:
        self._cover(label, digits)
        return str(self._numbers[digits][1] + MARKED_NUMBER)

    def _name(self, value: str, label: str | None = None) -> str:
        known = self._numbers.get(value)
        if known is None:
            self._count += 1
            name = self._known.get(value) or label or "value"
            known = self._numbers[value] = placeholder(plain_text(name), self._count), self._count
            self.found.append(Found(name, value))
        return known[0]

    def _learn(self, value: str, label: str) -> None:
        if len(self._known) >= MOST_KNOWN or MARK in value:
            return
        self._known[value] = label
        needles = [(form, value, False) for form in forms(value)] + [
            (form, value, True) for form in base64_forms(value)
        ]
        self._needles = sorted([*self._needles, *needles], key=lambda each: -len(each[0]))
        self._clean.clear()


class _Parts(NamedTuple):
    """A request or a response on its way through, its body decompressed."""

    line: str  # the URL, or the reason
    headers: Headers
    body: str
    plain: str  # the body before
    coding: str


def _is_length(name: str, value: str, body: bytes) -> bool:
    return name.lower() == "content-length" and value.strip() == str(len(body))
