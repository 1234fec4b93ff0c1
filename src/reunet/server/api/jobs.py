"""Many images, or large ones: sent once, followed, fetched."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.responses import FileResponse, StreamingResponse

from reunet.server.api.predictions import BINARY, FileName, ModelName
from reunet.server.jobs import Job
from reunet.server.problems import RefusedError
from reunet.server.service import Service, ServiceHere
from reunet.server.uploads import receive_files

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

LOOK_S, ALIVE_S = 0.2, 15.0
"""Seconds between two looks at a job that is followed; and after which one hears that it is, at least."""

FORM = {
    "schema": {
        "type": "object",
        "required": ["images"],
        "properties": {"images": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    }
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/zip": BINARY,
            "application/octet-stream": BINARY,
            "multipart/form-data": FORM,
        },
    }
}


class JobTold(BaseModel):
    """A job: `state` is waiting, working, done, partly (some files failed), failed or cancelled."""

    id: str
    model: str
    state: str
    done: int
    total: int | None
    message: str
    failures: dict[str, str]
    results: str | None


@router.post("", status_code=202, summary="Predict many or large files", openapi_extra=BODY)
async def begin(
    request: Request, response: Response, service: ServiceHere, model: ModelName = None, name: FileName = None
) -> JobTold:
    """The body is a zip archive or one file, or a form with several; images larger than memory are predicted
    piece by piece. The results are what `reunet predict` writes.
    """
    wanted = service.models.wanted(model)
    service.jobs.check_room()
    job = service.jobs.new(wanted)
    try:
        files = await receive_files(request, job.inputs)
        for file in files:
            if file.suffix == "" and _is_zip(file):
                file.rename(file.with_suffix(".zip"))
        service.jobs.begin(job)
    except BaseException:
        service.jobs.remove(job)
        raise
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return JobTold(**job.described())


def _is_zip(file: Path) -> bool:
    """Whether it begins like an archive; whether it is whole is seen when it is unpacked."""
    with open(file, "rb") as opened:
        return opened.read(2) == b"PK"


@router.get("/{job}", summary="How a job gets on")
async def state(service: ServiceHere, job: str) -> JobTold:
    """Files done, and those that failed with the reason."""
    return JobTold(**service.jobs.wanted(job).described())


@router.get(
    "/{job}/events",
    summary="Follow a job",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}},
)
async def events(service: ServiceHere, job: str) -> StreamingResponse:
    """An event `progress` with every change, and `end` at last; each carries the job as JSON."""
    return StreamingResponse(_events(service, service.jobs.wanted(job)), media_type="text/event-stream")


async def _events(service: Service, job: Job) -> AsyncIterator[str]:
    seen, silent = -1, 0.0
    while not service.stopping:
        if job.version != seen:
            seen, silent = job.version, 0.0
            kind = "progress" if job.is_open else "end"
            yield f"event: {kind}\ndata: {json.dumps(job.described())}\n\n"
            if kind == "end":
                return
        await asyncio.sleep(LOOK_S)
        silent += LOOK_S
        if silent >= ALIVE_S:
            silent = 0.0
            yield ": still there\n\n"


@router.get(
    "/{job}/results",
    summary="Fetch the results",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "All files, as a zip archive"}},
)
async def results(service: ServiceHere, job: str) -> FileResponse:
    """What `reunet predict` writes: masks, overlays, outlines, tables."""
    found = service.jobs.wanted(job)
    if not found.results.is_file():
        raise RefusedError(
            409,
            "this job has no results" if not found.is_open else "this job has not ended",
            received=found.state,
            fix="GET /v1/jobs/ID/events tells when it has" if found.is_open else found.message or None,
        )
    return FileResponse(found.results, media_type="application/zip", filename=f"{found.model.id}-results.zip")


@router.delete("/{job}", status_code=204, summary="Cancel a job, or remove its results")
async def remove(service: ServiceHere, job: str) -> None:
    """Its files are gone afterwards."""
    service.jobs.remove(service.jobs.wanted(job))
