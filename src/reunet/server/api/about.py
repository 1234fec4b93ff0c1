"""What a server tells of itself: whether it is well, which runs there are, numbers, and how to ask it."""

from functools import cache
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, Template
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.responses import HTMLResponse

from reunet import __version__
from reunet.server.problems import RefusedError
from reunet.server.service import ServiceHere

router = APIRouter()


@router.get("/v1/models", summary="The runs that predict", tags=["models"])
async def models(service: ServiceHere) -> dict[str, list[dict[str, Any]]]:
    """Name, hash of the weights, tasks, classes, plan."""
    return {"models": [model.described() for model in service.models.values()]}


@router.get("/v1/models/{name}", summary="One of them", tags=["models"])
async def model(service: ServiceHere, name: str) -> dict[str, Any]:
    """Name, hash of the weights, tasks, classes, plan."""
    return service.models.wanted(name).described()


class Health(BaseModel):
    """That a server is well."""

    status: str
    version: str


@router.get("/health", summary="Whether the server takes requests", tags=["server"])
async def health(service: ServiceHere) -> Health:
    """Needs no token."""
    if service.stopping:
        raise RefusedError(503, "the server is stopping", fix="ask the one that takes its place")
    return Health(status="ok", version=__version__)


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    tags=["server"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Requests and seconds by route, requests and jobs in hand, memory of the process."""
    return Response(request.app.state.measures.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The description of all of this for people, without a script and without another host."""
    document = request.app.openapi()
    base = str(request.base_url).rstrip("/")
    return HTMLResponse(_template().render(document=document, base=base))


@cache
def _template() -> Template:
    loader = PackageLoader("reunet.server.api", ".")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("docs.html")
