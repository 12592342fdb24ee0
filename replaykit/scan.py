"""Scanning: what looks like a secret in files that are there already, bundles and the cassettes of other tools.

A bundle is read line by line, also one that is broken, and looked at as a writer looks at what it is about to write.
Any other file is text: JSON (HAR too) and YAML are looked through for names and for what looks like a secret. What
is packed is unpacked first, in the text of a ticket too. Each value is told once for a file, with the line where it
stands first. Nothing is imported, fetched or changed.
"""

import base64
import binascii
import codecs
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from replaykit.archive import begins_at, opened, packed_in
from replaykit.coding import coding_of, decoded
from replaykit.disguise import base64_forms, forms, plain_text
from replaykit.errors import CorruptBundleError, MissingFileError, SecretFoundError
from replaykit.interaction import Headers, Interaction, Request, Response
from replaykit.notation import decode, unmark_binary
from replaykit.placeholder import MARK, PLACEHOLDER
from replaykit.reader import content_of
from replaykit.redact import Found, Redactor
from replaykit.secret import SHORTEST, Policy, weight_of
from replaykit.value import InvalidValueError, JsonData, Record, text_of_data

ENDINGS = (".pd", ".pd.gz", ".pd.zip", ".yaml", ".yml", ".json", ".har")  # of the files of a folder that are looked at
TEXTS = (".md", ".txt")  # of those that are, where a bundle stands in them: tickets


class Hit(Record):
    """Something in a file that looks like a secret; the value itself is not shown."""

    line: int  # from 1
    label: str
    size: int  # characters


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """List files: those that are named, and those in folders whose names have one of the known endings, and tickets.

    Hidden folders are left out, and links are not followed. Raises MissingFileError.
    """
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise MissingFileError(f"{path} can't be read: there is no such file.", "Check the path.")
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            for each in (Path(folder, name) for name in sorted(names)):
                if each.is_file() and (each.name.endswith(ENDINGS) or _is_ticket(each)):  # no pipe: it might never end
                    yield each


def _is_ticket(path: Path) -> bool:
    try:
        return path.name.endswith(TEXTS) and begins_at(content_of(path)) is not None
    except CorruptBundleError:  # larger than any bundle
        return False


def scan(path: Path, policy: Policy) -> list[Hit]:
    """Find what looks like a secret in a file. Raises MissingFileError, CorruptBundleError."""
    content = opened(content_of(path), str(path))
    if content.startswith(b"version: 1\n# {"):
        return _told(_in_bundle(content, Redactor(policy)))
    hits = _told(_in_text(_text_of(content, path), Redactor(policy)))
    packed = packed_in(content, str(path))
    if packed is not None:
        line, bundle = packed
        hits += [hit.replace(line=line) for hit in _told(_in_bundle(bundle, Redactor(policy)))]
    return sorted(hits, key=lambda hit: hit.line)


def require_clean(content: bytes, name: str, policy: Policy) -> None:
    """Raise SecretFoundError where a bundle that is to be sent to others holds what looks like a secret."""
    hits = _told(_in_bundle(content, Redactor(policy)))
    if not hits:
        return
    listed = ", ".join(f"line {hit.line}: {hit.label} ({hit.size} characters)" for hit in hits[:_FEW])
    more = f", and {len(hits) - _FEW} more" if len(hits) > _FEW else ""
    raise SecretFoundError(
        f"{name} holds what may be a secret: {listed}{more}.",
        "Record it anew, so that it is covered; what is none is named by `keep` in [tool.replaykit.redact]. "
        "`replaykit scan` tells all of them.",
    )


_FEW = 5  # that are told in one line


def _told(hits: Iterable[Hit | None]) -> list[Hit]:
    return sorted([hit for hit in hits if hit is not None], key=lambda hit: hit.line)


def _text_of(content: bytes, path: Path) -> str:
    """Return the text of a file, as wire text. Raises CorruptBundleError where it is none."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        content = content.decode("utf-16" if is_utf16 else "utf-8").encode("utf-8")
        is_text = b"\0" not in content
    except UnicodeDecodeError:  # Latin-1, or something that is packed
        is_text = not is_utf16 and not _BINARY_SIGNS.search(content)
    if not is_text:
        raise CorruptBundleError(
            f"{path} can't be looked into: it is neither text nor a bundle, gzip or zip.",
            "Unpack it, or leave it out.",
        )
    return content.decode("latin-1")


def _hit(line: int, found: Found) -> Hit | None:
    value = PLACEHOLDER.sub("", plain_text(found.value))
    if MARK in found.value and len(value) < SHORTEST:  # a cookie whose value is covered
        return None
    if _MASKED.fullmatch(value) or (len(value) < SHORTEST and not weight_of(found.label)):  # a cookie for a theme
        return None
    return Hit(line=line, label=found.label, size=len(value))


_BINARY_SIGNS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MASKED = re.compile(r"(?i)[\W_]*(?:redacted|filtered|removed|hidden|masked|scrubbed|dummy|fake|placeholder|x+)?[\W_]*")


# --- bundles ------------------------------------------------------------------------------------


def _in_bundle(content: bytes, redactor: Redactor) -> Iterator[Hit | None]:
    told = 0
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.startswith((b"- ", b"# {")):
            try:
                _look(decode(unmark_binary(line[2:])), redactor)
            except (ValueError, TypeError, AttributeError, KeyError, InvalidValueError):
                redactor.message(line.decode("latin-1"))  # no line of a bundle, but somebody may read it
        else:
            redactor.message(line.decode("latin-1"))
        for found in redactor.found[told:]:
            yield _hit(number, found)
        told = len(redactor.found)


def _look(data: dict[str, Any], redactor: Redactor) -> None:
    """Look at what a writer has put there as it did, and at all the rest, whatever it is called, as at any text."""
    kind = data.get("k")
    if kind is None or kind == "net":
        ours = data.get("replaykit", {})
        headers, body = _message(data["request"], ours.pop("request_headers", ()), redactor, is_coded=kind == "net")
        request = Request(method="", url=str(data["request"].pop("uri")), headers=headers, body=body)
        response = None
        if data.get("response"):
            told = _message(data["response"], ours.pop("response_headers", ()), redactor, is_coded=kind == "net")
            response = Response(status=0, headers=told[0], body=told[1])
        redactor.interaction(Interaction(request=request, response=response))
    elif kind == "command":
        redactor.arguments([data.pop("args", None), data.pop("raw", None)])
    elif kind == "bundle" and isinstance(data.get("url"), str):
        redactor.url(data["url"])
    redactor.message(text_of_data(data).decode("utf-8"))


def _message(data: dict[str, Any], in_order: JsonData, redactor: Redactor, *, is_coded: bool) -> tuple[Headers, bytes]:
    """Take headers and text out of a request or a response; what may be anything stays, as the names of headers."""
    headers, body = _headers(data.pop("headers", None)), data.get("body")
    data["names"] = [name for name, _ in headers]
    if in_order:  # these count, and the others stand beside them
        for name, value in headers:
            redactor.header(name, value)
        headers = _headers(in_order)
        data["names"] += [name for name, _ in headers]
    holder, key = (body, "string") if isinstance(body, dict) and "string" in body else (data, "body")
    content = _body(holder.get(key), is_coded=is_coded)
    if isinstance(holder.get(key), str) and not is_coded:
        del holder[key]
    return headers, content


def _headers(said: JsonData) -> Headers:
    if isinstance(said, list):
        return tuple((str(name), str(value)) for name, value in said)
    pairs = []
    for name, values in (said or {}).items():
        pairs += [(name, str(value)) for value in (values if isinstance(values, list) else [values])]
    return tuple(pairs)


def _body(said: JsonData, *, is_coded: bool) -> bytes:
    if isinstance(said, dict) and isinstance(said.get("!!binary"), str):
        return base64.b64decode(said["!!binary"], validate=True)
    if isinstance(said, str):
        return base64.b64decode(said, validate=True) if is_coded else said.encode("utf-8", "surrogatepass")
    return b""


# --- other files --------------------------------------------------------------------------------

_YAML = re.compile(
    r"^[ \t]*(?:- )?[\"']?([A-Za-z][\w.-]{1,60})[\"']?:[ \t]*(?:\r?\n[ \t]*- [ \t]*)?([^\s\[{|>&#!][^\r\n]*)$",
    re.MULTILINE,
)
_BINARY = re.compile(r"!!binary \|\r?\n((?:[ \t]+[A-Za-z0-9+/=]+\r?(?:\n|\Z))+)|\"(H4sI[A-Za-z0-9+/]{20,}={0,2})\"")


def _in_text(text: str, redactor: Redactor) -> Iterator[Hit | None]:
    places: dict[str, int] = {}  # of values that stand in something compressed
    redactor.message(plain_text(text))
    for line in _YAML.finditer(text):
        redactor.header(line[1], line[2].strip("\"'"))
    for where, inside in _inside(text):
        before = len(redactor.found)
        redactor.message(inside)
        places |= {each.value: where for each in redactor.found[before:]}
    for found in redactor.found:
        starts = [text.find(form) for form in (*forms(found.value), *base64_forms(found.value))]
        first = min([start for start in starts if start >= 0], default=places.get(found.value, 0))
        yield _hit(text.count("\n", 0, first) + 1, found)


def _inside(text: str) -> Iterator[tuple[int, str]]:
    """List what stands in a file in base64: where, and what it says."""
    for found in _BINARY.finditer(text):
        said = _unpacked(found[1] or found[2])
        if said is not None:
            yield found.start(), said
    if '"base64"' in text:  # a HAR
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return
        for coded in _coded_in(document):
            said = _unpacked(coded)
            if said is not None:
                yield max(0, text.find(coded)), said


def _coded_in(document: JsonData) -> Iterator[str]:
    waiting = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if each.get("encoding") == "base64" and isinstance(each.get("text"), str):
                yield each["text"]
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _unpacked(text: str) -> str | None:
    try:
        body = base64.b64decode("".join(text.split()))
        return plain_text(decoded(coding_of((), body), body).decode("latin-1"))
    except (binascii.Error, ValueError):
        return None
