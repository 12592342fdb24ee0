"""Settling: a bug is saved in the canonical form, unless an offline replay says something else of that than before.

An adapter may read what the canonical form leaves out, as the difference between two dates; then it is needed.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from replaykit.adapter import Adapter
from replaykit.canonical import canonical
from replaykit.errors import ReplaykitError
from replaykit.model import Model
from replaykit.reader import read_bytes
from replaykit.replaying import replay
from replaykit.transport import Way
from replaykit.verdict import Verdict


class Settling:
    """The form in which the bugs of one model and adapter are saved; see `Writer.save`.

    `services` are the URLs that had a free port. With `with_times`, every bug is saved as it is.
    """

    def __init__(
        self,
        model: type[Model],
        adapter: type[Adapter[Any]],
        *,
        settings: Mapping[str, str] | None,
        latency: Mapping[str, float] | None,
        transport: Way,
        services: Collection[str],
        with_times: bool,
    ) -> None:
        self._replay = partial(
            replay, model=model, adapter=adapter, offline=True, settings=settings, latency=latency, transport=transport
        )
        self._with_times = with_times
        self._services = services
        self._interrupt: KeyboardInterrupt | None = None
        self.kept: str | None = None  # why the last bug was saved as it was

    def turn_to(self, url: str) -> None:
        """Take this for the service that had a free port, if one had."""
        if self._services:
            self._services = [url]

    def __call__(self, content: bytes) -> bytes:
        """Return the bytes of a bundle in the canonical form, or as they are."""
        self.kept = None
        if self._with_times:
            return content
        settled = canonical(content, services=self._services)
        try:
            after = self._verdict(settled)
            before = after if after in {Verdict.REPRODUCED, Verdict.PASSED} else self._verdict(content)
        except KeyboardInterrupt as interrupt:  # what was found is saved first
            self._interrupt = interrupt
            self.kept = "interrupted before it was known whether they are needed"
            return content
        if after == before:
            return settled
        self.kept = f"without them, an offline replay is {after.value}, with them {before.value}"
        return content

    def raise_late(self) -> None:
        """Raise the interrupt that came while a bundle was being saved."""
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            raise interrupt

    def _verdict(self, content: bytes) -> Verdict:
        try:
            return self._replay(read_bytes(content)).verdict
        except ReplaykitError:
            return Verdict.UNDECIDED
