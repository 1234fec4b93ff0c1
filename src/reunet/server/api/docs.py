"""The description of all of this for people, without a script and without another host."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, Template
from starlette.responses import HTMLResponse

router = APIRouter()


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The page."""
    document = request.app.openapi()
    base = str(request.base_url).rstrip("/")
    return HTMLResponse(_template().render(document=document, base=base))


@cache
def _template() -> Template:
    loader = PackageLoader("reunet.server.api", ".")
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "docs.html"
    )
