"""The corpus: the bundles of bugs that are known before a campaign begins, by fingerprint."""

from collections.abc import Iterable
from pathlib import Path

from replaykit.bundle import Bundle
from replaykit.errors import ReplaykitError
from replaykit.finding import Finding
from replaykit.reader import read
from replaykit.shrink import is_cut_short

MOST = 10_000  # bundles that are looked at


def known_in(folders: Iterable[Path], names: tuple[str, str]) -> dict[str, Path]:
    """Find the bugs of a model or an adapter that are kept in folders: bundles that are whole, and shrunk.

    What can't be read says nothing of a bug. `names` are those of the model and the adapter; the same class counts,
    wherever its module lies now.
    """
    found: dict[str, Path] = {}
    classes = [_class_in(name) for name in names]
    looked = 0
    for folder in folders:
        for path in sorted(folder.glob("*.pd")):
            looked += 1
            if looked > MOST:
                return found
            bundle = kept_bundle(path)
            if bundle is None:
                continue
            origin = bundle.provenance
            if classes[0] == _class_in(origin.model) or classes[1] == _class_in(origin.adapter):
                found.setdefault(bundle.failure.fingerprint, path)
    return found


def finding_in(path: Path, seed: int, run: int) -> Finding:
    """Return what a bundle holds as a finding, seen again in `run` with `seed`. Raises as `read`."""
    bundle = read(path)
    return Finding(
        bundle.failure,
        bundle.trace,
        seed,
        first_seen_run=run,
        occurrences=0,
        path=path,
        calls_before=len(bundle.trace.steps),
    )


def kept_bundle(path: Path) -> Bundle | None:
    """Return a bundle of a failure that is whole, and shrunk to the end; None for all else."""
    try:
        bundle = read(path)
        shrinking = bundle.provenance.shrinking
        is_shrunk = shrinking is not None and not is_cut_short(shrinking.stopped)
        kept = bundle.whole and bundle.failure.is_finding and is_shrunk
    except ReplaykitError:
        return None
    return bundle if kept else None


def _class_in(name: str) -> str:
    return name.rpartition(":")[2]
