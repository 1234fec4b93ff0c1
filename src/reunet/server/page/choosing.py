"""Which image to label next, among those of the list."""

from typing import Any

from reunet.errors import UsageError
from reunet.flows.suggest.suggest import reason, suggest
from reunet.server.models import Model
from reunet.server.page.library import Library, unlabelled
from reunet.texts import Language


def chosen(library: Library, model: Model, number: int, language: Language) -> dict[str, Any]:
    """The images without labels in the order of how much these would teach, with the reason.

    Raises UsageError when all images have labels, and what `reunet.suggest` raises.
    """
    waiting = {one.places[0].path: one for one in unlabelled(library.entries())}
    if not waiting:
        what = "all images of the list have labels"
        raise UsageError(what, fix="drop images that have none on the page")
    found = suggest(model.folder.path, list(waiting), number=number, data=library.root)
    rows = []
    for one in found.suggestions:
        entry = waiting[one.image]
        told = {"image": entry.id, "name": entry.name, "score": round(float(one.score), 4)}
        rows.append(told | {"reason": reason(one.facts, language)})
    return {"confidence": found.confidence, "suggestions": rows}
