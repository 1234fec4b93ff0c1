"""What the answers of a server are made with: runs, threads, a scratch folder; one per process."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request

from reunet.machine import cores
from reunet.server.jobs import Jobs
from reunet.server.models import Model, Models
from reunet.server.predictions import Found, predict_file
from reunet.server.problems import RefusedError
from reunet.storage import never_sync

P = ParamSpec("P")
R = TypeVar("R")

BESIDE = 1
"""Threads more than cores: while the engine computes for some, another reads or writes."""

MOST_WAITING = 128
"""Requests that may wait for a thread; further ones are told to come again."""


class Service:
    """Runs, threads, scratch folder.

    scratch: for uploads and results, removed by who made it. data: the folder of a dataset, where one is
    opened. waiting: so many requests may wait for a thread.
    """

    def __init__(
        self, models: Models, scratch: Path, *, data: Path | None = None, waiting: int = MOST_WAITING
    ) -> None:
        self.models, self.scratch, self.data = models, scratch, data
        never_sync(scratch)  # it is emptied when a server starts
        self.threads = cores() + BESIDE
        self._pool = ThreadPoolExecutor(self.threads, "reunet")
        self._most = self.threads + waiting
        self._in_hand = 0
        self._seconds = 1.0
        """What a request takes, a moving mean."""
        self.jobs = Jobs(scratch)
        self.stopping = False
        self.at_end: list[Callable[[], object]] = []
        """Called when the server ends: what it has begun is to end, too."""

    @property
    def in_hand(self) -> int:
        """Requests that are worked on, or wait for a thread."""
        return self._in_hand

    def check_room(self) -> None:
        """Raise RefusedError where so many requests are in hand that another one has to come again."""
        if self._in_hand >= self._most:
            raise RefusedError(
                429,
                "the server has as many requests in hand as it takes",
                headers={"retry-after": str(max(1, ceil(self._seconds)))},
                received=f"{self._in_hand} requests",
                fix="send it again after the seconds that Retry-After tells",
            )

    async def work(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a function returns that takes time, in a thread. Raises RefusedError when too many wait."""
        self.check_room()
        self._in_hand += 1
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))
        finally:
            self._in_hand -= 1
            self._seconds += 0.1 * (time.monotonic() - began - self._seconds)

    async def predict(self, model: Model, path: Path, name: str, axes: str | None = None) -> Found:
        """What a model finds in a file, which its client calls `name`. Raises what `predict_file` does."""
        return await self.work(predict_file, model, path, name, sharing=self.threads, axes=axes)

    def close(self) -> None:
        """Wait for what is being worked on; nothing new begins."""
        self.stopping = True
        self.jobs.close()
        for end in self.at_end:
            end()
        self._pool.shutdown(cancel_futures=True)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceHere = Annotated[Service, Depends(_service)]
"""The service, as a parameter of a route."""
