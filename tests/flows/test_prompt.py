"""Click to trace: a run that finds what dots belong to, from training to prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import reunet
from reunet.cli import main
from reunet.contracts.labels import IGNORE
from reunet.contracts.plan import Plan
from reunet.contracts.truth import Truth
from reunet.errors import PlanError, UsageError
from reunet.sampling.prompt import asked, dots, draw

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture(scope="module")
def discs(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("discs"), train=4, test=2, size=(32, 32))


@pytest.fixture(scope="module")
def run(discs: Path, backend: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a plain U-Net with a prompt."""
    folder = tmp_path_factory.mktemp("prompt")
    made = reunet.plan(discs, steps=3, backend=backend, prompt="points").model_dump()
    made["network"].update(filters=(2, 3), strides=made["network"]["strides"][:1])
    made.update(patch=(16, 16), inference={"tile": (16, 16)}, batch=2, precision="float32")
    made["schedule"].update(validations=1)
    Plan.parse(made, where="test").write(folder / "plan.json")
    reunet.train(discs, output=folder / "run", plan=folder / "plan.json")
    return folder / "run"


def test_dots_fade_around_their_points() -> None:
    shown = dots([(2.0, 3.0), (0.0, 9.0)], (5, 10))
    assert shown.shape == (5, 10, 1)
    assert shown[2, 3] == shown[0, 9] == 1
    assert shown[2, 4] == pytest.approx(2 / 3)
    assert shown[3, 4] == pytest.approx(1 - np.sqrt(2) / 3)
    assert shown[2, 6] == shown[4, 9] == 0
    assert dots([(1, 1, 1)], (3, 3, 3))[1, 1, 1] == 1


def test_of_one_thing_the_dots_are_drawn_and_it_alone_is_left(discs: Path) -> None:
    labels = reunet.plan(discs, steps=1, prompt="points").labels
    classes = np.zeros((8, 8), np.uint8)
    classes[1:3, 1:3] = classes[5:7, 4:8] = 1
    classes[:, 7] = IGNORE
    drawn = set()
    for seed in range(20):
        truth, points = draw(Truth(classes), labels, np.random.default_rng(seed))
        assert truth.labels is not None
        assert 1 <= len(points) <= 3
        assert all(truth.labels[int(row), int(column)] == 1 for row, column in points)
        assert (truth.labels[:, 7] == IGNORE).all()
        drawn.add(int((truth.labels == 1).sum()))
    assert drawn == {4, 6}
    objects = np.where(classes == 1, 7, 0).astype(np.int32)  # the annotation says that both are one
    truth, _ = draw(Truth(classes, objects), labels, np.random.default_rng(0))
    np.testing.assert_array_equal(truth.labels, classes)
    truth, points = draw(Truth(np.zeros((4, 4), np.uint8)), labels, np.random.default_rng(0))
    assert len(points) > 0
    assert not truth.labels.any()


def test_batches_have_the_dots_and_are_the_same_again(discs: Path, run: Path) -> None:
    from reunet.contracts.options.records import DataOptions
    from reunet.flows.prepare import prepare
    from reunet.progress import NullProgress
    from reunet.sampling.patches import PatchSampler
    from reunet.tasks.work import Work

    plan = Plan.read(run / "plan.json")
    cases = prepare(discs, DataOptions(), NullProgress(), seed=0, plan=plan).train
    batches = [PatchSampler(cases, plan, targets=Work.of(plan).targets).batch(5) for _ in range(2)]
    (image, targets), (again, _) = batches
    np.testing.assert_array_equal(image, again)
    assert image.shape == (2, 16, 16, 2)
    for shown, mask in zip(image[..., 1], targets["semantic"], strict=True):
        if mask.any():
            assert (mask[shown == 1] == 1).all()
        assert shown.max() == 1


def test_a_held_out_image_is_always_asked_for_the_same(run: Path) -> None:
    plan = Plan.read(run / "plan.json")
    classes = np.random.default_rng(0).integers(0, 2, (16, 16)).astype(np.uint8)
    first, again = (asked(Truth(classes), plan, "a") for _ in range(2))
    assert first[1] == again[1]
    assert asked(Truth(classes), plan, "b")[1] != first[1]


def test_points_are_seen_in_every_engine_and_change_the_answer(run: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 21), dtype=np.uint8)
    found = [
        reunet.load(run, engine=name, precision="f32")(image, points=[(20, 10)]).probabilities
        for name in ("openvino", "keras")
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    other = reunet.load(run, precision="f32")(image, points=[(3, 4)]).probabilities
    assert np.abs(other - found[0]).max() > 1e-5


def test_on_the_command_line(
    run: Path, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, *others = sorted((discs / "test" / "images").iterdir())
    words = ["predict", str(run), str(image), "-o", str(tmp_path / "out")]
    assert main([*words, "--points", "12,20", "--points", "3,4.5"]) == 0
    assert [one.name for one in (tmp_path / "out" / "masks").iterdir()] == [f"{image.stem}.png"]
    for more, told in (
        ([], "was given none"),
        (["--points", "here"], "no place in an image"),
        (["--points", "12,20", str(others[0])], "in one image"),
        (["--points", "32,3"], "0 to 31"),
        (["--points", "3"], "does not lie in the image"),
    ):
        assert main([*words, "--overwrite", *more]) == 1
        assert told in capsys.readouterr().err
    assert main(["evaluate", str(run), str(discs)]) == 0


def test_what_does_not_go_together_is_refused(run: Path, tiny_run: Path, tmp_path: Path) -> None:
    image = np.zeros((20, 20), np.uint8)
    with pytest.raises(UsageError, match="takes no points"):
        reunet.load(tiny_run)(image, points=[(1, 1)])
    model = reunet.load(run)
    for points, told in (
        (None, "was given none"),
        ([], "was given none"),
        ([(20, 1)], "does not lie"),
        ([(np.nan, 1)], "does not lie"),
        ([(-1, 1)], "does not lie"),
        ([(1, 1, 1)], "does not lie"),
        ([3], "does not lie"),
    ):
        with pytest.raises(UsageError, match=told):
            model(image, points=points)
    with pytest.raises(UsageError, match="not exported"):
        reunet.export(run, format="onnx", output=tmp_path / "a.onnx")
    made = Plan.read(run / "plan.json").model_dump()
    with pytest.raises(PlanError, match="in_channels"):
        Plan.parse(made | {"prompt": None}, where="test")
    with pytest.raises(PlanError, match="semantic alone"):
        Plan.parse(made | {"tasks": ("semantic", "instances")}, where="test")


def test_what_was_found_is_followed_through_all_tiles_that_it_reaches(run: Path) -> None:
    """With a network that finds what is connected to a dot within a tile."""
    from scipy import ndimage

    from reunet.inference.following import followed
    from reunet.inference.tiling import Tiling

    asked_for = []

    def network(tiles: np.ndarray) -> dict[str, np.ndarray]:
        asked_for.append(len(tiles))
        found = []
        for tile in tiles:
            parts, _ = ndimage.label(tile[..., 0] > 0)
            wanted = np.unique(parts[(tile[..., 1] == 1) & (parts > 0)])
            found.append(np.isin(parts, wanted).astype(np.float32))
        mask = np.stack(found)
        return {"semantic": np.stack([1 - mask, mask], axis=-1)}

    line = np.zeros((50, 70), np.float32)
    line[5, 3:66] = line[5:45, 65] = line[44, 20:66] = 1
    other = np.zeros_like(line)
    other[20, 5:40] = 1
    labels = Plan.read(run / "plan.json").labels
    pixels = (line + other)[..., None]
    found = followed(network, pixels, [(5.0, 4.0)], Tiling((16, 16), 0.25), labels)["semantic"]
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_array_equal(found.argmax(axis=-1), line)
    assert asked_for[0] == 1, "tiles without a dot are not computed"
