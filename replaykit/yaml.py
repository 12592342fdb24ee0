"""YAML, as cassettes are written in it; the door to PyYAML.

What is read may come from anybody, so nothing is made of it but text, bytes, numbers, lists and mappings: PyYAML
is asked for its events alone, and they are put together here. So nesting is counted, an alias counts as much as
what it stands for (a few lines of aliases can stand for gigabytes), and a tag that names a thing of a program is
refused, but for those that old cassettes have and that mean plain values.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import yaml

YamlData: TypeAlias = Any  # JsonData, and bytes

MAX_DEPTH = 100
MAX_SIZE = 64 * 1024 * 1024  # characters, aliases written out
MAX_DIGITS = 400

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # with libyaml, some eight times as fast
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def dump(data: YamlData) -> str:
    """Write data in block style, keys sorted, bytes as `!!binary`: the text that vcrpy writes."""
    text: str = yaml.dump(data, Dumper=_Dumper)
    return text


def load(content: bytes) -> YamlData:
    """Read a document. Raises ValueError in words that can stand after the file's name."""
    try:
        loader = _Loader(content)
        try:
            return _Composer(loader).document()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ValueError(f"{_place(mark)}this is no YAML ({error.problem or error.context})") from None
    except yaml.YAMLError as error:
        raise ValueError(f"this is no YAML ({' '.join(str(error).split())})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"this is no text ({error.reason})") from None


def _place(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}: "


_YAML = "tag:yaml.org,2002:"
_TEXT = {f"{_YAML}{name}" for name in ("str", "python/str", "python/unicode", "timestamp", "merge", "value")}
_BINARY = {f"{_YAML}binary", f"{_YAML}python/bytes", "!binary"}
_LIST = {f"{_YAML}{name}" for name in ("seq", "python/list", "python/tuple")}
_MAPPING = {f"{_YAML}{name}" for name in ("map", "python/dict", "python/object:vcr.request.Request")}
_FROZEN = {f"{_YAML}python/object/apply:{module}.frozenset" for module in ("__builtin__", "builtins")}
_FILE = f"{_YAML}python/object/new:_io.BytesIO"
_ITERATOR = f"{_YAML}python/object/apply:builtins.iter"


class _Open:
    """A list or a mapping that is being read."""

    def __init__(self, tag: str | None, anchor: str | None, line: int, *, is_mapping: bool) -> None:
        self.tag, self.anchor, self.line, self.is_mapping = tag, anchor, line, is_mapping
        self.items: list[YamlData] = []
        self.size = 1

    def value(self) -> YamlData:
        """Return what it holds; raise ValueError where a key can't be one."""
        if not self.is_mapping:
            return self.items[0] if self.tag in _FROZEN and self.items else self.items
        keys = [str(key) if isinstance(key, int | float) or key is None else key for key in self.items[::2]]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError(f"line {self.line}: a key is no text")
        data = dict(zip(keys, self.items[1::2], strict=True))
        if len(data) != len(keys):
            raise ValueError(f"line {self.line}: a key stands there twice")
        return _of_file(data) if self.tag == _FILE else _of_iterator(data) if self.tag == _ITERATOR else data


def _of_file(data: dict[str, YamlData]) -> YamlData:
    """Return the bytes of an open file, as vcrpy wrote it down."""
    state = data.get("state")
    return state[0] if isinstance(state, list) and state else b""


def _of_iterator(data: dict[str, YamlData]) -> bytes:
    """Return the bytes of an iterator, as vcrpy wrote it down."""
    given = data.get("args")
    chunks = given[0] if isinstance(given, list) and given else []
    parts = [each.encode("utf-8") if isinstance(each, str) else each for each in chunks]
    if not all(isinstance(each, bytes) for each in parts):
        raise ValueError("an iterator does not give bytes")
    return b"".join(parts)


class _Composer:
    """Puts the events of one document together."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._open: list[_Open] = []
        self._named: dict[str, tuple[YamlData, int]] = {}  # by anchor: value and size
        self._size = 0

    def document(self) -> YamlData:
        documents: list[YamlData] = []
        while True:
            event = self._loader.get_event()
            kind = type(event)
            line = event.start_mark.line + 1
            anchor = None
            if kind is yaml.ScalarEvent:
                value, size, anchor = self._scalar(event, line), 1 + len(event.value), event.anchor
            elif kind is yaml.AliasEvent:
                if event.anchor not in self._named:
                    raise ValueError(f"line {line}: *{event.anchor} stands for nothing")
                value, size = self._named[event.anchor]
            elif kind in {yaml.SequenceStartEvent, yaml.MappingStartEvent}:
                self._begin(event, line, is_mapping=kind is yaml.MappingStartEvent)
                continue
            elif kind in {yaml.SequenceEndEvent, yaml.MappingEndEvent}:
                ended = self._open.pop()
                value, size, anchor = ended.value(), ended.size, ended.anchor
            elif kind is yaml.StreamEndEvent:
                return documents[0] if documents else None
            else:
                continue
            self._take(value, size, anchor, line)
            if not self._open:
                documents.append(value)
                if len(documents) > 1:
                    raise ValueError(f"line {line}: there is more than one document")

    def _begin(self, event: Any, line: int, *, is_mapping: bool) -> None:
        known = {*_MAPPING, _FILE, _ITERATOR} if is_mapping else {*_LIST, *_FROZEN}
        if event.tag not in {None, "!", *known}:
            raise _foreign(event.tag, line)
        if len(self._open) == MAX_DEPTH:
            raise ValueError(f"line {line}: it is nested more than {MAX_DEPTH} deep")
        self._open.append(_Open(event.tag, event.anchor, line, is_mapping=is_mapping))

    def _take(self, value: YamlData, size: int, anchor: str | None, line: int) -> None:
        if anchor is not None:
            self._named[anchor] = value, size
        if self._open:
            holder = self._open[-1]
            holder.items.append(value)
            holder.size += size
            if holder.size > MAX_SIZE:
                raise ValueError(f"line {line}: with its aliases written out, it has more than {MAX_SIZE} characters")

    def _scalar(self, event: Any, line: int) -> YamlData:
        text: str = event.value
        tag = event.tag
        if tag is None or tag == "!":
            if not event.implicit[0]:
                return text
            tag = self._loader.resolve(yaml.ScalarNode, text, event.implicit)
        if tag in _TEXT:
            return text
        make = self._makers().get(tag)
        if make is None:
            raise _foreign(tag, line)
        if len(text) > MAX_DIGITS and tag not in _BINARY:
            raise ValueError(f"line {line}: a number of {len(text)} characters")
        try:
            return make(yaml.ScalarNode(tag, text))
        except (yaml.YAMLError, ValueError, KeyError, IndexError, OverflowError):
            raise ValueError(f"line {line}: {text[:40]!r} is not what its tag says") from None

    def _makers(self) -> dict[str, Callable[[Any], YamlData]]:
        loader = self._loader
        return {
            **dict.fromkeys(_BINARY, loader.construct_yaml_binary),
            f"{_YAML}null": loader.construct_yaml_null,
            f"{_YAML}bool": loader.construct_yaml_bool,
            f"{_YAML}int": loader.construct_yaml_int,
            f"{_YAML}float": loader.construct_yaml_float,
        }


def _foreign(tag: str, line: int) -> ValueError:
    return ValueError(f"line {line}: the tag {tag[:80]!r} names a thing of a program, and none is made of a file")
