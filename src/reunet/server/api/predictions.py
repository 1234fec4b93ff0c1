"""One image in, what was found in it out."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response

from reunet.server.answers import FORMATS, answer, wanted_format
from reunet.server.models import Model
from reunet.server.predictions import predict_file
from reunet.server.service import ServiceHere
from reunet.server.uploads import folder_in, receive_one

router = APIRouter(prefix="/v1", tags=["predictions"])

ModelName = Annotated[str | None, Query(description="Name of the run; may be left out where there is one.")]
Axes = Annotated[
    str | None, Query(description="Axes of a TIFF stack that does not say, such as ZYX.", max_length=8)
]
FileName = Annotated[str | None, Query(description="Name of a file that is the body itself.", max_length=200)]

BINARY = {"schema": {"type": "string", "format": "binary"}}
FORM = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "properties": {"image": {"type": "string", "format": "binary"}},
    }
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": BINARY, "image/*": BINARY, "multipart/form-data": FORM},
    }
}
"""What the documentation says of the body, which is read piece by piece."""


@router.post(
    "/predict",
    summary="Predict one image, volume or stack",
    response_class=Response,
    openapi_extra=BODY,
    responses={200: {"content": {media: {} for media in FORMATS.values()}, "description": "What was found"}},
)
async def predict(
    request: Request,
    service: ServiceHere,
    model: ModelName = None,
    format: Annotated[  # noqa: A002  (the name of the parameter in the address)
        Literal["json", "png", "tiff", "geojson", "coco"] | None, Query(description="Instead of Accept.")
    ] = None,
    axes: Axes = None,
    name: FileName = None,
    accept: Annotated[str, Header(description="One of the formats; JSON tells everything.")] = "*/*",
) -> Response:
    """The body is the image, or a form with one file. PNG and TIFF hold a label image: class ids, or ids of
    objects; GeoJSON outlines that QuPath opens; COCO boxes or run lengths of objects.
    """
    wanted, kind = service.models.wanted(model), wanted_format(accept, format)
    service.check_room()
    async with folder_in(service.scratch) as folder:
        path = await receive_one(request, folder)
        content = await service.work(_answered, wanted, path, kind, service.threads, axes)
    return Response(content, media_type=FORMATS[kind])


def _answered(model: Model, path: Path, kind: str, sharing: int, axes: str | None) -> bytes:
    found = predict_file(model, path, path.name, sharing=sharing, axes=axes)
    return answer(found, kind, Path(mkdtemp(dir=path.parent)))
