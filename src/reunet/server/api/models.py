"""Which runs there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from reunet.server.service import ServiceHere

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", summary="The runs that predict")
async def models(service: ServiceHere) -> dict[str, list[dict[str, Any]]]:
    """Name, hash of the weights, tasks, classes, plan."""
    return {"models": [model.described() for model in service.models.values()]}


@router.get("/models/{name}", summary="One of them")
async def model(service: ServiceHere, name: str) -> dict[str, Any]:
    """Name, hash of the weights, tasks, classes, plan."""
    return service.models.wanted(name).described()
