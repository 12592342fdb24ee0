"""Linting: what is wrong or suspicious in a model and its adapter, before any service is asked.

Nothing is sent: the adapter is never made, only its class is read. The methods of the model are called, in mock runs.
"""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from replaykit.adapter import Adapter
from replaykit.lint import checking, domain, drawing, meeting, reading, running
from replaykit.lint.passage import is_ignored
from replaykit.lint.rehearsal import Rehearsals
from replaykit.lint.remark import LEVELS, Remark
from replaykit.model import Model
from replaykit.surface import schema_for
from replaykit.value import Record
from replaykit.version import __version__

RUNS = 50  # mock runs, of 30 commands each
SEED = 1
MOST_NOTES = 3  # of one code, that are told one by one

_HOME = Path(__file__).parent
_ORDER = {"error": 0, "warning": 1, "note": 2}


class Linted(Record):
    """All that lint has to say of a model and its adapter."""

    format: Literal[1] = 1
    tool: str
    model: str
    adapter: str | None
    seed: int  # of the mock runs
    runs: int
    executions: int  # mock runs that were made, those with a changed service included
    remarks: tuple[Remark, ...]  # errors first, then warnings, then notes
    ignored: int  # how many a comment in the code says not to make

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing but notes."""
        return all(each.level == "note" for each in self.remarks)

    def count(self, level: str) -> int:
        """Count the remarks of a level."""
        return sum(each.level == level for each in self.remarks)


def lint(
    model: type[Model],
    adapter: type[Adapter[Any]] | None = None,
    *,
    runs: int = RUNS,
    seed: int = SEED,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    has_reset: bool = False,
) -> Linted:
    """Look for what is wrong in a model and its adapter, if there is one.

    `select` and `ignore` are codes or their beginnings: only the first are told, and never the second. `has_reset`
    says that the project resets the service, whatever the adapter does.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a service that is wrong on purpose shows what no type allows
        return _lint(Rehearsals(model, adapter, seed, runs), tuple(select), tuple(ignore), has_reset=has_reset)


def _lint(rehearsals: Rehearsals, select: tuple[str, ...], ignore: tuple[str, ...], *, has_reset: bool) -> Linted:
    rehearsals.rehearse()
    found = [
        *domain.remarks(rehearsals),
        *drawing.remarks(rehearsals),
        *meeting.remarks(rehearsals, has_reset=has_reset),
        *reading.remarks(rehearsals),
        *checking.remarks(rehearsals),
        *running.remarks(rehearsals),
    ]
    wanted = [each for each in found if _is_wanted(each.code, select, ignore) and not _is_ours(each)]
    told = [each for each in wanted if not is_ignored(each.code, each.file, each.line)]
    told.sort(key=lambda each: (_ORDER[each.level], each.code, each.file, each.line))
    return Linted(
        tool=f"replaykit {__version__}",
        model=_spelled(rehearsals.model),
        adapter=None if rehearsals.adapter is None else _spelled(rehearsals.adapter),
        seed=rehearsals.seed,
        runs=rehearsals.runs,
        executions=rehearsals.executions,
        remarks=tuple(_gathered(told)),
        ignored=len(wanted) - len(told),
    )


def _gathered(remarks: list[Remark]) -> list[Remark]:
    """Tell notes of one code together, where they are many."""
    notes: dict[str, list[Remark]] = {}
    for each in remarks:
        if each.level == "note":
            notes.setdefault(each.code, []).append(each)
    gathered = [each for each in remarks if len(notes.get(each.code, ())) <= MOST_NOTES]
    for several in notes.values():
        if len(several) > MOST_NOTES:
            first, *others = several
            what = f"{first.what} So it is in {len(others)} more places."
            gathered.append(first.replace(what=what, shown=tuple(f"{each.name}: {each.what}" for each in others)))
    return sorted(gathered, key=lambda each: (_ORDER[each.level], each.code))


def _is_ours(remark: Remark) -> bool:
    """Say whether a note is about what replaykit itself brings along, such as the events of written models."""
    return remark.level == "note" and _HOME in Path(remark.file).parents


def unknown_codes(codes: Iterable[str]) -> list[str]:
    """List what is neither a code nor the beginning of one."""
    return [each for each in codes if not each.startswith("RK") or not any(code.startswith(each) for code in LEVELS)]


def render(linted: Linted) -> str:
    """Write what was found as one JSON document, in ASCII."""
    return json.dumps(linted.model_dump(mode="json"), indent=2)


def schema() -> str:
    """Return the JSON Schema of that document."""
    return schema_for(Linted, "What replaykit lint --json prints, format 1")


def _is_wanted(code: str, select: tuple[str, ...], ignore: tuple[str, ...]) -> bool:
    return (not select or code.startswith(select)) and not (ignore and code.startswith(ignore))


def _spelled(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
