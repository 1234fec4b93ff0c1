"""Numbers for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

router = APIRouter(tags=["server"])


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Requests and seconds by route, requests and jobs in hand, memory of the process."""
    return Response(request.app.state.measures.text(), media_type=CONTENT_TYPE_LATEST)
