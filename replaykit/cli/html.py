"""Pages on the command line: a bundle, and what came of replaying it, as one HTML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from replaykit.cli.console import note
from replaykit.document import Document
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.attempts import Replayed
    from replaykit.bundle import Bundle
    from replaykit.looking import Judgments
    from replaykit.ruling import Ruling


def page_of(html: str | None, bundles: Sequence[Path]) -> "Page | None":
    """Return the page that is asked for; None where none is. Raises UsageError, UnwritableError."""
    if html is None:
        return None
    if len(bundles) > 1:
        raise UsageError(f"--html is for one bundle, and there are {len(bundles)}.", "Name one of them.")
    return Page(html, bundles[0])


class Page:
    """A page that will be written of one bundle."""

    def __init__(self, html: str, bundle: Path) -> None:
        """Raise UsageError where a bundle would be lost, UnwritableError where there can't be a file."""
        from replaykit.reader import is_bundle

        if not html:
            raise UsageError("--html needs the name of a file, and it is empty.", "Name one: --html bug.html.")
        if html == "-":
            raise UsageError("A page is a file, and no text for a terminal.", "Name one: --html bug.html.")
        place = Path(html)
        if place.exists() and bundle.exists() and bundle.samefile(place):
            raise UsageError(f"{html} is the bundle that is read.", "Write to another file.")
        if is_bundle(place):
            raise UsageError(f"{html} is a bundle, and would be lost.", "Write to another file.")
        self._document, self._path, self._content = Document(html), bundle, b""

    def read(self, path: Path) -> "Bundle":
        """Read the bundle, and keep its bytes for the page."""
        from replaykit.archive import unpacked
        from replaykit.reader import content_of, read_bytes

        self._content = unpacked(content_of(path), str(path))
        return read_bytes(self._content, str(path))

    def write(
        self,
        bundle: "Bundle",
        ruled: "Ruling | None" = None,
        replayed: "Replayed | None" = None,
        judged: "Judgments | None" = None,
    ) -> None:
        """Write the page, and say so; trouble is kept."""
        from replaykit.project import policy_here
        from replaykit.report import bundle_html
        from replaykit.report.story import Fact
        from replaykit.status import known_of

        known = known_of(self._path, is_bug=bundle.trace.failure is not None)
        facts = [Fact(name="status", said=known)] if known else []
        written = bundle_html.render(
            bundle, self._content, str(self._path), policy_here(), facts=facts, replayed=replayed, ruled=ruled,
            judged=judged,
        )  # fmt: skip
        self._document.write(written)
        if self._document.trouble is None:
            made = self._document.made
            note(f"page written: {self._document.name}{'' if made is None else f' (the folder {made} is new)'}")

    def raise_trouble(self) -> None:
        """Raise UnwritableError where it could not be written."""
        if self._document.trouble is not None:
            raise self._document.trouble
