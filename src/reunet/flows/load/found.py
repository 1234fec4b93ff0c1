"""What a model finds in an image, with the image: it shows, draws, saves and tells itself in a notebook."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reunet.contracts.labels import majority_class
from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.contracts.shown import picture_html, table_html
from reunet.errors import UsageError
from reunet.io.annotations.geojson import box_features, collection, object_features
from reunet.io.planes import in_planes
from reunet.storage import atomic_path, write_text
from reunet.tasks.outputs import Destination
from reunet.tasks.work import Work, draw_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

SHOWN_WIDTH = 640
"""Pixels to which a picture in a notebook is scaled down."""


@dataclass(frozen=True)
class Found(Prediction):
    """A prediction that knows its image.

    image: as it was given. plan: of the run. spacing: of a volume, in mm per axis.
    """

    image: np.ndarray = field(default_factory=lambda: np.zeros((1, 1, 1)), repr=False)
    plan: Plan | None = field(default=None, repr=False)
    spacing: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls, found: Prediction, image: np.ndarray, plan: Plan, spacing: tuple[float, ...] | None = None
    ) -> Found:
        known = {one.name: getattr(found, one.name) for one in fields(Prediction)}
        return cls(**known, image=image, plan=plan, spacing=spacing)

    def __repr__(self) -> str:
        return f"<reunet prediction: {', '.join(f'{k} {v}' for k, v in self._facts().items())}>"

    def overlay(self, frame: int = 0) -> Image:
        """The image with all that was found drawn over it, as a picture: RGB, of the size of the image.

        Of a volume the slices that show most, side by side; of a sequence one frame.
        """
        from PIL import Image

        image, result = self._at(frame)
        if self._plan.network.spatial_dims == 3:
            image, result = in_planes(image, result, self._plan.labels, self.spacing or (1.0, 1.0, 1.0))
        picture = draw_results(image, result, self._plan.labels)
        if picture is None:  # nothing to draw, such as the class of a whole image
            from reunet.io.render import to_display

            picture = to_display(image)
        return Image.fromarray(picture)

    def plot(self, frame: int = 0) -> Figure:
        """A figure of Matplotlib: the image, what was found in it, and where there are probabilities of a
        plain image, that of the foreground.
        """
        from reunet.flows.load.plot import side_by_side

        image, result = self._at(frame)
        sure = None
        if result.probabilities is not None and result.probabilities.ndim == 3:
            sure = result.probabilities[..., list(self._plan.labels.foreground)].max(axis=-1)
        shown = image if self._plan.network.spatial_dims == 2 else None
        return side_by_side(shown, self.overlay(frame), sure)

    def save(self, path: str | Path) -> Path:
        """Write what was found: a mask or object ids (.png, .tif), outlines for QuPath (.geojson), or all
        arrays (.npz). Returns the path. Raises UsageError, StorageError.
        """
        file = Path(path)
        writers = {
            ".png": self._save_mask,
            ".tif": self._save_mask,
            ".tiff": self._save_mask,
            ".geojson": lambda to: write_text(to, json.dumps(self.to_geojson(), ensure_ascii=False) + "\n"),
            ".npz": self._save_arrays,
        }
        if file.suffix.lower() not in writers:
            raise UsageError(
                "the suffix of the file says what is written",
                where="save()",
                expected=".png or .tif (mask or object ids), .geojson (outlines), .npz (all arrays)",
                received=str(path),
                fix="a picture for people: prediction.overlay().save('overlay.png')",
            )
        writers[file.suffix.lower()](file)
        return file

    def to_geojson(self) -> dict[str, Any]:
        """The outlines of objects, boxes or classes as GeoJSON that QuPath opens; coordinates are pixels.

        Raises UsageError for volumes, sequences and whole-image classes.
        """
        labels = self._plan.labels
        if self.instances is not None and self.instances.ndim == 2:
            classes = majority_class(self.instances, self.labels, labels)
            return collection(object_features(self.instances, labels, classes))
        if self.boxes is not None:
            return collection(box_features(self.boxes, labels))
        if self.labels is not None and self.labels.ndim == 2:
            inside = np.where(np.isin(self.labels, labels.foreground), self.labels, 0).astype(np.int32)
            return collection(object_features(inside, labels, np.arange(len(labels.classes))))
        raise UsageError(
            "only images with two axes have outlines",
            where="to_geojson()",
            received=", ".join(f"{name} {value}" for name, value in self._facts().items()),
            fix="prediction.save('mask.tif') writes a stack of masks",
        )

    # -- in a notebook ---------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        return picture_html(self.overlay(), SHOWN_WIDTH) + table_html(self._facts())

    def _facts(self) -> dict[str, object]:
        labels, facts = self._plan.labels, dict[str, object]()
        facts["size"] = " x ".join(map(str, self.image.shape))
        if self.category is not None and self._plan.categories is not None:
            sure = self.category_probabilities
            name = self._plan.categories.names[self.category]
            facts["class"] = name if sure is None else f"{name} ({sure[self.category]:.0%})"
        if self.instances is not None:
            facts["objects"] = len(np.unique(self.instances[self.instances > 0]))
        if self.boxes is not None:
            facts["boxes"] = len(self.boxes)
        if self.labels is not None:
            for index in labels.foreground:
                facts[labels.names[index]] = f"{np.mean(self.labels == index):.1%} of the pixels"
        return facts | {name: f"{value:.4g}" for name, value in (self.numbers or {}).items()}

    # -- parts -----------------------------------------------------------------------------------------

    @property
    def _plan(self) -> Plan:
        if self.plan is None:
            raise UsageError("this prediction does not know its run", fix="take what reunet.load(RUN) gives")
        return self.plan

    def _at(self, frame: int) -> tuple[np.ndarray, Prediction]:
        """The image and what was found, of a sequence of one of its frames; the image with channels."""
        result: Prediction = self
        image, rank = self.image, self._plan.network.spatial_dims
        if self._plan.clip is not None:
            if not -len(image) <= frame < len(image):
                raise UsageError(
                    "the sequence has no such frame", expected=f"0 to {len(image) - 1}", received=frame
                )
            result, image = self.at(frame), image[frame]
        return image if image.ndim == rank + 1 else image[..., None], result

    def _save_mask(self, path: Path) -> None:
        to = Destination(lambda kind, suffix: path, self._plan.labels)
        for one in Work.of(self._plan).tasks:
            for output in (output for output in one.outputs if output.kind in ("masks", "instances")):
                if (values := getattr(self, output.of)) is not None:
                    output.write(values, self, to)
                    return
        raise UsageError(
            "there is no mask to write",
            where="save()",
            received=", ".join(self._plan.tasks),
            fix="prediction.save('boxes.geojson') writes boxes, prediction.save('all.npz') all arrays",
        )

    def _save_arrays(self, path: Path) -> None:
        plain = replace(self, boxes=None, candidates=None)
        arrays = {one.name: getattr(plain, one.name) for one in fields(Prediction)}
        arrays |= {"numbers": None}
        if self.boxes is not None:
            arrays |= {"box_corners": self.boxes.corners, "box_classes": self.boxes.classes}
            arrays["box_scores"] = self.boxes.scores
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **{k: v for k, v in arrays.items() if v is not None})
