"""The hunt, for those who write a loop over what it finds."""

import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Self

from replaykit.campaign import Campaign
from replaykit.finding import Finding
from replaykit.result import Result


class Hunt(Iterator[Finding]):
    """A campaign that gives each bug when it is saved and shrunk: an iterator, and a context manager.

        with hunt_bugs(model=Shop, adapter=ShopApi, start="python -m shop --port {port}") as hunt:
            for bug in hunt:
                print(bug.fingerprint, bug.failure.message, bug.seed)

    The hunt ends, and a service that it started is stopped, at the end of the loop, at the end of `with`, with
    `close()`, when nobody has the hunt any more, and when Python ends. What it gives goes on counting:
    `bug.occurrences` is right when the hunt is over.
    """

    def __init__(self, opened: AbstractContextManager[Campaign]) -> None:
        with ExitStack() as stack:
            campaign = stack.enter_context(opened)
            self._found = campaign.go()
            stack.callback(self._found.close)
            self._end = weakref.finalize(self, stack.pop_all().close)
        self.result: Result = campaign.result

    def __next__(self) -> Finding:
        """Hunt until the next bug is found, saved and shrunk. Ctrl-C is raised; what is journalled stays."""
        try:
            return next(self._found)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the hunt, and stop the service that it started; once is enough."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
