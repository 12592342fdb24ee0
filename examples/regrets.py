"""What the bugs of kind "fault" share: work that is looked at again before its answer goes out.

It takes a while to ask for something, and the client may have hung up meanwhile. To undo what was done then is the
mistake: the client can't know, and the half of it that is forgotten stays. Other requests wait as long, so that what
becomes of a client that comes back does not depend on how soon it does.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

ASKING = 0.04  # seconds that it takes to ask

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class Regrets:
    """The requests of one service that are done, and not yet answered."""

    def __init__(self) -> None:
        self._asking: set[asyncio.Future[None]] = set()

    def before(self, answer: Endpoint) -> Endpoint:
        """Let an endpoint wait until nothing may be undone any more."""

        async def endpoint(request: Request) -> Response:
            await self.over()
            return await answer(request)

        return endpoint

    async def over(self) -> None:
        """Wait until nothing may be undone any more; at once, where no bug is on."""
        while self._asking:
            await asyncio.wait(self._asking)

    @contextlib.asynccontextmanager
    async def after(self, request: Request, *, bug: bool) -> AsyncIterator[bool]:
        """Take a while, then say whether the client has hung up; others wait until the block is left.

        Where the bug is not on, it is not looked at, and nobody waits.
        """
        if not bug:
            yield False
            return
        asking = asyncio.get_running_loop().create_future()
        self._asking.add(asking)
        try:
            await asyncio.sleep(ASKING)
            yield await request.is_disconnected()
        finally:
            self._asking.discard(asking)
            asking.set_result(None)
