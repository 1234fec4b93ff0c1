"""What stands before every answer: who may ask, from where, and how much, how slowly, is listened to.

A page of somebody else, open in the same browser, must not use a server on this machine. Its posts carry its
origin, and are refused (cross-site requests). A name of its own that it points at this machine (DNS
rebinding) is no name of this server, and refused too.
"""

import ipaddress
import secrets
import time
from asyncio import wait_for
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reunet.server.problems import RefusedError, language_of, problem

COOKIE = "reunet-token-"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_TO_ALL = frozenset({"/health"})
"""Paths that tell nothing and need no token: whoever watches over a container asks them."""

MOST_BYTES = 10**9
"""Of a request, where nothing else is said."""

SILENT_S = 30.0
"""Seconds to wait for the next piece of a body."""

LEAST_RATE, PATIENCE_S = 2_000, 20.0
"""Bytes per second that a body comes with at least, on average, once it has taken that long."""

DISCARDED, DISCARDING_S = 2**24, 2.0
"""Bytes of a refused body that are read, and how long, so that the client comes to read the answer."""

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Rules:
    """Who is answered.

    hosts: names of this server beside addresses and localhost. origins: where its page is seen, such as
    https://cells.example.org, beside the address that it is asked at. token: None where none is wanted.
    most_bytes: of a body.
    """

    hosts: frozenset[str] = field(default_factory=frozenset)
    origins: frozenset[str] = field(default_factory=frozenset)
    token: str | None = None
    most_bytes: int = MOST_BYTES

    def names(self, host: str) -> bool:
        """Whether a Host header names this server."""
        name = _name_of(host)
        if name in self.hosts or name == "localhost":
            return True
        with suppress(ValueError):
            ipaddress.ip_address(name)
            return True
        return False

    def is_ours(self, origin: str, host: str) -> bool:
        """Whether a page of that origin was given by this server."""
        parts = urlsplit(origin)
        return origin in self.origins or (parts.scheme in ("http", "https") and parts.netloc == host)


def _name_of(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class Guard:
    """Lets through what `Rules` allow, and puts security headers on every answer."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # nothing here speaks by WebSocket
        headers = Headers(scope=scope)
        body = _Body(receive, self._rules.most_bytes)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                if not body.is_whole and message["status"] >= 400:
                    await body.discard()
                    answer["connection"] = "close"
            await send(message)

        try:
            self._check_place(scope, headers)
            enters = self._entering(scope)
            if enters is None:
                self._check_token(scope, headers)
                body.check_length(headers)
        except RefusedError as refusal:
            await problem(refusal, language_of(headers))(scope, receive, send_safely)
            return
        if enters is not None:
            await enters(scope, receive, send_safely)
        else:
            await self._app(scope, body.receive, send_safely)

    def _check_place(self, scope: Scope, headers: Headers) -> None:
        """Refuse names that are not ours, and what pages of others send."""
        host = headers.get("host", "")
        if not self._rules.names(host):
            raise RefusedError(
                421,
                "this server does not go by that name",
                where="Host",
                expected="an address, localhost, or the name given with --host or --public",
                received=host[:100],
                fix="ask the server under its own address, or start it with --public https://NAME",
            )
        if scope["method"] in SAFE:
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        ours = origin is None or self._rules.is_ours(origin, host)
        if not ours or (origin is None and site not in ("none", "same-origin")):
            raise RefusedError(
                403,
                "this request comes from a page of another site",
                where="Origin",
                received=(origin or site)[:100],
                fix="send it from the page of this server, or start the server with --public https://NAME",
            )

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        wanted = self._rules.token
        if wanted is None or scope["path"] in OPEN_TO_ALL:
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            given = _cookie(headers.get("cookie", ""), _cookie_name(scope))
        if not _same(given.strip(), wanted):
            raise RefusedError(
                401,
                "this server answers only with its token",
                headers={"www-authenticate": "Bearer"},
                where="Authorization",
                expected="Bearer TOKEN",
                received="another token" if given else "none",
                fix="send the header, or open the address that the server printed when it started",
            )

    def _entering(self, scope: Scope) -> ASGIApp | None:
        """For a browser that brings the token in the address: a cookie, and the address without it."""
        if self._rules.token is None or scope["method"] != "GET":
            return None
        pairs = parse_qsl(scope["query_string"].decode("latin-1"))
        given = dict(pairs).get("token")
        if given is None or not _same(given, self._rules.token):
            return None
        rest = urlencode([(name, value) for name, value in pairs if name != "token"])
        path = "/" + scope["path"].lstrip("/")  # `//` would lead to another host
        answer = RedirectResponse(path + (f"?{rest}" if rest else ""), status_code=303)
        secure = any(origin.startswith("https:") for origin in self._rules.origins)
        answer.set_cookie(_cookie_name(scope), given, httponly=True, samesite="strict", secure=secure)
        return answer


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _cookie_name(scope: Scope) -> str:
    """A browser keeps one cookie of a name for all servers of a machine."""
    return COOKIE + str((scope.get("server") or ("", 0))[1])


def _cookie(header: str, name: str) -> str:
    with suppress(CookieError):
        found = SimpleCookie(header).get(name)
        return found.value if found is not None else ""
    return ""


class _Body:
    """The body of a request, as far as it was read: not too long, not too slow."""

    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self._receive, self._most = receive, most_bytes
        self._bytes, self._began = 0, time.monotonic()
        self.is_whole = False

    def check_length(self, headers: Headers) -> None:
        """Refuse a body that says that it is too long, before any of it is read."""
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told[:20]) > self._most:
            raise self._too_long(told[:20])
        self.is_whole = told in ("", "0") and "transfer-encoding" not in headers

    async def receive(self) -> Message:
        """The next message. Raises RefusedError."""
        if self.is_whole:
            return await self._receive()
        try:
            message = await wait_for(self._receive(), SILENT_S)
        except TimeoutError:
            raise self._too_slow(f"nothing for {SILENT_S:g} seconds") from None
        self._bytes += len(message.get("body", b""))
        self.is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        if self._bytes > self._most:
            raise self._too_long(f"more than {self._most}")
        took = time.monotonic() - self._began
        if not self.is_whole and took > PATIENCE_S and self._bytes < LEAST_RATE * took:
            raise self._too_slow(f"{self._bytes} bytes in {took:.0f} seconds")
        return message

    async def discard(self) -> None:
        """Read some of what the client still sends: while it does, it reads no answer."""
        end, most = time.monotonic() + DISCARDING_S, self._bytes + DISCARDED
        while not self.is_whole and self._bytes < most and (left := end - time.monotonic()) > 0:
            try:
                message = await wait_for(self._receive(), left)
            except TimeoutError:
                return
            self._bytes += len(message.get("body", b""))
            self.is_whole = message["type"] != "http.request" or not message.get("more_body", False)

    def _too_long(self, received: str) -> RefusedError:
        return RefusedError(
            413,
            "the body of this request is too large",
            where="Content-Length",
            expected=f"at most {self._most:,} bytes",
            received=f"{received} bytes",
            fix="send fewer or smaller files at a time, or start the server with a larger --max-upload",
        )

    def _too_slow(self, received: str) -> RefusedError:
        return RefusedError(
            408,
            "the body of this request comes too slowly",
            expected=f"at least {LEAST_RATE} bytes per second",
            received=received,
            fix="send it again over a faster connection",
        )
