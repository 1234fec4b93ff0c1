"""Which images to label next: unsure ones, unlike each other and unlike what is labelled, with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reunet
from reunet.cli import main
from reunet.contracts.results import Prediction
from reunet.errors import DataError
from reunet.flows.suggest import opinions as room
from reunet.flows.suggest.diversity import described, greedy
from reunet.flows.suggest.suggest import reason


def test_the_order_takes_doubtful_images_that_do_not_look_alike() -> None:
    looks = np.array([[0.0, 0], [0.1, 0], [0.05, 0.1], [9, 9], [9, 9.1]])
    order = [number for number, _ in greedy([0.9, 0.8, 0.7, 0.2, 0.6], looks, np.zeros((0, 2)), 5)]
    assert order[0] == 0
    assert order[1] == 4  # the most doubtful of the other kind
    near = np.array([[9.0, 9.0]])
    first, *_ = greedy([0.1, 0.2, 0.3, 0.9, 0.8], looks, near, 5)
    assert first[0] in (0, 1, 2)  # what looks like a labelled image comes last
    assert greedy([], np.zeros((0, 2)), np.zeros((0, 0)), 3) == []


def test_looks_tell_colours_and_structure_apart() -> None:
    rng = np.random.default_rng(0)
    grey = [np.clip(rng.normal(90, 20, (60, 80, 1)), 0, 255).astype(np.uint8) for _ in range(2)]
    pink = [np.stack([one[..., 0] + 90, one[..., 0], one[..., 0] + 60], axis=-1) for one in grey]
    smooth = np.full((60, 80, 1), 90, np.uint8)
    a, b, c, d = map(described, (grey[0], grey[1], pink[0], smooth))
    assert np.linalg.norm(a - b) < min(np.linalg.norm(a - c), np.linalg.norm(a - d)) / 3
    assert described(np.stack([grey[0]] * 4)).shape == a.shape  # of a volume, its middle slice


def test_objects_that_change_in_the_mirror_are_in_doubt() -> None:
    ids, mirrored = np.zeros((40, 40), np.int32), np.zeros((40, 40), np.int32)
    ids[2:10, 2:10], ids[20:30, 20:30] = 1, 3
    mirrored[2:10, 2:10], mirrored[30:38, 2:10] = 5, 6
    scores = np.array([0, 0.9, 0, 0.8], np.float32)
    told: dict[str, float] = {}
    found = room._objects(
        Prediction(instances=ids, instance_scores=scores), mirrored, ["", "a", "", "b"], told
    )
    assert told == {"objects": 2, "only_mirrored": 1, "changed_objects": 1}
    assert [(one.number, one.class_name, one.agreement) for one in found] == [(1, "a", 1.0), (3, "b", 0.0)]
    assert found[0].doubt == pytest.approx(0.1)
    assert found[1].doubt == 1.0
    assert found[1].box == (20, 20, 30, 30)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_reason_is_a_sentence_in_both_languages(language: str) -> None:
    facts = {
        "objects": 52,
        "changed_objects": 14,
        "only_mirrored": 3,
        "unsure_pixels": 0.031,
        "distance": 0.6,
    }
    told = reason(facts, language)  # type: ignore[arg-type]
    assert all(number in told for number in ("52", "14", "3"))
    assert ("objects change" in told) == (language == "en")
    assert reason({}, language)  # type: ignore[arg-type]


def test_suggest(
    tmp_path: Path, tiny_run: Path, tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    labelled = tiny_dataset / "train" / "images" / "train_00.png"
    (images / "known.png").write_bytes(labelled.read_bytes())
    for path in sorted((tiny_dataset / "test" / "images").iterdir()):
        (images / path.name).write_bytes(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(images / "noise.png")
    (new,) = reunet.suggest(tiny_run, images, data=tiny_dataset).suggestions
    assert new.image.name == "noise.png"  # the others are labelled, or scored, already
    result = reunet.suggest(tiny_run, images)
    assert len(result.suggestions) == 4
    assert result.suggestions[0].image.name == "noise.png"
    assert (result.count, result.confidence, result.failures) == (4, "calibrated", {})
    assert all(one.reason and 0 <= one.score <= 1 for one in result.suggestions)
    (images / "broken.png").write_bytes(b"no image")
    arguments = ["suggest", str(tiny_run), str(images), "-n", "2", "-o", str(tmp_path / "next.csv")]
    assert main(arguments) == 2
    assert "calibrated" in capsys.readouterr().out
    rows = (tmp_path / "next.csv").read_text().splitlines()
    assert rows[0].startswith("rank,image,score")
    assert len(rows) == 3
    with pytest.raises(DataError, match="no images"):
        reunet.suggest(tiny_run, tmp_path / "next.csv")
