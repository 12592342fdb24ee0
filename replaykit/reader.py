"""Reader: a bundle read back, line by line, every line checked; see `bundle` for the format."""

import base64
import binascii
import contextlib
import re
import shlex
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from replaykit.archive import unpacked
from replaykit.bundle import (
    MAX_FILE,
    MAX_RUNS,
    MAX_SECONDS,
    NONCE,
    Bundle,
    Origin,
    Provenance,
    Shrinking,
)
from replaykit.errors import CorruptBundleError, MissingFileError
from replaykit.hint import hint
from replaykit.interaction import STATUSES, Cut, Headers, Interaction, Request, Response, Trouble
from replaykit.lines import Lines
from replaykit.sequence import Call
from replaykit.trace import Ending, Said, Step, Trace
from replaykit.upgrade import present
from replaykit.value import InvalidValueError, JsonData, JsonText, Record, parse, text_of_data
from replaykit.verdict import Failure

CHECK = "Check the path."
KEPT = "failures"  # where bundles are kept
MOST_NEAR = 500  # files that are looked at where one is not there


def read(path: Path) -> Bundle:
    """Read a bundle from a file. Raises MissingFileError, or a BundleError with the number of the line.

    The file may be packed, or be a text with the bundle in it. A bundle without its end is read as far as it goes,
    and is not `whole`.
    """
    return read_bytes(unpacked(content_of(path), str(path)), str(path))


def content_of(path: Path) -> bytes:
    """Return the bytes of a file that may be a bundle. Raises MissingFileError, CorruptBundleError."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise MissingFileError(f"{path} is no regular file.", "Name one.")
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        todo = near(path) if isinstance(error, FileNotFoundError) else CHECK
        if isinstance(error, IsADirectoryError):
            todo = f"Name a file in it: replaykit list {shlex.quote(str(path))}"
        raise MissingFileError(f"{path} can't be read: {error.strerror}.", todo) from None
    except ValueError:
        raise MissingFileError(f"{str(path)!r} is the name of no file.", "Check the path.") from None
    if len(content) > MAX_FILE:
        raise CorruptBundleError(f"{path}, line 1: it is too large; a bundle has at most {MAX_FILE} bytes.")
    return content


def near(path: Path, todo: str = CHECK) -> str:
    """Say which file may be meant by one that is not there: one of a similar name, or one with that fingerprint."""
    found: list[Path] = []
    with contextlib.suppress(OSError, ValueError):
        found += islice(path.parent.iterdir(), MOST_NEAR)
    with contextlib.suppress(OSError):
        found += islice(Path(KEPT).rglob("*.pd"), MOST_NEAR)
    exact = [each for each in found if path.name == each.name or each.stem.endswith(f"-{path.stem}")]
    return f"Did you mean {exact[0]}? {todo}" if exact else hint(str(path), map(str, found), todo)


def is_bundle(path: Path) -> bool:
    """Say whether a file begins as a bundle does; it may be cut or broken."""
    return path.is_file() and content_of(path).startswith(BEGINNING)


def read_bytes(content: bytes, name: str = "The bundle") -> Bundle:
    """Read a bundle from its bytes; see `read`."""
    return _Reader(content, name).bundle()


BEGINNING = b'version: 1\n# {"k":'
DIGEST = re.compile(r"[0-9a-f]{64}")


class _Reader:
    """Reads one bundle, line by line."""

    def __init__(self, content: bytes, name: str) -> None:
        self.content = content
        self.name = name
        self.number = 0  # of the line that is being read, from 1

    def bundle(self) -> Bundle:
        origin: Origin | None = None
        builder = _Builder()
        for number, data, is_item in present(self.content, self.name):
            self.number = number
            if is_item:
                builder.item(data, self)
            elif origin is None:
                origin = self._origin(data)
            elif data.get("k") == "end":
                builder.end(data, self)
            else:
                builder.record(data.get("k"), data, self)
        assert origin is not None  # noqa: S101  without it, there are no lines
        return Bundle(origin=origin, trace=builder.trace(), whole=builder.ending is not None)

    def corrupt(self, why: str) -> CorruptBundleError:
        """Return the error for the line that is being read."""
        return Lines(b"", self.name).corrupt(why, self.number)

    def _origin(self, data: dict[str, Any]) -> Origin:
        kind = Provenance if "model" in data else Origin
        known = {key: value for key, value in data.items() if key in kind.model_fields}
        shrinking = known.get("shrinking")
        if isinstance(shrinking, dict):
            known["shrinking"] = {key: value for key, value in shrinking.items() if key in Shrinking.model_fields}
        origin: Origin = self.parse(kind, known)
        counted = origin.shrinking if isinstance(origin, Provenance) else None
        if counted is not None and not 0 <= (counted.failed or 0) <= (counted.runs or 0) <= MAX_RUNS:
            raise self.corrupt(f"it failed in {counted.failed} of {counted.runs} runs")
        if origin.url is not None:
            self.url(origin.url)
        return origin

    def parse(self, kind: type[Any], data: JsonData) -> Any:
        """Read a record; raise CorruptBundleError with the line."""
        try:
            return parse(kind, data)
        except InvalidValueError as error:
            raise self.corrupt(str(error)) from None

    def take(self, data: dict[str, Any], key: str, kind: type[Any] | tuple[type[Any], ...], default: Any = ...) -> Any:
        """Return a value of a JSON object; raise CorruptBundleError with the line if it is not of its type."""
        value = data.get(key, default)
        if value is ... or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.corrupt(f"{key} is {value!r}" if value is not ... else f"{key} is missing")
        return value

    def url(self, url: str) -> str:
        """Return a URL; raise CorruptBundleError with the line if it is none."""
        try:
            parts = urlsplit(url)
            known = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            known = False
        if not known:
            raise self.corrupt(f"{url[:80]!r} is no URL of HTTP")
        return url

    def seconds(self, data: dict[str, Any], key: str = "elapsed", default: Any = 0.0) -> float:
        """Return how long something took, or when it was."""
        seconds = self.take(data, key, (float, int), default)
        if not 0 <= seconds <= MAX_SECONDS:
            raise self.corrupt(f"{key} is out of range")
        return float(seconds)

    def cut(self, data: dict[str, Any], key: str) -> Cut | None:
        """Return what is known of a body that is not kept whole."""
        if key not in data:
            return None
        known = self.take(data, key, dict)
        size, digest = self.take(known, "size", int), self.take(known, "sha256", str)
        if size < 0 or not (digest == "" or DIGEST.fullmatch(digest)):
            raise self.corrupt(f"{key} says nothing that can be")
        return Cut(size=size, sha256=digest)

    def base64(self, text: str) -> bytes:
        """Return the bytes that base64 text stands for."""
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise self.corrupt("this is no base64") from None

    def headers(self, value: JsonData) -> Headers:
        """Return header pairs."""
        if not isinstance(value, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair)  # noqa: PLR2004
            for pair in value
        ):
            raise self.corrupt("headers are no pairs")
        return tuple((self._bytes("a header", name), self._bytes("a header", value)) for name, value in value)

    def latin(self, data: dict[str, Any], key: str, default: str) -> str:
        """Return a text that stands for bytes."""
        return self._bytes(key, self.take(data, key, str, default))

    def _bytes(self, what: str, text: str) -> str:
        if not text.isascii() and max(text) > "\xff":
            raise self.corrupt(f"{what} has a character that is no byte: {text[:80]!r}")
        return text

    def status(self, data: dict[str, Any], key: str) -> int:
        """Return the status of an answer."""
        status: int = self.take(data, key, int)
        if status not in STATUSES:
            raise self.corrupt(f"{status} is no status of HTTP")
        return status


class _Builder:
    """Puts the records of a bundle together to a trace."""

    def __init__(self) -> None:
        self.count = 0  # of the interactions
        self.resetting: list[Interaction] = []
        self.closing: list[Interaction] = []
        self.recorded: list[Interaction] = []
        self.closing_observations: list[Said] = []
        self.steps: list[dict[str, Any]] = []
        self.nonce = ""
        self.failure: Failure | None = None
        self.ending: Ending | None = None
        self.reason = ""

    def trace(self) -> Trace:
        return Trace(
            resetting=tuple(self.resetting),
            steps=tuple(Step(**_tuples(step)) for step in self.steps),
            closing=tuple(self.closing),
            recorded=tuple(self.recorded),
            closing_observations=tuple(self.closing_observations),
            nonce=self.nonce,
            ending=self.ending or "unknown",
            reason=self.reason if self.ending else "the end of the file is missing",
            failure=self.failure,
        )

    def item(self, data: dict[str, Any], reader: _Reader) -> None:
        """Take an interaction of the cassette."""
        request, response = reader.take(data, "request", dict), reader.take(data, "response", dict)
        ours = reader.take(data, "replaykit", dict, {})
        status = reader.take(response, "status", dict)
        body = reader.take(response, "body", dict)
        interaction = Interaction(
            request=Request(
                method=reader.take(request, "method", str),
                url=reader.url(reader.take(request, "uri", str)),
                headers=_headers(ours, "request_headers", request, reader),
                body=_bytes(request.get("body"), reader),
                cut=reader.cut(ours, "request_cut"),
            ),
            response=Response(
                status=reader.status(status, "code"),
                reason=reader.latin(ours, "reason", reader.latin(status, "message", "")),
                version=reader.latin(ours, "http", "HTTP/1.1"),
                headers=_headers(ours, "response_headers", response, reader),
                body=_bytes(body.get("string"), reader),
                complete=reader.take(ours, "complete", bool, True),
                cut=reader.cut(ours, "response_cut"),
            ),
            elapsed=reader.seconds(ours),
            tampered=reader.take(ours, "tampered", str, ""),
        )
        self._place(ours, interaction, reader)

    def _net(self, data: dict[str, Any], reader: _Reader) -> None:
        request = reader.take(data, "request", dict)
        response = reader.take(data, "response", dict, {})
        error = reader.take(data, "error", str, "")
        interaction = Interaction(
            request=Request(
                method=reader.take(request, "method", str),
                url=reader.url(reader.take(request, "uri", str)),
                headers=reader.headers(request.get("headers")),
                body=reader.base64(reader.take(request, "body", str)),
                cut=reader.cut(data, "request_cut"),
            ),
            response=Response(
                status=reader.status(response, "status"),
                reason=reader.latin(response, "reason", ""),
                version=reader.latin(response, "http", "HTTP/1.1"),
                headers=reader.headers(response.get("headers")),
                body=reader.base64(reader.take(response, "body", str)),
                complete=False,
                cut=reader.cut(data, "response_cut"),
            )
            if response
            else None,
            trouble=Trouble(error=error, message=reader.take(data, "message", str, "")) if error else None,
            elapsed=reader.seconds(data),
            tampered=reader.take(data, "tampered", str, ""),
        )
        self._place(data, interaction, reader)

    def _place(self, place: dict[str, Any], interaction: Interaction, reader: _Reader) -> None:
        part = reader.take(place, "part", str, "command" if "step" in place else "recorded")
        if before := reader.take(place, "before", int, 0):
            if not 0 <= before <= self.count:
                raise reader.corrupt(f"before is {before}, and {self.count} stand above")
            interaction = interaction.replace(before=before)
        self.count += 1
        if part == "reset":
            self.resetting.append(interaction)
        elif part == "end":
            self.closing.append(interaction)
        elif part == "recorded":
            self.recorded.append(interaction)
        else:
            where = "observing" if part == "observe" else "interactions"
            self._step(place, reader)[where].append(interaction)

    def _step(self, data: dict[str, Any], reader: _Reader) -> dict[str, Any]:
        label = reader.take(data, "step", int)
        if not self.steps or self.steps[-1]["call"].label != label:
            raise reader.corrupt(f"step {label} is not the one that was begun")
        return self.steps[-1]

    def record(self, kind: JsonData, data: dict[str, Any], reader: _Reader) -> None:
        """Take a record; kinds that are not known are left for the versions that know them."""
        if kind == "command":
            given = {key: value for key, value in data.items() if key in Call.model_fields}
            call = reader.parse(Call, {**given, "label": reader.take(data, "step", int)})
            empty: dict[str, Any] = {"interactions": [], "observing": [], "observations": []}
            at = reader.seconds(data, "at") if "at" in data else None
            faults = reader.take(data, "faults", list, [])
            if not all(type(each) is int for each in faults):
                raise reader.corrupt(f"faults is {faults!r}")
            self.steps.append({"call": call, "at": at, "faults": tuple(faults), **empty})
        elif kind == "event":
            step = self._step(data, reader)
            step["again" if "event" in step else "event"] = _said(data, reader)
        elif kind == "observation":
            target = self._step(data, reader)["observations"] if "step" in data else self.closing_observations
            target.append(_said(data, reader))
        elif kind == "moment":
            called, returned = reader.seconds(data, "called", ...), data.get("returned")
            self._step(data, reader)["called"] = called
            if returned is not None:
                self._step(data, reader)["returned"] = max(called, reader.seconds(data, "returned"))
        elif kind == "state":
            self._step(data, reader)["state"] = _text(reader.take(data, "data", dict), reader)
        elif kind == "net":
            self._net(data, reader)
        elif kind == "nonce":
            self.nonce = reader.take(data, "nonce", str)
            if not NONCE.fullmatch(self.nonce):
                raise reader.corrupt("nonce is not made of hexadecimal digits")
        elif kind == "failure":
            known = {key: value for key, value in data.items() if key in Failure.model_fields}
            self.failure = reader.parse(Failure, {"step": None, "command": None, **known})

    def end(self, data: dict[str, Any], reader: _Reader) -> None:
        """Take the last line."""
        end = reader.parse(_End, {"ending": data.get("ending"), "reason": data.get("reason")})
        self.ending, self.reason = end.ending, end.reason


class _End(Record):
    ending: Ending
    reason: str


def _tuples(step: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in step.items()}


def _text(data: JsonData, reader: _Reader) -> JsonText:
    try:
        return text_of_data(data)
    except InvalidValueError:
        raise reader.corrupt("a text has half a character in it") from None


def _said(data: dict[str, Any], reader: _Reader) -> Said:
    tag, version = reader.take(data, "tag", str), reader.take(data, "version", int)
    return Said(tag=tag, version=version, data=_text(reader.take(data, "data", dict), reader))


def _headers(ours: dict[str, Any], key: str, message: dict[str, Any], reader: _Reader) -> Headers:
    """Return the header pairs, where the item has them, or make them of those that are grouped by name."""
    return reader.headers(ours[key]) if key in ours else _grouped(message, reader)


def _grouped(message: dict[str, Any], reader: _Reader) -> Headers:
    headers = reader.take(message, "headers", dict, {})
    pairs: list[JsonData] = []
    for name, values in headers.items():
        pairs += [[name, value] for value in (values if isinstance(values, list) else [values])]
    return reader.headers(pairs)


def _bytes(body: JsonData, reader: _Reader) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        try:
            return body.encode("utf-8")
        except UnicodeEncodeError:
            raise reader.corrupt("a body has half a character in it") from None
    if isinstance(body, dict) and isinstance(body.get("!!binary"), str):
        return reader.base64(body["!!binary"])
    raise reader.corrupt("a body is neither text nor binary")
