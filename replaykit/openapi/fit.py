"""Fit: does a value fit a schema? The door to jsonschema, which the extra `openapi` brings along.

Formats are no claims (JSON Schema 2020-12, section 7.2.1), and neither is a pattern that can't be judged in time. An
answer need not have what is for requests only (OpenAPI 3.1.0, "writeOnly"), and a request not what is for answers only.
"""

import functools
from collections.abc import Callable, Iterator
from decimal import Decimal, DecimalException
from typing import Any

from replaykit.errors import DescriptionError, UsageError
from replaykit.openapi.description import Description
from replaykit.openapi.pattern import judged
from replaykit.value import JsonData

MOST_SHOWN = 120  # characters of a value that does not fit
MAX_TEXT = 20_000  # characters of a text that a pattern is asked of


class Fit:
    """Says of values whether they fit the schemas of a description, in a request or in an answer."""

    def __init__(self, description: Description, *, is_request: bool = False) -> None:
        """Raise UsageError where jsonschema is not installed."""
        self._description = description
        self._kind = _dialect("readOnly" if is_request else "writeOnly")
        self._registry: Any = None
        self._validators: dict[str, Any] = {}

    def trouble(self, pointer: str, value: JsonData) -> str | None:
        """Say what is wrong with a value, in one line; None where it fits the schema at the pointer."""
        try:
            found = next(iter(sorted(self._validator(pointer).iter_errors(value), key=_depth)), None)
        except RecursionError:
            return "it is nested too deep"
        except (TypeError, AttributeError, ValueError, LookupError, _unknown()) as error:
            said = " ".join(str(error).split())[:100]
            raise DescriptionError(
                f"Nothing can be held against the schema at #{pointer}: {said}.", "Mend the description."
            ) from error
        if found is None:
            return None
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found.absolute_path)
        return f"{place.lstrip('.') or 'it'}: {found.message[:MOST_SHOWN]}"

    def is_met(self, pointer: str, value: JsonData) -> bool:
        """Say whether a value fits the schema at a pointer."""
        return self.trouble(pointer, value) is None

    def _validator(self, pointer: str) -> Any:
        if pointer not in self._validators:
            from referencing import Registry
            from referencing.jsonschema import DRAFT202012

            if self._registry is None:
                resource: Any = DRAFT202012.create_resource(self._description.document)
                self._registry = Registry().with_resource("urn:description", resource)
            from urllib.parse import quote

            schema = {"$ref": f"urn:description#{quote(pointer, safe='/~')}"}
            self._validators[pointer] = self._kind(schema, registry=self._registry)
        return self._validators[pointer]


def _unknown() -> Any:
    from jsonschema.exceptions import UnknownType

    return UnknownType


def _depth(error: Any) -> tuple[int, str]:
    return (-len(error.absolute_path), str(error.message))


@functools.cache
def _dialect(unsaid: str) -> Callable[..., Any]:
    try:
        from jsonschema import Draft202012Validator, ValidationError, validators
    except ImportError:
        raise UsageError(
            "What answers are to look like is judged with jsonschema, which is not installed.",
            'Install it: pip install "replaykit-http[openapi]"',
        ) from None

    def required(_: Any, names: list[str], value: Any, schema: dict[str, Any]) -> Iterator[Any]:
        known = schema.get("properties", {})
        for name in names if isinstance(value, dict) else ():
            about = known.get(name)
            if name not in value and not (isinstance(about, dict) and about.get(unsaid) is True):
                yield ValidationError(f"{name!r} is missing")

    def pattern(_: Any, expression: str, value: Any, __: dict[str, Any]) -> Iterator[Any]:
        judge = judged(expression) if isinstance(value, str) and len(value) <= MAX_TEXT else None
        if judge is not None and judge.search(value) is None:
            yield ValidationError(f"{value!r} does not match {expression!r}")

    def unique(_: Any, wanted: bool, value: Any, __: dict[str, Any]) -> Iterator[Any]:
        if wanted and isinstance(value, list):
            seen: set[str] = set()
            for each in value:
                said = _canonical(each)
                if said in seen:
                    yield ValidationError(f"{each!r} is there twice")
                    return
                seen.add(said)

    def multiple(_: Any, unit: float, value: Any, __: dict[str, Any]) -> Iterator[Any]:
        if isinstance(value, int | float) and not isinstance(value, bool) and not _is_multiple(value, unit):
            yield ValidationError(f"{value!r} is no multiple of {unit!r}")

    made: Callable[..., Any] = validators.extend(
        Draft202012Validator,
        {"required": required, "pattern": pattern, "uniqueItems": unique, "multipleOf": multiple},
    )
    return made


def _is_multiple(value: float, unit: float) -> bool:
    """Say whether a number is a multiple of another, in decimals, as they are written: 0.07 is one of 0.01."""
    try:
        return Decimal(str(value)) % Decimal(str(unit)) == 0
    except (DecimalException, ZeroDivisionError):
        return True  # too large to say


def _canonical(value: JsonData) -> str:
    import json

    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)
