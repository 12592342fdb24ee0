"""The bundle: one `.pd` file with a trace and its provenance; write, read, upgrade.

Theory of operation. A bundle is one ASCII text file with LF lines that is a YAML document at the same time:
a version 1 cassette of vcrpy. Interactions are its list items, one line of JSON each; all that a cassette
has no room for stands in comments, one line of JSON each. So vcrpy plays it as it is, git diffs it, a person
reads it, and it can be written line by line while a run happens.

    version: 1
    # {"k":"bundle","format":1,...}
    interactions:
    # {"k":"command","step":0,...}
    - {"request":{...},"response":{...},"replaykit":{"step":0,...}}
    # {"k":"event","step":0,...}
    # {"k":"state","step":0,...}
    # {"k":"failure",...}
    # {"k":"end","ending":"failed","records":41,"sha256":"..."}

How JSON has to be written so that YAML reads the same is the business of `notation`.

The format is described for other readers in docs/reference/bundle-format.md.
"""

import base64
import binascii
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from replaykit.errors import (
    BundleError,
    CorruptBundleError,
    MissingFileError,
    NewerBundleError,
    TruncatedBundleError,
    UnwritableError,
)
from replaykit.generator import is_minted
from replaykit.interaction import Headers, Interaction, Request, Response, Trouble
from replaykit.notation import ascii_json, body_data, decode, encode, mark_binary, unmark_binary
from replaykit.record import InvalidValueError, JsonData, JsonText, Record, parse, text_of_data
from replaykit.sequence import Call
from replaykit.trace import Ending, Said, Step, Trace
from replaykit.verdict import Failure
from replaykit.version import BUNDLE_FORMAT, __version__

MAX_FILE = 64 * 1024 * 1024  # bytes
MAX_LINE = 16 * 1024 * 1024  # bytes
MAX_LINES = 200_000
MAX_SECONDS = 1e9  # that an interaction can have taken
MAX_RUNS = 1_000_000  # of the result of shrinking
MAX_BODY = 2 * 1024 * 1024  # bytes that are kept of one body
NONCE = re.compile(r"[0-9a-f]{1,64}")
_RARE = ("raw", "repeats", "twice", "branch")  # what most calls do not have
_USUAL = {name: Call.model_fields[name].default for name in _RARE}
MAX_NAME = 1000  # characters of a header name that YAML takes for a key


class Shrinking(Record):
    """What shrinking did to the sequence of a bundle."""

    calls_before: int
    executions: int
    requests: int
    seconds: float
    confirmed: bool  # did the result fail each time that it was run again?
    runs: int | None = None  # how often it was run again
    failed: int | None = None  # in how many of these runs it failed in the same way
    stopped: str | None = None  # the budget that ended it, if any


class Provenance(Record):
    """Where a trace comes from: who ran what, with which seed, against what, from which revision."""

    tool: str = f"replaykit {__version__}"
    model: str  # module:Class
    adapter: str  # module:Class
    model_digest: str
    campaign_seed: int
    run: int  # from 0
    seed: int  # of this run
    commands: int  # the most that a run may have
    url: str | None = None
    revision: str | None = None
    dirty: bool | None = None
    recorded: str | None = None  # ISO 8601, UTC
    python: str | None = None
    httpx: str | None = None
    shrinking: Shrinking | None = None


class Bundle(Record):
    """A bundle as it was read."""

    provenance: Provenance
    trace: Trace
    whole: bool = True  # false: the end of the file is missing

    @property
    def failure(self) -> Failure:
        """The failure that it holds. Raises BundleError where there is none."""
        if self.trace.failure is None:
            raise BundleError(
                f"The bundle holds a run that ended as {self.trace.ending}, and no failure.",
                "Only bundles of failures can be replayed.",
            )
        return self.trace.failure


def name_of(failure: Failure) -> str:
    """Return the file name of a failure's bundle: the same bug always has the same."""
    check = re.sub(r"[^A-Za-z0-9_.-]", "_", failure.name)[:60]
    return f"{check}-{failure.fingerprint}.pd"


# --- writing ------------------------------------------------------------------------------------


class Writer:
    """Writes a run down while it happens, one write for each line, into a file with no final name yet.

    It listens to `run.execute`. `save` ends the file and moves it to its final name; `rewind` starts over,
    for the next run; leaving the context removes what was not saved.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start_over()
        self._lock = threading.RLock()
        try:
            self._file: FileIO = path.open("wb", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def rewind(self) -> None:
        """Forget what was written, and start another bundle in the same file."""
        self._file.seek(0)
        self._file.truncate()
        self._start_over()

    def _start_over(self) -> None:
        self._count = self._size = 0  # lines and bytes
        self._open = False  # is the list of interactions open?
        self._digest = hashlib.sha256()
        self._ending: tuple[Ending, str] = ("unknown", "")

    def begin(self, provenance: Provenance) -> None:
        """Write the first lines."""
        self._line(b"version: 1\n")
        data = {key: value for key, value in provenance.model_dump(mode="json").items() if value is not None}
        self._record("bundle", {"format": BUNDLE_FORMAT, **data})

    def write(self, trace: Trace) -> None:
        """Write a trace that is over."""
        for each in trace.resetting:
            self.interaction("reset", None, each)
        nonce = trace.nonce
        for step in trace.steps:
            label = step.call.label
            if nonce and is_minted(step.call.args):
                self.nonce(nonce)
                nonce = ""
            self.call(step.call)
            for each in step.interactions:
                self.interaction("command", label, each)
            if step.called is not None:
                self.moment(label, step.called, step.returned)
            for said in (step.event, step.again):
                if said is not None:
                    self.event(label, said)
            if step.state is not None:
                self.state(label, step.state)
            for each in step.observing:
                self.interaction("observe", label, each)
            for said in step.observations:
                self.observation(label, said)
        for each in trace.closing:
            self.interaction("end", None, each)
        for said in trace.closing_observations:
            self.observation(None, said)
        self.end(trace.ending, trace.reason, trace.failure)

    def interaction(self, part: str, step: int | None, interaction: Interaction) -> None:
        """Write a request and its answer: a list item of the cassette, or a comment where there is no answer."""
        interaction = _kept(interaction)
        place: dict[str, Any] = {"part": part} if step is None else {"step": step, "part": part}
        if interaction.response is None or interaction.trouble is not None:
            self._record("net", {**place, **_net_data(interaction)})
            return
        with self._lock:
            if not self._open:
                self._open = True
                self._line(b"interactions:\n")
        self._line(b"- %s\n" % _item(interaction, place))

    def call(self, call: Call) -> None:
        """Write a call that is about to be sent."""
        data = {"step": call.label, "tag": call.tag, "version": call.version, "args": call.args}
        self._record("command", data | {name: said for name in _RARE if (said := getattr(call, name)) != _USUAL[name]})

    def moment(self, step: int, called: float, returned: float | None) -> None:
        """Write when a call of a branch was sent and answered, in seconds since the branches were started."""
        self._record("moment", {"step": step, "called": called, "returned": returned})

    def nonce(self, nonce: str) -> None:
        """Write what makes the minted values of the run unique."""
        self._record("nonce", {"nonce": nonce})

    def event(self, step: int, said: Said) -> None:
        """Write the answer to a call."""
        self._said("event", step, said)

    def observation(self, step: int | None, said: Said) -> None:
        """Write what was read in order to check it."""
        self._said("observation", step, said)

    def state(self, step: int, state: JsonText) -> None:
        """Write the projection after a step."""
        self._line(b'# {"k":"state","step":%d,"data":%s}\n' % (step, ascii_json(state)))

    def end(self, ending: Ending, reason: str, failure: Failure | None) -> None:
        """Write why the run failed, and remember how it ended for the last line."""
        if failure is not None:
            data = {key: value for key, value in failure.model_dump(mode="json").items() if value is not None}
            self._record("failure", {**data, "fingerprint": failure.fingerprint})
        self._ending = (ending, reason)

    def save(self, path: Path) -> None:
        """Write the last line, see the file onto the disk, and move it to its final name."""
        if not self._open:
            self._line(b"interactions: []\n")
        self._write(last_line(*self._ending, self._count, self._digest.hexdigest()))
        try:
            os.fsync(self._file.fileno())
            self.path.replace(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._file.close()
            self._file = self.path.open("wb", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from None
        self._start_over()

    def _said(self, kind: str, step: int | None, said: Said) -> None:
        place = b"" if step is None else b'"step":%d,' % step
        head = b'# {"k":"%s",%s"tag":"%s","version":%d,"data":' % (
            kind.encode(),
            place,
            said.tag.encode(),
            said.version,
        )
        self._line(head + ascii_json(said.data) + b"}\n")

    def _record(self, kind: str, data: dict[str, Any]) -> None:
        self._line(b"# %s\n" % encode({"k": kind, **data}))

    def _line(self, line: bytes) -> None:
        with self._lock:  # an adapter may send from several threads
            self._count += 1
            self._size += len(line)
            if self._size > MAX_FILE or self._count > MAX_LINES:
                raise UnwritableError(
                    f"The run is too long for one bundle: {self._count} lines, {self._size} bytes.",
                    "Use fewer commands in a run, or smaller bodies.",
                )
            self._digest.update(line)
            self._write(line)

    def _write(self, line: bytes) -> None:
        try:
            written = self._file.write(line)
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            raise _unwritable(self.path, error) from None


def _unwritable(path: Path, error: OSError) -> UnwritableError:
    return UnwritableError(f"{path} can't be written: {error.strerror}.", "Make room, or choose another folder.")


def save(path: Path, provenance: Provenance, trace: Trace) -> None:
    """Write a bundle at its final name, whole or not at all."""
    with Writer(path.with_name(f".{path.name}.{os.getpid()}.partial")) as writer:
        writer.begin(provenance)
        writer.write(trace)
        writer.save(path)


def last_line(ending: Ending, reason: str, records: int, digest: str) -> bytes:
    """Return the last line: how the run ended, how many lines stand above, the SHA-256 of all their bytes."""
    data: dict[str, JsonData] = {"k": "end", "ending": ending, "reason": reason, "records": records, "sha256": digest}
    return b"# %s\n" % encode(data)


def _item(interaction: Interaction, place: dict[str, Any]) -> bytes:
    """Write an interaction as vcrpy does, with what vcrpy has no room for under `replaykit`."""
    request, response = interaction.request, interaction.response
    assert response is not None  # noqa: S101  the caller sends the others elsewhere
    ours: dict[str, Any] = {**place, "http": response.version, "elapsed": round(interaction.elapsed, 6)}
    if not response.complete:
        ours["complete"] = False
    if not response.reason.isascii():
        ours["reason"] = response.reason
    raw = {"request_headers": request.headers, "response_headers": response.headers}
    ours |= {key: headers for key, headers in raw.items() if _pairs(_multi(headers)) != headers}
    data = {
        "request": {
            "method": request.method,
            "uri": request.url,
            "body": body_data(request.body),
            "headers": _multi(request.headers),
        },
        "response": {
            "status": {"code": response.status, "message": _ascii(response.reason)},
            "headers": _multi(response.headers),
            "body": {"string": body_data(response.body)},
        },
        "replaykit": ours,
    }
    return mark_binary(encode(data))


def _multi(headers: Headers) -> dict[str, list[str]]:
    """Group header values by name, as vcrpy holds them, in ASCII, which is all that it can play."""
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        if len(name) <= MAX_NAME:
            grouped.setdefault(_ascii(name), []).append(_ascii(value))
    return grouped


def _ascii(text: str) -> str:
    """Say a text of a header in what vcrpy can play; where that is not all, the true one stands beside it."""
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")


def _kept(interaction: Interaction) -> Interaction:
    """Cut bodies that no reader would take."""
    request, response = interaction.request, interaction.response
    if len(request.body) > MAX_BODY:
        interaction = interaction.replace(request=request.replace(body=request.body[:MAX_BODY]))
    if response is not None and len(response.body) > MAX_BODY:
        cut = response.replace(body=response.body[:MAX_BODY], complete=False)
        interaction = interaction.replace(response=cut)
    return interaction


def _pairs(grouped: dict[str, list[str]]) -> Headers:
    return tuple((name, value) for name, values in grouped.items() for value in values)


def _net_data(interaction: Interaction) -> dict[str, Any]:
    request, response, trouble = interaction.request, interaction.response, interaction.trouble
    data: dict[str, Any] = {
        "elapsed": round(interaction.elapsed, 6),
        "request": {
            "method": request.method,
            "uri": request.url,
            "headers": request.headers,
            "body": base64.b64encode(request.body).decode("ascii"),
        },
    }
    if trouble is not None:
        data["error"], data["message"] = trouble.error, trouble.message
    if response is not None:
        data["response"] = {
            "status": response.status,
            "reason": response.reason,
            "http": response.version,
            "headers": response.headers,
            "body": base64.b64encode(response.body).decode("ascii"),
        }
    return data


# --- reading ------------------------------------------------------------------------------------


def read(path: Path) -> Bundle:
    """Read a bundle from a file. Raises MissingFileError, or a BundleError with the number of the line.

    A file without its end is read as far as it goes, and is not `whole`.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise MissingFileError(f"{path} is no regular file.", "Name a bundle.")
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise CorruptBundleError(f"{path} is too large; a bundle has at most {MAX_FILE} bytes.")
    except OSError as error:
        raise MissingFileError(f"{path} can't be read: {error.strerror}.", "Check the path.") from None
    return read_bytes(content, str(path))


def read_bytes(content: bytes, name: str = "The bundle") -> Bundle:
    """Read a bundle from its bytes; see `read`."""
    return _Reader(content, name).bundle()


class _Reader:
    """Reads one bundle, line by line."""

    def __init__(self, content: bytes, name: str) -> None:
        self.content = content
        self.name = name
        self.number = 0  # of the line that is being read, from 1

    def bundle(self) -> Bundle:
        provenance: Provenance | None = None
        builder = _Builder()
        whole = False
        for start, line in self._lines():
            if whole:
                raise self.corrupt("there is something after the end")
            if line.startswith(b"- "):
                builder.item(self._json(unmark_binary(line[2:])), self)
            elif line.startswith(b"# {"):
                data = self._json(line[2:])
                if self.number == 2:  # noqa: PLR2004
                    provenance = self._provenance(data)
                elif data.get("k") == "end":
                    builder.end(data, self)
                    self._check_end(line, start, builder)
                    whole = True
                else:
                    builder.record(data.get("k"), data, self)
            elif line not in (b"version: 1\n", b"interactions:\n", b"interactions: []\n"):
                raise self.corrupt("this is no line of a bundle")
        if provenance is None:
            raise self._no_bundle()
        return Bundle(provenance=provenance, trace=builder.trace(), whole=whole)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        if not self.content:
            raise TruncatedBundleError(f"{self.name} is empty: whoever wrote it was stopped before its first line.")
        if not self.content.startswith(b"version: 1\n"):
            raise self._no_bundle()
        start, end = 0, len(self.content)
        while start < end:
            stop = self.content.find(b"\n", start) + 1
            self.number += 1
            if self.number > MAX_LINES:
                raise self.corrupt(f"there are more than {MAX_LINES} lines")
            if (stop or end) - start > MAX_LINE:
                raise self.corrupt(f"the line has more than {MAX_LINE} bytes")
            if not stop:
                if self.content.rfind(b'\n# {"k":"end"', 0, start) >= 0:
                    raise self.corrupt("there is something after the end")
                return  # a line without its end: the writer was stopped here
            yield start, self.content[start:stop]
            start = stop

    def _no_bundle(self) -> CorruptBundleError:
        todo = "A bundle begins with `version: 1` and a comment."
        if self.content.startswith(b"version: 1\r\n"):
            todo = (
                "Its lines end with CR LF: git changed them. Write `*.pd text eol=lf` into .gitattributes, get it anew."
            )
        return CorruptBundleError(f"{self.name} is no bundle: it does not begin as one.", todo)

    def corrupt(self, why: str) -> CorruptBundleError:
        """Return the error for the line that is being read."""
        return CorruptBundleError(
            f"{self.name}, line {self.number}: {why}.", "The file was changed after it was written; get it anew."
        )

    def _json(self, line: bytes) -> dict[str, Any]:
        try:
            return decode(line)
        except ValueError as error:
            raise self.corrupt(str(error)) from None

    def _provenance(self, data: dict[str, Any]) -> Provenance:
        if data.get("k") != "bundle":
            raise self._no_bundle()
        version = data.get("format")
        if not isinstance(version, int) or version < 1:
            raise self.corrupt(f"the format is {version!r}")
        if version > BUNDLE_FORMAT:
            raise NewerBundleError(
                f"{self.name} has the format {version}, and replaykit {__version__} reads up to {BUNDLE_FORMAT}.",
                f"It was written by {data.get('tool', 'a newer replaykit')!r}: install that or a newer one.",
            )
        known = {key: value for key, value in data.items() if key in Provenance.model_fields}
        shrinking = known.get("shrinking")
        if isinstance(shrinking, dict):
            known["shrinking"] = {key: value for key, value in shrinking.items() if key in Shrinking.model_fields}
        provenance: Provenance = self.parse(Provenance, known)
        counted = provenance.shrinking
        if counted is not None and not 0 <= (counted.failed or 0) <= (counted.runs or 0) <= MAX_RUNS:
            raise self.corrupt(f"it failed in {counted.failed} of {counted.runs} runs")
        if provenance.url is not None:
            self.url(provenance.url)
        return provenance

    def _check_end(self, line: bytes, start: int, builder: "_Builder") -> None:
        digest = hashlib.sha256(self.content[:start]).hexdigest()
        if builder.ending is None or line != last_line(builder.ending, builder.reason, self.number - 1, digest):
            raise self.corrupt("the digest does not fit what stands above it")

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
        return tuple((name, value) for name, value in value)


class _Builder:
    """Puts the records of a bundle together to a trace."""

    def __init__(self) -> None:
        self.resetting: list[Interaction] = []
        self.closing: list[Interaction] = []
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
        sent_headers, got_headers = ours.get("request_headers"), ours.get("response_headers")
        interaction = Interaction(
            request=Request(
                method=reader.take(request, "method", str),
                url=reader.url(reader.take(request, "uri", str)),
                headers=reader.headers(sent_headers) if sent_headers else _grouped(request, reader),
                body=_bytes(request.get("body"), reader),
            ),
            response=Response(
                status=reader.take(status, "code", int),
                reason=reader.take(ours, "reason", str, reader.take(status, "message", str, "")),
                version=reader.take(ours, "http", str, "HTTP/1.1"),
                headers=reader.headers(got_headers) if got_headers else _grouped(response, reader),
                body=_bytes(body.get("string"), reader),
                complete=reader.take(ours, "complete", bool, True),
            ),
            elapsed=reader.seconds(ours),
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
            ),
            response=Response(
                status=reader.take(response, "status", int),
                reason=reader.take(response, "reason", str, ""),
                version=reader.take(response, "http", str, "HTTP/1.1"),
                headers=reader.headers(response.get("headers")),
                body=reader.base64(reader.take(response, "body", str)),
                complete=False,
            )
            if response
            else None,
            trouble=Trouble(error=error, message=reader.take(data, "message", str, "")) if error else None,
            elapsed=reader.seconds(data),
        )
        self._place(data, interaction, reader)

    def _place(self, place: dict[str, Any], interaction: Interaction, reader: _Reader) -> None:
        part = reader.take(place, "part", str, "command")
        if part == "reset":
            self.resetting.append(interaction)
        elif part == "end":
            self.closing.append(interaction)
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
            self.steps.append({"call": call, **empty})
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
            self._step(data, reader)["state"] = _text(data.get("data"), reader)
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


def require_whole(bundle: Bundle, name: str) -> None:
    """Raise TruncatedBundleError unless the bundle has its end."""
    if not bundle.whole:
        raise TruncatedBundleError(
            f"{name} has no end: whoever wrote it was stopped.", "It can be looked at (replaykit show), not judged."
        )
