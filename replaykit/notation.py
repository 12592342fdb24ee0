r"""Notation: JSON in one ASCII line that YAML reads the same way.

JSON in YAML has three traps, and the notation goes around each: characters beyond U+FFFF, where JSON's pair
of escapes is no YAML (written as \U0001F600), DEL, which YAML takes for no character (written as \u007f), and
binary bodies, which JSON has no word for (written as `!!binary`). Reading is strict: no NaN, no key twice, no number
of more than MAX_DIGITS digits, no nesting of more than MAX_DEPTH.
"""

import base64
import json
import math
import re
from typing import Any

from replaykit.value import JsonData, JsonText, text_of_data

MAX_DEPTH = 200
MAX_DIGITS = 4300


def encode(data: JsonData) -> bytes:
    """Write JSON data in one ASCII line that YAML reads the same way."""
    return ascii_json(text_of_data(data))


def ascii_json(text: JsonText) -> bytes:
    """Turn JSON text in UTF-8 into ASCII."""
    if text.isascii() and b"\x7f" not in text:
        return text
    return _yaml_safe(_escaped(text.decode("utf-8"))).encode("ascii")


def ascii_text(text: str) -> str:
    """Escape in a text of a header what vcrpy can record and not play: it knows ASCII alone."""
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")


def _escaped(text: str) -> str:
    """Escape what is beyond ASCII, which stands in JSON text only inside of strings."""
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)


_PAIR = re.compile(r"(\\\\)|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")


def _yaml_safe(text: str) -> str:
    if "\x7f" in text:
        text = text.replace("\x7f", "\\u007f")
    return _PAIR.sub(_astral, text) if "\\ud" in text else text


def _astral(found: re.Match[str]) -> str:
    if found[1]:  # an escaped backslash: what follows is text that looks like an escape
        return found[1]
    number = 0x10000 + ((int(found[2], 16) - 0xD800) << 10) + (int(found[3], 16) - 0xDC00)
    return f"\\U{number:08X}"


_BINARY = b'{"!!binary":"'
_BINARY_ENDS = re.compile(rb'("body":|"string":)\{"!!binary":"([A-Za-z0-9+/=]*)"\}')


_LARGE = 64 * 1024  # bytes
_CONTROLS = bytes({*range(32), 127} - {9, 10, 13})


def body_data(body: bytes) -> JsonData:
    """Say a body as text where it is text, else as {"!!binary": base64}, which `mark_binary` turns into YAML.

    A large body full of control characters, each of which would take six characters, is no text either.
    """
    try:
        if not _is_full_of_controls(body):
            return body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    return {"!!binary": base64.b64encode(body).decode("ascii")}


def _is_full_of_controls(body: bytes) -> bool:
    return len(body) > _LARGE and len(body) - len(body.translate(None, _CONTROLS)) > len(body) // 8


def mark_binary(line: bytes) -> bytes:
    """Turn binary bodies into YAML's."""
    return _BINARY_ENDS.sub(rb'\1 !!binary "\2"', line) if _BINARY in line else line


def unmark_binary(line: bytes) -> bytes:
    """Turn YAML's binary bodies into JSON; inside of a JSON string the quotes would be escaped."""
    return _MARKED.sub(rb'\1{"!!binary":"\2"}', line) if b" !!binary " in line else line


# --- reading ------------------------------------------------------------------------------------


def decode(line: bytes) -> dict[str, Any]:
    """Read the JSON object of a line. Raises ValueError, in words that can stand after the line's number."""
    try:
        text = line.decode("ascii")
        if "\\U" in text:
            text = _ASTRAL.sub(_pair_of, text)
        data = _decoder.decode(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        raise ValueError(f"this is no JSON ({error})") from None
    if not isinstance(data, dict):
        raise ValueError("this is no JSON object")  # noqa: TRY004  whoever reads has one error to catch
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise ValueError(_TOO_DEEP)
    return data


_TOO_DEEP = f"it is nested more than {MAX_DEPTH} deep"


def _depth(data: JsonData) -> int:
    """Count how deep JSON data is nested."""
    depth, level = 0, [data]
    while level:
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        depth += 1
    return depth


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands there twice")
    return data


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer, parse_float=_finite
)
_ASTRAL = re.compile(r"(\\\\)|\\U([0-9A-Fa-f]{8})")
_MARKED = re.compile(rb'("body":|"string":) !!binary "([A-Za-z0-9+/=]*)"')


def _pair_of(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    number = int(found[2], 16)
    if not 0x10000 <= number <= 0x10FFFF:  # noqa: PLR2004
        raise ValueError(f"{found[0]} is no character")
    return json.dumps(chr(number))[1:-1]
