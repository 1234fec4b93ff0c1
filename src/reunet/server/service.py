"""What the answers of a server are made with: runs, threads, a scratch folder; one per process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request

from reunet.machine import cores
from reunet.server.models import Models
from reunet.server.problems import RefusedError

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
        self.threads = cores() + BESIDE
        self._pool = ThreadPoolExecutor(self.threads, "reunet")
        self._most = self.threads + waiting
        self._in_hand = 0
        self._seconds = 1.0
        """What a request takes, a moving mean."""
        self.stopping = False

    @property
    def in_hand(self) -> int:
        """Requests that are worked on, or wait for a thread."""
        return self._in_hand

    async def work(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a function returns that takes time, in a thread. Raises RefusedError when too many wait."""
        with self.place():
            began = time.monotonic()
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))
            finally:
                self._seconds += 0.1 * (time.monotonic() - began - self._seconds)

    def place(self) -> Place:
        """A place in the queue for who has work to do, to be entered. Raises RefusedError when it is full."""
        return Place(self)

    def close(self) -> None:
        """Wait for what is being worked on; nothing new begins."""
        self.stopping = True
        self._pool.shutdown(cancel_futures=True)


class Place:
    """A place among the requests in hand."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __enter__(self) -> None:
        one = self._service
        if one._in_hand >= one._most:
            raise RefusedError(
                429,
                "the server has as many requests in hand as it takes",
                headers={"retry-after": str(max(1, ceil(one._seconds)))},
                received=f"{one._in_hand} requests",
                fix="send it again after the seconds that Retry-After tells",
            )
        one._in_hand += 1

    def __exit__(self, *_: object) -> None:
        self._service._in_hand -= 1


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceHere = Annotated[Service, Depends(_service)]
"""The service, as a parameter of a route."""
