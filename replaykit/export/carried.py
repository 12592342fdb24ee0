"""What is carried: values that the service made, from the answer that they come in to the requests that use them.

A value was made by the service if it appears in an answer before it appears in any request. Short values and
numbers meet by accident (a score of 17, the id 17): they are carried only where a ref of the command says so, or
where the names on both sides do. What was redacted and comes in no answer is taken from the environment.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from replaykit.binding import variables_of
from replaykit.command import steps_named_in
from replaykit.errors import UnexportableError
from replaykit.export import judge
from replaykit.export.claims import Claim
from replaykit.export.leaves import Leaf, Path, in_body, in_header, in_json, in_target
from replaykit.export.template import ID, Hole, Template, filled, is_strong
from replaykit.interaction import Response
from replaykit.placeholder import OLD, PLACEHOLDER, has_marked_number, is_sealed
from replaykit.sequence import Call
from replaykit.value import JsonData

FEW = 16  # answers that are looked at for the same value
_UNTOLD = {"date", "content-length", "content-type", "content-encoding", "server", "connection"}


class Product(NamedTuple):
    """A value in an answer."""

    answer: int  # its number
    label: int | None  # of the step, if it answers a command
    kind: str  # json, cookie, location or header
    path: Path
    key: str
    value: JsonData
    words: frozenset[str]  # of the path that was asked

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """How good a place it is to take the value from: named as an id, in no list, early."""
        return bool(ID.search(self.key)), not any(isinstance(part, int) for part in self.path), -self.answer


class Place(NamedTuple):
    """A value in a request."""

    where: str  # path, query, header, cookie or body
    leaf: Leaf

    @property
    def is_named_as_id(self) -> bool:
        """Whether ids stand in such places."""
        return self.where == "path" or bool(ID.search(self.leaf.key))


class Texts(NamedTuple):
    """The texts of a request that values stand in."""

    target: str
    headers: list[tuple[str, str]]
    body: str
    pairs: tuple[tuple[str, str], ...]  # all headers


class Carried:
    """What a script carries; it is shown the requests and answers in their order."""

    def __init__(self, nonce: str) -> None:
        self.uses_nonce = False
        self.takings: dict[int, list[tuple[str, Product]]] = defaultdict(list)
        self._nonce = nonce
        self._names: dict[Product, str] = {}
        self._products: dict[str, list[Product]] = defaultdict(list)
        self._sent: dict[str, int] = {}  # the first request that a text stood in
        self._sent_as_id: dict[str, int] = {}
        self._secrets: dict[str, tuple[str, int]] = {}  # placeholders, each with its label and number

    def request(self, index: int, texts: Texts, call: Call | None) -> tuple[Template, list[Template], Template]:
        """Make templates of a request: its target, the values of its headers, its body."""
        target = self._fill(
            index,
            texts.target,
            [Place("path" if not leaf.key else "query", leaf) for leaf in in_target(texts.target)],
            call,
            "url",
        )
        headers = []
        for name, value in texts.headers:
            where = "cookie" if name.lower() == "cookie" else "header"
            places = [Place(where, leaf) for leaf in in_header(name, value)]
            headers.append(self._fill(index, value, places, call, "text", header=name))
        leaves = in_body(texts.pairs, texts.body)
        how = {"json": "string", "form": "form"}.get(leaves[0].how, "text") if leaves else "text"
        body = self._fill(index, texts.body, [Place("body", leaf) for leaf in leaves], call, how)
        return target, headers, body

    def answer(self, index: int, response: Response, target: str, label: int | None) -> None:
        """Take down what an answer holds."""
        words = frozenset(word.rstrip("s") for word in re.findall(r"[a-z]+", target.partition("?")[0].lower()))
        for kind, path, key, value in _values(response):
            text = str(value)
            if text and not isinstance(value, bool | type(None)) and len(self._products[text]) < FEW:
                self._products[text].append(Product(index, label, kind, path, key, value, words))

    def claim(self, claim: Claim, index: int) -> Claim:
        """Put what is carried from earlier answers into what holds of one."""
        names = {product: name for product, name in self._names.items() if product.answer < index}
        if claim.kind == "is":
            for product, name in names.items():
                same = type(product.value) is type(claim.value) and product.value == claim.value
                key = str(claim.path[-1]) if claim.path else ""
                if same and (is_strong(claim.value) or key == product.key or ID.search(key)):
                    return claim._replace(value=(Hole(name, "json"),))
        if not isinstance(claim.value, str):
            return claim
        holes = self._nonces(claim.value)
        if claim.kind != "is":
            for product, name in names.items():
                if is_strong(product.value):
                    found = re.finditer(re.escape(str(product.value)), claim.value)
                    holes += [(each.start(), each.end(), Hole(name, "text")) for each in found]
        return claim._replace(value=filled(claim.value, holes)) if holes else claim

    def _fill(
        self, index: int, text: str, places: list[Place], call: Call | None, how: str, header: str = ""
    ) -> Template:
        holes: list[tuple[int, int, Hole]] = []
        for place in places:
            leaf = place.leaf
            product = None if isinstance(leaf.value, bool | type(None)) else self._product(place, call)
            if product is not None:
                holes.append((leaf.start, leaf.end, Hole(self._name(product), leaf.how)))
        for place in places:  # a text twice in one request was not made by its answer
            said = str(place.leaf.value)
            self._sent.setdefault(said, index)
            if place.is_named_as_id:
                self._sent_as_id.setdefault(said, index)
        if header and OLD in text:
            start = text.index(OLD)
            holes.append((start, start + len(OLD), Hole(self._secret(f"{OLD}.{header.lower()}", header, 0), how)))
        taken = [(start, end) for start, end, _ in holes]
        holes += [
            (found.start(), found.end(), Hole(self._secret(found[0], found[1], int(found[2])), how))
            for found in PLACEHOLDER.finditer(text)
            if not any(start < found.end() and found.start() < end for start, end in taken)
        ]
        template = filled(text, [*holes, *self._nonces(text)])
        if any(isinstance(part, str) and (is_sealed(part) or has_marked_number(part)) for part in template):
            raise UnexportableError(
                "A secret that was covered stands where a script can't put one in: a number, or inside of base64.",
                "As har or vcr, the bundle can be exported.",
            )
        return template

    def _nonces(self, text: str) -> list[tuple[int, int, Hole]]:
        """Find what makes values unique to a run; it is hexadecimal, and so the same wherever it stands."""
        found = list(re.finditer(re.escape(self._nonce), text)) if self._nonce else []
        self.uses_nonce = self.uses_nonce or bool(found)
        return [(each.start(), each.end(), Hole("nonce", "text")) for each in found]

    def _secret(self, placeholder: str, label: str, number: int) -> str:
        """Name the variable of a secret that comes in no answer."""
        self._secrets.setdefault(placeholder, (label, number))
        return f"secret_{list(self._secrets).index(placeholder) + 1}"

    @property
    def secrets(self) -> dict[str, str]:
        """What has to be taken from the environment: by its name in the script, the name of its variable."""
        variables = variables_of(self._secrets)
        for placeholder, variable in variables.items():
            if not variable:
                raise UnexportableError(
                    f"{placeholder} and another secret would have the same variable.",
                    "As har or vcr, the bundle can be exported.",
                )
        return {f"secret_{number}": variable for number, variable in enumerate(variables.values(), 1)}

    def _name(self, product: Product) -> str:
        if product not in self._names:
            word = re.sub(r"[^a-z0-9]+", "_", product.key.lower()).strip("_")[:30]
            name = f"{word if word[:1].isalpha() else 'value'}_{len(self._names) + 1}"
            self._names[product] = name
            self.takings[product.answer].append((name, product))
        return self._names[product]

    def _product(self, place: Place, call: Call | None) -> Product | None:
        """Find where the service made a value of a request; None where the client chose it."""
        products = self._products.get(str(place.leaf.value))
        if not products:
            return None
        if call is not None:
            declared = _declared(place, call)
            found = [each for each in products if each.label in declared]
            if found:
                return max(found, key=lambda each: each.rank)
            if str(place.leaf.value) in _literals(call.args):
                return None
        found = [each for each in products if self._is_made(each, place)]
        return max(found, key=lambda each: each.rank) if found else None

    def _is_made(self, product: Product, place: Place) -> bool:
        text, key, where = str(product.value), place.leaf.key, place.where
        if where == "cookie" and product.kind == "cookie" and product.key == key:
            return True
        strong = is_strong(product.value)
        if (self._sent if strong else self._sent_as_id).get(text, product.answer + 1) <= product.answer:
            return False
        if strong:
            return True
        if where == "header":
            return product.kind == "header" and product.key == "etag" and key.startswith("if-")
        if where == "cookie" or product.kind == "header" or not (ID.search(product.key)):
            return False
        return place.is_named_as_id or key == product.key or key.lower() in product.words


def _declared(place: Place, call: Call) -> set[int]:
    """List the steps that made what a place may hold, as the refs of a command say."""
    key = place.leaf.key.lower()
    found: set[int] = set()
    for name, value in call.args.items():
        if place.where == "path" or key.startswith(name.lower()) or ID.search(place.leaf.key):
            found |= steps_named_in(value)
    return found


def _literals(data: JsonData) -> set[str]:
    if isinstance(data, dict):
        return set().union(*map(_literals, data.values())) if data else set()
    if isinstance(data, list):
        return set().union(*map(_literals, data)) if data else set()
    return {str(data)}


def _values(response: Response) -> Iterator[tuple[str, Path, str, JsonData]]:
    """List the values of an answer: where each stands, its name, the value."""
    try:
        body = judge.plain(list(response.headers), response.body).decode("latin-1")
    except ValueError:
        body = ""
    for leaf in in_json(body) or []:
        yield "json", leaf.path, leaf.key, leaf.value
    for name, value in response.headers:
        low = name.lower()
        if low == "set-cookie":
            cookie, _, rest = value.partition("=")
            yield "cookie", (cookie.strip(),), cookie.strip(), rest.partition(";")[0].strip()
        elif low == "location":
            yield from _in_location(value)
        elif low not in _UNTOLD:
            yield "header", (low,), low, value


def _in_location(value: str) -> Iterator[tuple[str, Path, str, JsonData]]:
    try:
        parts = urlsplit(value)
    except ValueError:
        return
    segments = parts.path.split("/")
    for number, segment in enumerate(segments):
        yield "location", (number - len(segments),), "id", unquote(segment)
    for name, each in parse_qsl(parts.query):
        yield "location", (name,), name, each
