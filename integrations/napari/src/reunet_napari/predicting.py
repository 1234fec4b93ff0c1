"""The panel that predicts: a layer in, layers out.

Annotations are no strings, but for the types of napari: its panels are made of them as they are.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

import reunet
from reunet.errors import UsageError

if TYPE_CHECKING:
    import napari.layers
    import napari.types

    from reunet.flows.load.found import Found
    from reunet.flows.load.model import Model

LayerData = tuple[Any, dict[str, Any], str]
"""Data, attributes and kind of a layer, as napari takes them."""


def predict_layer(
    image: "napari.layers.Image", run: Annotated[Path, {"mode": "d"}], mirrored: bool = False
) -> list["napari.types.LayerDataTuple"]:
    """What a run finds in an image layer, as layers that lie on it.

    run: a folder that `reunet train` wrote, or a file of `reunet pack`. mirrored: average over mirrorings.
    """
    model = _model(str(run), mirrored)
    found = model(pixels_of(image, model))
    layers = found_layers(found, model, image.name, placed(image))
    if not layers:
        raise UsageError(
            "this run tells the class of a whole image, which is no layer",
            where=run,
            received=f"{image.name}: {found!r}",
            fix="reunet predict RUN IMAGES writes the classes of many images",
        )
    return layers


@lru_cache(maxsize=2)
def _model(run: str, mirrored: bool) -> "Model":
    return reunet.load(run, tta=mirrored)


def pixels_of(image: "napari.layers.Image", model: "Model") -> np.ndarray:
    """The pixels of a layer as the model reads them: channels last; of several resolutions the finest."""
    data = np.asarray(image.data[0] if getattr(image, "multiscale", False) else image.data)
    channels, rank = model.plan.input.channels, model.plan.network.spatial_dims
    axes = rank + 1 + (model.plan.clip is not None)
    if not image.rgb and channels > 1 and data.ndim == axes and data.shape[-rank - 1] == channels:
        data = np.moveaxis(data, -rank - 1, -1)
    if image.rgb and channels < data.shape[-1] == 4:
        data = data[..., :3]  # without its opacity
    return data


def placed(image: "napari.layers.Image") -> dict[str, Any]:
    """Where a layer lies, for layers that are to lie on it; of a picture in colours without these."""
    return {"scale": tuple(image.scale), "translate": tuple(image.translate)}


def found_layers(found: "Found", model: "Model", name: str, place: dict[str, Any]) -> list[LayerData]:
    """Objects, classes of pixels and boxes as layers; classes by their ids in the dataset."""
    layers: list[LayerData] = []
    ids = np.array([entry.id for entry in model.plan.labels.classes], np.int32)

    def of(shape: tuple[int, ...]) -> dict[str, Any]:
        """The place without the axis of the channels, which labels do not have."""
        return {key: values[-len(shape) :] for key, values in place.items()}

    if found.instances is not None:
        told = {"name": f"{name} objects", **of(found.instances.shape)}
        layers.append((np.asarray(found.instances, np.int32), told, "labels"))
    elif found.labels is not None:
        told = {"name": f"{name} classes", "metadata": {"classes": model.classes}, **of(found.labels.shape)}
        layers.append((ids[found.labels], told, "labels"))
    if found.boxes is not None:
        edges = np.asarray(found.boxes.corners, float) - 0.5  # whole numbers are the middles of pixels there
        corners = [[[y0, x0], [y1, x1]] for y0, x0, y1, x1 in edges]
        told = {
            "name": f"{name} boxes",
            "shape_type": "rectangle",
            "face_color": "transparent",
            "edge_color": "yellow",
            "features": {
                "class": [model.classes[number] for number in found.boxes.classes],
                "score": [float(score) for score in found.boxes.scores],
            },
            **of((0, 0)),
        }
        layers.append((corners, told, "shapes"))
    return layers
