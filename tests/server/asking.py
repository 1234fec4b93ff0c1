"""A server in a thread of the test process, asked through a socket."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from reunet.server.running import listening_at, make_server
from reunet.server.security import Rules
from reunet.server.service import Service

BOUNDARY = "a0b1c2"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Asked:
    """A server that answers."""

    service: Service
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {**self.headers, **(headers or {})})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def send(self, path: str, *parts: tuple[str, bytes], headers: Mapping[str, str] | None = None) -> Answer:
        """Post files as a form, as browsers do."""
        return self("POST", path, form(*parts), {**MULTIPART, **(headers or {})})

    def raw(self) -> socket.socket:
        """A connection for what no library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*parts: tuple[str, bytes]) -> bytes:
    """Files, by their names, as the body of a form."""
    pieces = []
    for name, content in parts:
        disposition = f'Content-Disposition: form-data; name="images"; filename="{name}"'
        pieces += [f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode(), content, b"\r\n"]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


def png(pixels: np.ndarray) -> bytes:
    """An image as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@contextmanager
def serving(service: Service, rules: Rules) -> Iterator[int]:
    """The port of a server that runs meanwhile."""
    with listening_at("127.0.0.1", 0) as listening:
        is_open = threading.Event()
        server = make_server(service, rules, is_open.set)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        try:
            assert is_open.wait(30)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)
            service.close()
