"""An image and what was found in it, side by side."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from reunet.io.render import to_display

if TYPE_CHECKING:
    from PIL.Image import Image


class ShownFigure(Figure):
    """A figure that a notebook shows, whether pyplot was imported or not."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue()


def side_by_side(image: np.ndarray | None, overlay: Image, sure: np.ndarray | None) -> Figure:
    """image: (H, W, C), None where the overlay is of something else. sure: (H, W) probabilities."""
    panels = {} if image is None else {"image": to_display(image)}
    panels["found"] = np.asarray(overlay)
    if sure is not None:
        panels["probability of the foreground"] = sure
    figure = ShownFigure(figsize=(4 * len(panels), 4), layout="constrained")
    for number, (title, shown) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), number)
        axes.imshow(shown, vmin=0, vmax=1 if shown.ndim == 2 else 255, cmap="magma")
        axes.set_title(title)
        axes.set_axis_off()
    return figure
