"""Errors as answers: a sentence for people, and its parts for programs (RFC 9457)."""

import http
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from reunet.corrections.labels import LabelsChangedError
from reunet.errors import (
    BackendError,
    DataError,
    ModelFileError,
    PlanError,
    ReunetError,
    StorageError,
    TooLargeError,
    UsageError,
    shortened,
)
from reunet.texts import Language, translator

MEDIA = "application/problem+json"

_STATUS: tuple[tuple[type[ReunetError], int], ...] = (
    (LabelsChangedError, 409),
    (TooLargeError, 413),
    (DataError, 422),
    (PlanError, 422),
    (UsageError, 400),
    (StorageError, 507),
    (ModelFileError, 500),
    (BackendError, 500),
)
"""Of errors that the rest of the house raises; the first kind that fits."""

log = logging.getLogger("reunet.server")


class Problem(BaseModel):
    """An error: `title` is a sentence; the other parts are there as far as they help."""

    title: str
    status: int
    where: str | None = None
    expected: str | None = None
    received: str | None = None
    fix: str | None = None


REFUSED: dict[str, Any] = {
    "description": "Refused; the answer says why",
    "content": {MEDIA: {"schema": Problem.model_json_schema()}},
}
"""What the documentation says of errors."""


class RefusedError(ReunetError):
    """A request that is not answered with what was asked for. status: of HTTP. headers: of the answer."""

    def __init__(
        self, status: int, what: str, *, headers: Mapping[str, str] | None = None, **parts: Any
    ) -> None:
        super().__init__(what, **parts)
        self.status, self.headers = status, dict(headers or {})


def status_of(error: ReunetError) -> int:
    """The status of HTTP that an error stands for."""
    if isinstance(error, RefusedError):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def problem(error: ReunetError, language: Language = "en", hidden: Path | None = None) -> Response:
    """The answer that tells an error; sentences without a translation stay English.

    hidden: a folder of ours, of which clients see no path.
    """
    say = translator(language)
    told = {"where": error.where, "expected": error.expected, "received": error.received}
    told["fix"] = error.fix and say(error.fix)
    content = {name: _without(str(value), hidden) for name, value in told.items() if value is not None}
    status = status_of(error)
    return JSONResponse(
        {"title": _without(say(error.what), hidden), "status": status, **content},
        status_code=status,
        headers=error.headers if isinstance(error, RefusedError) else None,
        media_type=MEDIA,
    )


async def _of_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        error.headers = {"Allow": ", ".join(_taken(request))}
    return problem(_refused(request, error), language_of(request.headers))


async def _invalid(request: Request, error: Exception) -> Response:
    first: dict[str, Any] = {}
    if isinstance(error, RequestValidationError):
        first = dict(next(iter(error.errors()), {}))
    place = ".".join(str(part) for part in first.get("loc", ()))
    return problem(
        RefusedError(
            422,
            "the request has a value that cannot be used",
            where=place or None,
            expected=first.get("msg"),
            received=shortened(first.get("input")),
        ),
        language_of(request.headers),
    )


async def _of_system(request: Request, error: Exception) -> Response:
    reason = getattr(error, "strerror", None) or type(error).__name__
    log.error("%s %s: %s", request.method, request.url.path, error)
    fix = "free some space on the disk of the server, or its memory, and send it again"
    refused = RefusedError(507, "the server has no room for this", received=reason, fix=fix)
    return problem(refused, language_of(request.headers))


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(
        RefusedError(
            500,
            "reunet failed unexpectedly; this is a bug",
            received=type(error).__name__,
            fix="please report it with what the server wrote to its log",
        ),
        language_of(request.headers),
    )


def language_of(headers: Headers) -> Language:
    """The language in which a request is answered."""
    return "zh" if headers.get("accept-language", "").lower().startswith("zh") else "en"


def _without(text: str, hidden: Path | None) -> str:
    """A text in which files of a folder of ours are called as their client called them."""
    if hidden is None or str(hidden) not in text:
        return text
    before, _, after = text.partition(str(hidden))
    below = after.lstrip("/\\")
    _, _, name = below.replace("\\", "/").partition("/")  # the folder of the upload
    return before + _without(name or "the file", hidden)


def explain(app: FastAPI, hidden: Path) -> None:
    """Let every error of an app be told; what nobody expected is written to the log, too."""

    async def ours(request: Request, error: Exception) -> Response:
        if not isinstance(error, ReunetError):
            raise error
        if status_of(error) >= 500:
            log.error("%s %s: %s", request.method, request.url.path, error)
        return problem(error, language_of(request.headers), hidden)

    app.add_exception_handler(ReunetError, ours)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(OSError, _of_system)
    app.add_exception_handler(MemoryError, _of_system)
    app.add_exception_handler(Exception, _unexpected)


def _taken(request: Request) -> list[str]:
    """The methods that an address takes, each of which may have a route of its own."""
    scopes = ({**request.scope, "method": method} for method in ("DELETE", "GET", "HEAD", "POST", "PUT"))
    routes = request.app.routes
    return [one["method"] for one in scopes if any(r.matches(one)[0] is Match.FULL for r in routes)]


def _refused(request: Request, error: HTTPException) -> RefusedError:
    fixes = {404: "GET /docs lists what there is", 405: "GET /docs lists what there is"}
    what = str(error.detail)
    if what == http.HTTPStatus(error.status_code).phrase:
        what = {404: "there is nothing at this address", 405: "this address does not take this method"}.get(
            error.status_code, what.lower()
        )
    return RefusedError(
        error.status_code,
        what,
        headers=error.headers,
        where=f"{request.method} {request.url.path}",
        fix=fixes.get(error.status_code),
    )
