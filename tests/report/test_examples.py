from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.report.examples import FALSE_ALARM, FOUND, MISSED, choose_examples, data_uri
from reunet.report.tasks.semantic import error_picture, panels

TWO = LabelMap(classes=default_classes([0, 1], ["background", "cell"]))
THREE = LabelMap(classes=default_classes([0, 1, 2], ["background", "cell", "vessel"]))


def opened(uri: str) -> Image.Image:
    kind, data = uri.split(",", 1)
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 6, 19, 20, 400])
def test_examples_are_ranked_and_never_repeated(n: int) -> None:
    scores: dict[str, float | None] = {f"i{k}": k / 400 for k in range(n)}
    scores["undefined"] = None
    chosen = choose_examples(scores)
    names = [name for _, name in chosen]
    assert len(set(names)) == len(names)
    assert "undefined" not in names
    values = [scores[name] for name in names]
    assert values == sorted(values, reverse=True)
    if n:
        assert names[0] == f"i{n - 1}"
    if n > 1:
        assert names[-1] == "i0"
    if n > 2:
        assert {group for group, _ in chosen} == {"best", "median", "worst"}
        middle = [scores[name] for group, name in chosen if group == "median"]
        assert abs(np.median(middle) - np.median([s for s in scores.values() if s is not None])) <= 1 / 400


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (1200, 900), (2000, 7)])
def test_pictures_have_a_sensible_size_whatever_the_image(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 4000, (*size, 1)).astype(np.uint16)
    truth = rng.integers(0, 2, size).astype(np.uint8)
    shown = panels(Scored(image, Truth(truth), Prediction(1 - truth)), TWO)
    assert [panel.caption for panel in shown] == ["image", "truth", "prediction", "errors"]
    sizes = {opened(data_uri(panel.picture)).size for panel in shown}
    assert len(sizes) == 1
    assert max(sizes.pop()) <= 480
    assert sum(len(data_uri(panel.picture)) for panel in shown) < 2_000_000


def test_without_the_image_masks_are_still_shown() -> None:
    truth = np.zeros((30, 20), np.uint8)
    truth[:10] = 1
    shown = panels(Scored(None, Truth(truth), Prediction(truth)), TWO)
    assert [panel.caption for panel in shown] == ["truth", "prediction", "errors"]
    picture = np.asarray(opened(data_uri(shown[0][1])))
    assert np.ptp(picture.reshape(-1, 3).astype(int), axis=0).max() > 30


def nearest(pixel: np.ndarray) -> str:
    colors = {"found": FOUND, "missed": MISSED, "false alarm": FALSE_ALARM, "grey": (128, 128, 128)}
    tint = pixel.astype(float) - pixel.mean()  # the image shines through
    if np.abs(tint).max() < 5:
        return "grey" if pixel[0] == 128 else "background"
    del colors["grey"]
    return min(colors, key=lambda name: -np.corrcoef(tint, np.array(colors[name], float))[0, 1])


def test_error_colours() -> None:
    image = np.full((1, 6, 3), 200, np.uint8)
    truth = np.array([[0, 1, 1, 0, IGNORE, 2]], np.uint8)
    prediction = np.array([[0, 1, 0, 1, 1, 1]], np.uint8)
    seen = [nearest(pixel) for pixel in error_picture(image, truth, prediction, THREE)[0]]
    assert seen == ["background", "found", "missed", "false alarm", "grey", "missed"]
