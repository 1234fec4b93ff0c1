"""Who is answered: the guard before the server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reunet.cli import main
from reunet.server import security
from reunet.server.running import is_loopback
from reunet.server.security import Rules

from .asking import Asked, form, png

TOKEN = "s" * 32


@pytest.mark.fault(
    "a page of another site sends requests to a server on this machine", "they are refused by their origin"
)
def test_pages_of_other_sites(ask: Asked, bright: np.ndarray) -> None:
    def post(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask("POST", "/v1/predict", png(bright), named).status

    assert post(Origin=f"http://127.0.0.1:{ask.port}") == 200
    assert post(Sec_Fetch_Site="same-origin") == 200
    assert post(Origin="http://evil.org") == 403
    assert post(Origin="null") == 403
    assert post(Origin=f"http://127.0.0.1:{ask.port + 1}") == 403
    assert post(Sec_Fetch_Site="cross-site") == 403
    assert ask("DELETE", "/v1/jobs/x", None, {"Origin": "http://evil.org"}).status == 403


@pytest.mark.fault(
    "a name of somebody else is pointed at this machine (DNS rebinding)", "no answer under that name"
)
def test_names_of_others(start: Callable[..., Asked]) -> None:
    ask = start(
        Rules(hosts=frozenset({"cells.example.org"}), origins=frozenset({"https://cells.example.org"}))
    )
    for host, status in (
        (f"localhost:{ask.port}", 200),
        ("[::1]", 200),
        ("10.1.2.3", 200),
        ("cells.example.org", 200),
        ("CELLS.example.org.:443", 200),
        ("evil.org", 421),
        ("localhost.evil.org", 421),
        ("127.0.0.1.evil.org", 421),
        ("", 421),
        ("[", 421),
    ):
        assert ask("GET", "/v1/models", None, {"Host": host}).status == status, host
    proxied = {"Host": "127.0.0.1", "Origin": "https://cells.example.org"}
    assert ask("POST", "/v1/predict", b"no image", proxied).status == 422


@pytest.mark.fault("somebody without the token asks the server", "status 401, nothing is read")
def test_the_token(start: Callable[..., Asked]) -> None:
    ask = start(Rules(token=TOKEN))
    assert ask("GET", "/health").status == 200
    for headers in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "a=b"},
    ):
        answer = ask("GET", "/v1/models", None, headers)
        assert answer.status == 401, headers
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.body.decode()
    assert ask("GET", "/v1/models", None, {"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_a_browser_keeps_the_token_as_a_cookie(start: Callable[..., Asked]) -> None:
    ask = start(Rules(token=TOKEN))
    answer = ask("GET", f"//evil.org?a=1&token={TOKEN}")
    assert (answer.status, answer.headers["location"]) == (303, "/evil.org?a=1")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict"} <= set(attributes)
    assert ask("GET", "/v1/models", None, {"Cookie": cookie}).status == 200
    assert ask("GET", f"/?token={TOKEN[:-1]}").status == 401
    assert ask("POST", f"/v1/predict?token={TOKEN}", b"x").status == 401


def test_every_answer_tells_browsers_to_be_careful(ask: Asked) -> None:
    for path in ("/health", "/nothing", "/docs"):
        headers = ask("GET", path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.fault(
    "a client sends more than the server takes", "status 413 before, or as soon as, it is too much"
)
def test_bodies_that_are_too_large(start: Callable[..., Asked], bright: np.ndarray) -> None:
    ask = start(Rules(most_bytes=5000))
    assert ask("POST", "/v1/predict", png(bright)).status == 200
    told = ask("POST", "/v1/predict", bytes(6000))
    assert (told.status, told.json["expected"]) == (413, "at most 5,000 bytes")
    with ask.raw() as connection:  # by pieces, of which nobody says how many there are
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(
            head + b"1000\r\n" + bytes(4096) + b"\r\n1000\r\n" + bytes(4096) + b"\r\n0\r\n\r\n"
        )
        assert b" 413 " in connection.recv(100)
    assert not [*ask.service.scratch.iterdir()]


@pytest.mark.fault("a client sends a form of thousands of parts", "status 413")
def test_thousands_of_parts(ask: Asked, bright: np.ndarray) -> None:
    body = form(*[(f"{i}.png", b"x") for i in range(3000)])
    answer = ask.send("/v1/jobs", *[(f"{i}.png", b"x") for i in range(3000)])
    assert (answer.status, answer.json["title"]) == (413, "the form has too many parts"), len(body)
    assert ask.send("/v1/predict", ("a.png", png(bright)), ("b.png", png(bright))).status == 413
    assert ask("POST", "/v1/jobs", b"x", {"Content-Type": "multipart/form-data"}).status == 400
    assert not [*ask.service.scratch.iterdir()]


def rest_of(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(4096):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.fault("a client breaks off, or sends nothing any more", "it is let go, its files are removed")
def test_slow_clients_and_cut_uploads(
    start: Callable[..., Asked], bright: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "SILENT_S", 0.3)
    monkeypatch.setattr(security, "DISCARDING_S", 0.1)
    monkeypatch.setattr("reunet.server.running.HEADERS_S", 0.3)
    ask = start()
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with ask.raw() as silent:
        silent.sendall(head + bytes(100))
        answer = rest_of(silent)
        assert b" 408 " in answer
        assert b"too slowly" in answer
    with ask.raw() as wordless:
        wordless.sendall(b"GET / HTTP/1.1\r\nHo")
        assert rest_of(wordless) == b""
    with ask.raw() as cut:
        cut.sendall(head + bytes(100))
    assert ask("POST", "/v1/predict", png(bright)).status == 200
    assert not [*ask.service.scratch.iterdir()]


def test_addresses_that_others_reach_want_a_token(
    served_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(served_run), "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "wants a token" in capsys.readouterr().err
    short = tmp_path / "token"
    short.write_text("abc\n")
    short.chmod(0o600)
    assert main(["serve", str(served_run), "--token-file", str(short)]) == 1
    assert "at least 16" in capsys.readouterr().err
    short.write_text(TOKEN)
    short.chmod(0o644)
    wrong = ["--public", "cells.example.org"]
    assert main(["serve", str(served_run), "--token-file", str(short), *wrong]) == 1
    assert "chmod 600" in capsys.readouterr().err
    assert main(["serve", str(served_run), "--public", "cells.example.org"]) == 1
    assert "https://cells.example.org" in capsys.readouterr().err
    assert [is_loopback(host) for host in ("127.0.0.2", "::1", "localhost", "10.0.0.1", "x.org")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_an_address_that_is_taken(served_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(served_run), "--port", str(port)]) == 1
    assert "choose another --port" in capsys.readouterr().err
