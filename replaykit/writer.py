"""Writer: a run written down while it happens, one line after the other; see `bundle` for the format."""

import base64
import hashlib
import os
import stat
import threading
from collections.abc import Callable
from functools import lru_cache
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from replaykit.bundle import MAX_BODY, MAX_DATA, MAX_FILE, MAX_LINES, MAX_NAME, Origin
from replaykit.canonical import is_same_bug
from replaykit.errors import UnwritableError
from replaykit.generator import is_minted
from replaykit.interaction import Cut, Headers, Interaction
from replaykit.ledger import see_onto_disk
from replaykit.lines import last_line
from replaykit.notation import ascii_json, ascii_text, body_data, encode, mark_binary
from replaykit.placeholder import covered_in
from replaykit.project import policy_here
from replaykit.redact import Redactor
from replaykit.secret import Policy
from replaykit.sequence import Call
from replaykit.trace import Ending, Said, Step, Trace, learn
from replaykit.value import JsonText
from replaykit.verdict import Failure
from replaykit.version import BUNDLE_FORMAT

Form: TypeAlias = Callable[[bytes], bytes]  # of a whole bundle

_RARE = ("raw", "repeats", "twice", "branch")  # what most calls do not have
_SAID = ("message", "expected", "actual", "traceback")  # of a failure: what has values in it
_USUAL = {name: Call.model_fields[name].default for name in _RARE}


class Writer:
    """Writes a run down while it happens, one write for each line, into a file with no final name yet.

    Secrets are covered before anything is written; `policy` says how, without one the project's configuration.

    It listens to `run.execute`. `save` ends the file and moves it to its final name; `rewind` starts over,
    for the next run; leaving the context removes what was not saved.
    """

    def __init__(self, path: Path, policy: Policy | None = None) -> None:
        self.path = path
        self._redactor = Redactor(policy_here() if policy is None else policy)
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
        self._redactor.restart()
        self.covered: tuple[str, ...] = ()  # placeholders in what the failure says
        self._count = self._size = 0  # lines and bytes
        self._said_in_calls = 0  # bytes
        self._open = False  # is the list of interactions open?
        self._digest = hashlib.sha256()
        self._ending: tuple[Ending, str] = ("unknown", "")

    def begin(self, origin: Origin) -> None:
        """Write the first lines."""
        self._line(b"version: 1\n")
        data = {key: value for key, value in origin.model_dump(mode="json").items() if value is not None}
        if origin.url is not None:
            data["url"] = self._redactor.url(origin.url)
        self._record("bundle", {"format": BUNDLE_FORMAT, **data})

    def write(self, trace: Trace) -> None:
        """Write a trace that is over: what is found in it anywhere is covered everywhere."""
        learn(self._redactor, trace)
        for each in trace.resetting:
            self.interaction("reset", None, each)
        nonce = trace.nonce
        for step in trace.steps:
            if nonce and is_minted(step.call.args):
                self.nonce(nonce)
                nonce = ""
            self._step(step)
        for part, interactions in (("end", trace.closing), ("recorded", trace.recorded)):
            for each in interactions:
                self.interaction(part, None, each)
        for said in trace.closing_observations:
            self.observation(None, said)
        self.end(trace.ending, trace.reason, trace.failure)

    def _step(self, step: Step) -> None:
        label = step.call.label
        self.call(step.call, step.at, step.faults)
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

    def interaction(self, part: str, step: int | None, interaction: Interaction) -> None:
        """Write a request and its answer: a list item of the cassette, or a comment where there is no answer."""
        interaction = _kept(self._redactor.interaction(interaction), interaction.request.body)
        place: dict[str, Any] = {"part": part} if step is None else {"step": step, "part": part}
        if interaction.before:
            place["before"] = interaction.before
        if interaction.response is None or interaction.trouble is not None:
            self._record("net", {**place, **_net_data(interaction)})
            return
        with self._lock:
            if not self._open:
                self._open = True
                self._line(b"interactions:\n")
        self._line(b"- %s\n" % _item(interaction, place))

    def call(self, call: Call, at: float | None, faults: tuple[int, ...] = ()) -> None:
        """Write a call that is about to be sent. Raises UnwritableError for calls that no reader would take."""
        args = self._redactor.arguments(call.args)
        data = {"step": call.label, "tag": call.tag, "version": call.version, "args": args}
        rare = {name: said for name in _RARE if (said := getattr(call, name)) != _USUAL[name]}
        if call.raw:
            rare["raw"] = self._redactor.arguments(call.raw)
        if faults:
            rare["faults"] = list(faults)
        if at is not None:
            rare["at"] = at
        before = self._size
        self._record("command", data | rare)
        self._said_in_calls += self._size - before
        if self._said_in_calls > MAX_DATA:
            raise UnwritableError(
                f"The arguments of the commands have more than {MAX_DATA} bytes.",
                "Use fewer commands, or smaller ones.",
            )

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
        self._line(b'# {"k":"state","step":%d,"data":%s}\n' % (step, ascii_json(self._redactor.text(state))))

    def end(self, ending: Ending, reason: str, failure: Failure | None) -> None:
        """Write why the run failed, and remember how it ended for the last line."""
        if failure is not None:
            said = failure.model_dump(mode="json")
            data = {key: value for key, value in said.items() if value is not None}
            data |= {key: self._redactor.data(data[key]) for key in _SAID if key in data}
            self.covered = covered_in(*[data.get(key) for key in _SAID])
            self._record("failure", {**data, "fingerprint": failure.fingerprint})
        self._ending = (ending, self._redactor.message(reason))

    @property
    def is_late(self) -> bool:
        """Whether a secret was found while writing, which may stand uncovered in what was written before."""
        return self._redactor.is_late

    def save(self, path: Path, form: Form | None = None) -> None:
        """Write the last line, see the file onto the disk, and move it to its final name.

        `form` makes other bytes of it first, as those of the canonical form; where the bug is saved already in that
        form, the file that says so first stays as it is.
        """
        if not self._open:
            self._line(b"interactions: []\n")
        self._write(last_line(*self._ending, self._count, self._digest.hexdigest()))
        try:
            if form is not None:
                self._settle(path, form)
            os.fsync(self._file.fileno())
            _copy_mode(path, self.path)
            self.path.replace(path)
            see_onto_disk(path.parent)
            self._file.close()
            self._file = self.path.open("wb", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from None
        self._start_over()

    def _settle(self, path: Path, form: Form) -> None:
        """Put the file, which is whole but has no final name yet, into another form."""
        content = form(self.path.read_bytes())
        before = path.read_bytes() if path.is_file() else b""
        if is_same_bug(before, content):
            content = before
        self._file.seek(0)
        self._file.truncate()
        self._write(content)

    def leave(self) -> None:
        """Close the file, and leave it as it is, without an end: something could not be written."""
        self._file.close()

    def _said(self, kind: str, step: int | None, said: Said) -> None:
        place = b"" if step is None else b'"step":%d,' % step
        head = b'# {"k":"%s",%s"tag":"%s","version":%d,"data":' % (
            kind.encode(),
            place,
            said.tag.encode(),
            said.version,
        )
        self._line(head + ascii_json(self._redactor.text(said.data)) + b"}\n")

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


def save(
    path: Path, origin: Origin, trace: Trace, form: Form | None = None, policy: Policy | None = None
) -> tuple[str, ...]:
    """Write a bundle at its final name, whole or not at all; return the placeholders in what its failure says.

    `form` is that of `Writer.save`, `policy` that of a Writer.
    """
    with Writer(_beside(path), policy) as writer:
        writer.begin(origin)
        writer.write(trace)
        covered = writer.covered
        writer.save(path, form)
    return covered


def put(path: Path, content: bytes, source: Path) -> None:
    """Write the bytes of a bundle at its final name, whole or not at all. Raises UnwritableError.

    Who may read it is who may read what is there already, or `source`.
    """
    beside = _beside(path)
    try:
        try:
            with beside.open("wb") as file:
                _copy_mode(path if path.exists() else source, beside)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            see_onto_disk(path.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _copy_mode(source: Path, path: Path) -> None:
    """Let a file be read by those who may read another one, if that is there."""
    if source.exists():
        path.chmod(stat.S_IMODE(source.stat().st_mode))


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _item(interaction: Interaction, place: dict[str, Any]) -> bytes:
    """Write an interaction as vcrpy does, with what vcrpy has no room for under `replaykit`."""
    request, response = interaction.request, interaction.response
    assert response is not None  # noqa: S101  the caller sends the others elsewhere
    ours: dict[str, Any] = {**place, "http": response.version, **_elapsed(interaction), **_tampered(interaction)}
    if not response.complete:
        ours["complete"] = False
    if not response.reason.isascii():
        ours["reason"] = response.reason
    cuts = {"request_cut": request.cut, "response_cut": response.cut}
    ours |= {key: cut.model_dump(mode="json") for key, cut in cuts.items() if cut is not None}
    (sent, all_sent), (got, all_got) = _multi(request.headers), _multi(response.headers)
    if not all_sent:
        ours["request_headers"] = request.headers
    if not all_got:
        ours["response_headers"] = response.headers
    data = {
        "request": {
            "method": request.method,
            "uri": request.url,
            "body": body_data(request.body),
            "headers": sent,
        },
        "response": {
            "status": {"code": response.status, "message": ascii_text(response.reason)},
            "headers": got,
            "body": {"string": body_data(response.body)},
        },
        "replaykit": ours,
    }
    return mark_binary(encode(data))


def _elapsed(interaction: Interaction) -> dict[str, float]:
    """Say how long it took, if anybody knows."""
    return {"elapsed": round(interaction.elapsed, 6)} if interaction.elapsed else {}


def _tampered(interaction: Interaction) -> dict[str, str]:
    """Say which fault was put in, if any."""
    return {"tampered": interaction.tampered} if interaction.tampered else {}


@lru_cache(maxsize=256)  # most requests have the headers of the one before
def _multi(headers: Headers) -> tuple[dict[str, list[str]], bool]:
    """Group header values by name, as vcrpy holds them, in ASCII, which is all that it can play; say if that is all."""
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        if len(name) <= MAX_NAME:
            grouped.setdefault(ascii_text(name), []).append(ascii_text(value))
    return grouped, headers == tuple((name, value) for name, values in grouped.items() for value in values)


def _kept(interaction: Interaction, sent: bytes) -> Interaction:
    """Cut bodies that no reader would take, and say what they were; `sent` is that of the request, as it was sent.

    Where something in it was covered, only its size is known: a digest would fit no request, or tell of a secret.
    """
    request, response = interaction.request, interaction.response
    if len(request.body) > MAX_BODY:
        cut = _cut(sent) if request.body == sent else Cut(size=len(sent), sha256="")
        request = request.replace(body=request.body[:MAX_BODY], cut=request.cut or cut)
        interaction = interaction.replace(request=request)
    if response is not None and len(response.body) > MAX_BODY:
        kept = response.replace(body=response.body[:MAX_BODY], complete=False, cut=response.cut or _cut(response.body))
        interaction = interaction.replace(response=kept)
    return interaction


def _cut(body: bytes) -> Cut:
    return Cut(size=len(body), sha256=hashlib.sha256(body).hexdigest())


def _net_data(interaction: Interaction) -> dict[str, Any]:
    request, response, trouble = interaction.request, interaction.response, interaction.trouble
    data: dict[str, Any] = {
        **_elapsed(interaction),
        **_tampered(interaction),
        "request": {
            "method": request.method,
            "uri": request.url,
            "headers": request.headers,
            "body": base64.b64encode(request.body).decode("ascii"),
        },
    }
    cuts = {"request_cut": request.cut, "response_cut": None if response is None else response.cut}
    data |= {key: cut.model_dump(mode="json") for key, cut in cuts.items() if cut is not None}
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
