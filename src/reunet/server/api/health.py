"""Whether the server is well."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from reunet import __version__
from reunet.server.problems import RefusedError
from reunet.server.service import ServiceHere

router = APIRouter(tags=["server"])


class Health(BaseModel):
    """That a server is well."""

    status: str
    version: str


@router.get("/health", summary="Whether the server takes requests")
async def health(service: ServiceHere) -> Health:
    """Needs no token."""
    if service.stopping:
        raise RefusedError(503, "the server is stopping", fix="ask the one that takes its place")
    return Health(status="ok", version=__version__)
