"""The page's files, and what only the page asks."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from reunet import __version__
from reunet.errors import UsageError, shortened
from reunet.server.models import Model
from reunet.server.page import edits, layers, pictures
from reunet.server.page.arriving import received
from reunet.server.page.choosing import chosen
from reunet.server.page.entries import Box, Entry, class_list
from reunet.server.page.library import Library
from reunet.server.page.packing import unpacked
from reunet.server.page.training import Training
from reunet.server.problems import language_of
from reunet.server.service import ServiceHere
from reunet.texts import Language

STATIC = Path(__file__).parent / "static"

KEEP = {"cache-control": "private, max-age=3600"}
"""Of pictures, which do not change while the server runs."""

PACKED = "application/octet-stream"

router = APIRouter(prefix="/page", include_in_schema=False)


class Page:
    """What the page has beside the models of the server."""

    def __init__(self, service: Any) -> None:
        self.library = Library(service)
        self.training = Training(self.library)


def _page(request: Request) -> Page:
    page: Page = request.app.state.page
    return page


PageHere = Annotated[Page, Depends(_page)]


def add_to(app: FastAPI) -> None:
    """Add the page to what answers."""
    app.state.page = Page(app.state.service)
    app.state.service.at_end.append(app.state.page.training.close)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC))

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(STATIC / "index.html")


def _model(page: PageHere, service: ServiceHere, run: str | None = None) -> Model | None:
    """The model that a request names, or none."""
    page.library.open()  # which may bring one
    return service.models.wanted(run) if run else None


ModelHere = Annotated[Model | None, Depends(_model)]


def _language(request: Request) -> Language:
    return language_of(request.headers)


LanguageHere = Annotated[Language, Depends(_language)]


@dataclass(frozen=True)
class Shown:
    """A page of an image of the list."""

    entry: Entry
    number: int


def _shown(page: PageHere, name: str, number: Annotated[int, Query(alias="page")] = 0) -> Shown:
    return Shown(page.library.entry(name), number)


ShownHere = Annotated[Shown, Depends(_shown)]


@router.get("/state")
async def state(page: PageHere, service: ServiceHere, request: Request) -> dict[str, Any]:
    """Models, dataset, limits."""
    library = await service.work(page.library.open)
    return _state(library, request)


def _state(library: Library, request: Request) -> dict[str, Any]:
    return {
        "version": __version__,
        "runs": [_run(model) for model in library.service.models.values()],
        "dataset": library.described(),
        "why": library.why,
        "most_bytes": request.app.state.rules.most_bytes,
        "most_side": layers.MOST_SIDE,
    }


def _run(model: Model) -> dict[str, Any]:
    plan = model.plan
    categories = None if plan.categories is None else class_list(plan.categories)
    return {
        "id": model.id, "name": model.id, "tasks": list(plan.tasks), "classes": class_list(plan.labels),
        "categories": categories,
    }  # fmt: skip


@router.get("/images")
async def images(page: PageHere, service: ServiceHere) -> dict[str, Any]:
    """The list."""
    return {"images": [one.listed() for one in await service.work(page.library.entries)]}


@router.post("/images")
async def take(page: PageHere, service: ServiceHere, request: Request) -> dict[str, Any]:
    """Take an image, or a zip of images, that was dropped; the body is the file."""
    found, refused = await received(page.library, service, request)
    return {"images": [one.facts() for one in found], "refused": refused}


@router.get("/images/{name}")
async def facts(page: PageHere, service: ServiceHere, name: str) -> dict[str, Any]:
    """All that is known of an image before its pixels are read."""
    entry = page.library.entry(name)
    return await service.work(entry.facts)


@router.delete("/images/{name}")
async def forget(page: PageHere, service: ServiceHere, name: str) -> Response:
    """Take a dropped image out of the list."""
    await service.work(page.library.forget, name)
    return Response(status_code=204)


@router.get("/images/{name}/picture")
async def picture(service: ServiceHere, shown: ShownHere) -> Response:
    """A page as PNG."""
    return _png(await service.work(pictures.picture, shown.entry, shown.number))


@router.get("/images/{name}/thumbnail")
async def thumbnail(service: ServiceHere, shown: ShownHere) -> Response:
    """An image, small, as PNG."""
    return _png(await service.work(pictures.thumbnail, shown.entry))


@router.get("/images/{name}/tile")
async def tile(service: ServiceHere, shown: ShownHere, level: int, x: int, y: int) -> Response:
    """A tile of a large image as PNG."""
    return _png(await service.work(pictures.tile, shown.entry, shown.number, level, x, y))


def _png(data: bytes) -> Response:
    return Response(data, media_type="image/png", headers=KEEP)


@router.get("/images/{name}/layers")
async def known(
    page: PageHere, service: ServiceHere, model: ModelHere, shown: ShownHere, of: str, box: str | None = None
) -> Response:
    """What a model finds in a page (`of=prediction`), or its labels (`of=truth`), packed."""
    if of == "truth":
        return _packed(await service.work(_truth, page.library, shown))
    chosen = model or service.models.wanted(None)
    return _packed(await service.work(layers.predicted, chosen, shown.entry, shown.number, _box(box)))


def _truth(library: Library, shown: Shown) -> bytes:
    editing, case = library.editing, shown.entry.place(shown.number).case
    if editing is None or case is None:
        return layers.nothing(shown.entry)
    return layers.truth(editing.load(case), shown.entry, shown.number, editing.labels, editing.categories)


def _box(text: str | None) -> Box | None:
    if text is None:
        return None
    try:
        y0, x0, y1, x1 = (int(side) for side in text.split(","))
    except ValueError as cause:
        what = "a part is told by four whole numbers"
        raise UsageError(what, where="?box=", received=shortened(text)) from cause
    return y0, x0, y1, x1


def _packed(data: bytes) -> Response:
    return Response(data, media_type=PACKED)


@router.get("/images/{name}/edit")
async def to_edit(page: PageHere, service: ServiceHere, model: ModelHere, shown: ShownHere) -> Response:
    """The labels of a page for the tools, packed."""
    return _packed(await service.work(edits.to_edit, page.library, shown.entry, shown.number, model))


@router.put("/images/{name}/edit")
async def save(
    page: PageHere, service: ServiceHere, model: ModelHere, shown: ShownHere, request: Request
) -> dict[str, Any]:
    """Write labels, packed, into the dataset."""
    sent = unpacked(await request.body())
    saved = await service.work(edits.save, page.library, shown.entry, shown.number, sent, model)
    return {**asdict(saved), "image": shown.entry.listed(), "dataset": page.library.described()}


@router.post("/suggest")
async def suggest(
    page: PageHere,
    service: ServiceHere,
    model: ModelHere,
    language: LanguageHere,
    n: Annotated[int, Query(ge=1, le=500)] = 20,
) -> dict[str, Any]:
    """The unlabelled images of the list in the order of how much their labels would teach."""
    return await service.work(chosen, page.library, model or service.models.wanted(None), n, language)


@router.get("/training")
async def training(page: PageHere, service: ServiceHere) -> dict[str, Any]:
    """How the training stands."""
    return await service.work(page.training.now)


@router.post("/training/start")
async def start(
    page: PageHere, service: ServiceHere, model: ModelHere, language: LanguageHere, minutes: float
) -> dict[str, Any]:
    """Train on from a model, or a first one."""
    return await service.work(page.training.start, model, minutes, language)


@router.post("/training/stop")
async def stop(page: PageHere, service: ServiceHere) -> dict[str, Any]:
    """Stop the training; its state is saved."""
    return await service.work(page.training.stop)


@router.post("/training/resume")
async def resume(page: PageHere, service: ServiceHere, language: LanguageHere) -> dict[str, Any]:
    """Go on with the training that was stopped."""
    return await service.work(page.training.resume, language)


@router.post("/training/use")
async def use(page: PageHere, service: ServiceHere, request: Request) -> dict[str, Any]:
    """Look at the images with the model that was trained."""
    model = await service.work(page.training.use)
    return {"run": model.id, "server": _state(page.library, request)}


@router.get("/training/pictures/{name}")
async def training_picture(page: PageHere, name: str) -> FileResponse:
    """A held-out image as the model sees it now."""
    return FileResponse(page.training.picture(name), media_type="image/png", headers=KEEP)
