"""A server process: its socket, its loop, and its end."""

import asyncio
import logging
import socket
from asyncio import TimerHandle
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvicorn
from platformdirs import user_cache_path
from uvicorn.protocols.http.h11_impl import H11Protocol

from reunet.errors import UsageError
from reunet.server.app import create_app
from reunet.server.security import Rules
from reunet.server.service import Service
from reunet.storage import scratch_folder

HEADERS_S = 20.0
"""Seconds that a client has for the headers of a request, once it is connected."""

STOP_S = 30
"""Seconds that requests in hand have when the server is told to stop."""


class Patient(H11Protocol):
    """HTTP, with an end to the patience with clients that connect and do not say what they want."""

    _late: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._late = self.loop.call_later(HEADERS_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        cycle: Any = self.cycle
        if cycle is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """Tells the service when it is to stop, so that what would go on and on ends.

    opened: called once it answers.
    """

    def __init__(self, config: uvicorn.Config, service: Service, opened: Callable[[], object]) -> None:
        super().__init__(config)
        self._service, self._opened = service, opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._opened()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stopping = True
        await super().shutdown(sockets)


def make_server(
    service: Service, rules: Rules, opened: Callable[[], object] = lambda: None
) -> uvicorn.Server:
    """A server that answers on a socket once it is told to: `server.serve([socket])`."""
    config = uvicorn.Config(
        create_app(service, rules),
        http=Patient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_S,
    )
    return _Server(config, service, opened)


def run_server(server: uvicorn.Server, service: Service, listening: socket.socket) -> None:
    """Answer requests until a signal ends the process; what is in hand is finished."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    try:
        asyncio.run(server.serve([listening]))
    finally:
        service.close()


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach that address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def listening_at(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens at an address. port: 0 for any that is free. Raises UsageError."""
    if not 0 <= port <= 65535:
        raise UsageError("there is no such port", where=f"--port {port}", expected="0 to 65535")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as cause:
        raise UsageError(
            "the server cannot listen at this address",
            where=f"--host {host} --port {port}",
            received=getattr(cause, "strerror", None) or str(cause),
            fix="choose another --port (0 takes any that is free), or an address of this machine",
        ) from cause
    with closing(made):
        yield made


@contextmanager
def own_scratch() -> Iterator[Path]:
    """A folder for uploads and results, removed in the end; those of servers that were killed are, too."""
    parent = user_cache_path("reunet", appauthor=False) / "server"
    with scratch_folder(parent) as folder:
        yield folder


def address_of(listening: socket.socket, host: str) -> str:
    """Such as http://127.0.0.1:8000."""
    port = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
