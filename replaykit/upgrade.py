"""Upgrade: the lines of an older format said in the present one; one pure function for each step, for ever.

What a step has no new word for stays as it is, in its place: readers pass over kinds and keys that they do not know.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from replaykit.bundle import MAX_SECONDS
from replaykit.errors import CorruptBundleError
from replaykit.lines import DRAFT, Line, Lines
from replaykit.value import JsonData
from replaykit.verdict import Failure
from replaykit.version import BUNDLE_FORMAT

Step: TypeAlias = Callable[[list[Line]], list[Line]]


def upgraded(lines: list[Line], format: int, name: str = "The bundle") -> list[Line]:  # noqa: A002  the format's word
    """Return the lines of a bundle in the present format; they keep the numbers that they had.

    Raises CorruptBundleError with the number of the line that no step understands.
    """
    for step in _CHAIN[format:BUNDLE_FORMAT]:
        try:
            lines = step(lines)
        except _MisfitError as error:
            raise CorruptBundleError(
                f"{name}, line {error.number}: {error.why}.", "The file was changed after it was written; get it anew."
            ) from None
    return lines


def present(content: bytes, name: str = "The bundle") -> Iterator[Line]:
    """Give the lines of a bundle in the present format, one after the other. Raises BundleError."""
    scanned = Lines(content, name)
    lines = iter(scanned)
    first = next(lines)
    if scanned.format == BUNDLE_FORMAT:
        yield first
        yield from lines
    else:
        yield from upgraded([first, *lines], scanned.format, name)


class _MisfitError(Exception):
    """A line that is not as its format says."""

    def __init__(self, line: Line, why: str) -> None:
        super().__init__(why)
        self.number, self.why = line.number, why


def _taken(line: Line, data: dict[str, Any], key: str, kind: type, default: Any = ...) -> Any:
    """Take a value out of the data of a line; what is left in the end is what nobody knows."""
    value = data.pop(key, default)
    if value is ... or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _MisfitError(line, f"{key} is missing" if value is ... else f"{key} is {value!r:.80}")
    return value


# --- 0 to 1: the draft --------------------------------------------------------------------------


def _from_draft(lines: list[Line]) -> list[Line]:
    """Say the draft's records in the words of format 1."""
    from replaykit.command import snake_case  # whoever reads what is written today pays for no model

    refs = _refs_of(lines)
    tags: dict[int, str] = {}
    facts: dict[str, Any] = {}
    made: list[Line] = []
    for line in lines:
        data = dict(line.data)
        if line.is_item:
            made.append(line._replace(data=_item(line, data)))
            continue
        kind = data.pop("k", None)
        if kind == "pd":
            facts = _origin(line, data)
            made.append(line._replace(data=facts))
        elif kind == "env":
            _environment(line, data, facts)
        elif kind == "model":
            _model(line, data, facts)
        elif kind == "cmd":
            step, name = _taken(line, data, "i", int), _taken(line, data, "name", str)
            tags[step] = snake_case(name)
            args = _named(_taken(line, data, "args", dict, {}), refs)
            command = {"k": "command", "step": step, "tag": tags[step], "version": 1, "args": args}
            made.append(line._replace(data={**command, **data}))
        elif kind == "proj":
            state = {"k": "state", "step": _taken(line, data, "i", int), "data": _taken(line, data, "model", dict)}
            made.append(line._replace(data={**state, **data}))
        elif kind == "check" and data.get("ok") is False:
            made.append(line._replace(data=_failure(line, data, tags)))
        elif kind == "net" and "request" in data:
            made.append(line._replace(data=_net(line, data)))
        elif kind == "end":
            ending = "failed" if data.get("verdict") == "fail" else "passed"
            made.append(line._replace(data={"k": "end", "ending": ending, "reason": ""}))
        else:  # what has no word in format 1: bind, redact, checks that hold, and what nobody knows
            made.append(line._replace(data={"k": "lost" if kind == "net" else kind, **data}))
    if "model" in facts:
        facts["commands"] = len(tags)
    return made


def _origin(line: Line, data: dict[str, Any]) -> dict[str, Any]:
    for key in ("pd", "min_reader", "id", "kind"):
        data.pop(key, None)
    return {"k": "bundle", "format": DRAFT + 1, "tool": _taken(line, data, "tool", str, "a draft"), **data}


def _environment(line: Line, data: dict[str, Any], facts: dict[str, Any]) -> None:
    git, packages = _taken(line, data, "git", dict, {}), _taken(line, data, "deps", dict, {})
    found = {
        "url": data.pop("base_url", None),
        "revision": git.get("sha"),
        "dirty": git.get("dirty"),
        "recorded": data.pop("recorded", None),
        "python": data.pop("python", None),
        "httpx": packages.get("httpx"),
    }
    facts |= {key: value for key, value in found.items() if value is not None}
    seed = _taken(line, data, "seed", int, 0)
    facts["env"] = {**data, "seed": seed, "git": git, "deps": packages}
    if "model" in facts:
        facts["seed"] = facts["campaign_seed"] = seed


def _model(line: Line, data: dict[str, Any], facts: dict[str, Any]) -> None:
    seed = facts.get("env", {}).get("seed", 0)
    facts["model"] = _taken(line, data, "ref", str)
    facts["adapter"] = _taken(line, data, "adapter", str, "unknown:Unknown")
    facts["model_digest"] = _taken(line, data, "sha256", str)[:16]
    facts |= {"campaign_seed": seed, "run": 0, "seed": seed, "commands": 0}
    if data:
        facts["model_facts"] = data


def _item(line: Line, data: dict[str, Any]) -> dict[str, Any]:
    ours = dict(_taken(line, data, "replaykit", dict, {}))
    found: dict[str, Any] = {}
    if "i" in ours:
        found["step"] = _taken(line, ours, "i", int)
    found["part"] = "command" if found else "reset"
    if "http" in ours:
        found["http"] = ours.pop("http")
    found["elapsed"] = _seconds(line, ours, "ms")
    for old, new in (("req_hdr", "request_headers"), ("hdr", "response_headers")):
        if old in ours:
            found[new] = ours.pop(old)
    return {**data, "replaykit": {**found, **ours}}


def _net(line: Line, data: dict[str, Any]) -> dict[str, Any]:
    place = {"step": _taken(line, data, "i", int), "part": "command"} if "i" in data else {"part": "reset"}
    return {"k": "net", **place, "elapsed": _seconds(line, data, "after_ms"), **data}


def _failure(line: Line, data: dict[str, Any], tags: dict[int, str]) -> dict[str, Any]:
    data.pop("ok")
    step = _taken(line, data, "i", int)
    name, message = _taken(line, data, "name", str), _taken(line, data, "msg", str, "")
    failure = Failure(kind="check", name=name, step=step, command=tags.get(step), message=message)
    facts = {key: value for key, value in failure.model_dump(mode="json").items() if value is not None}
    return {"k": "failure", **facts, "fingerprint": failure.fingerprint, **data}


def _seconds(line: Line, data: dict[str, Any], key: str) -> float:
    milliseconds = data.pop(key, 0)
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise _MisfitError(line, f"{key} is {milliseconds!r:.80}")
    if not 0 <= milliseconds <= MAX_SECONDS:
        raise _MisfitError(line, f"{key} is out of range")
    return round(milliseconds / 1000, 9)


def _refs_of(lines: list[Line]) -> dict[str, str]:
    """Find what each of the draft's refs is called now: `player#1`, bound by step 0, is `player@0`."""
    refs: dict[str, str] = {}
    count: dict[str, int] = {}
    for line in lines:
        if line.kind == "bind":
            old, step = line.data.get("ref"), line.data.get("i")
            if not isinstance(old, str) or not isinstance(step, int):
                raise _MisfitError(line, "this binds nothing")
            new = f"{old.partition('#')[0]}@{step}"
            count[new] = count.get(new, 0) + 1
            refs[old] = new if count[new] == 1 else f"{new}.{count[new]}"
    return refs


def _named(value: JsonData, refs: dict[str, str]) -> JsonData:
    """Put the present names of refs into arguments."""
    if isinstance(value, list):
        return [_named(each, refs) for each in value]
    if not isinstance(value, dict):
        return value
    named = value.get("$ref")
    if len(value) == 1 and isinstance(named, str):
        return refs.get(named, named)
    return {key: _named(each, refs) for key, each in value.items()}


_CHAIN: list[Step] = [_from_draft]  # at place n: from format n to n + 1
