"""Images in sections give what they give as a whole: labels, objects, boxes; whatever tile and memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.labels import Classes, LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import Inference, InputSpec, Intensity, Plan, Schedule
from reunet.errors import DataError, ModelFileError, PlanError, TooLargeError
from reunet.inference.large import cutting, memory
from reunet.inference.large.sections import Section, Sections
from reunet.inference.predictor import Predictor
from reunet.inference.tiling import Tiling, predict_tiled
from reunet.io.header import ImageHeader
from reunet.io.lazy import LazyImage
from reunet.metrics.box_matching import overlapping
from reunet.slices import Slices
from reunet.tasks.work import Work

CLASSES = Classes(LabelMap(classes=default_classes([0, 1, 2])))


def lazy(image: np.ndarray, chunk: int = 7) -> LazyImage:
    rank = image.ndim - 1
    header = ImageHeader(image.shape[:-1], image.shape[-1], str(image.dtype), 1, "", None, False, False)
    return LazyImage(header, (chunk,) * rank, lambda box: image[box])


def plan_of(tasks: tuple[str, ...], tile: tuple[int, ...], channels: int, **changes: object) -> Plan:
    rank = len(tile)
    fixed = Intensity(method="fixed", offset=(0.0,) * channels, scale=(1.0,) * channels)
    network = NetworkConfig(
        in_channels=channels,
        spatial_dims=rank,
        filters=(4, 8),
        strides=((2,) * rank,),
        heads=Work(tasks, CLASSES).heads(rank),
    )
    given = {
        "dataset": "blocks",
        "tasks": tasks,
        "labels": CLASSES.labels,
        "input": InputSpec(channels=channels, intensity=fixed),
        "network": network,
        "patch": tile,
        "batch": 1,
        "schedule": Schedule(steps=1),
        "inference": Inference(tile=tile),
    }
    return Plan.model_validate(given | changes)


class Channels:
    """An engine whose heads are the channels of the image, one after the other."""

    name, precision = "channels", "f32"

    def __init__(self, plan: Plan) -> None:
        self.heads = plan.network.heads

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        found, first = {}, 0
        for head in self.heads:
            found[head.name] = batch[..., first : first + head.channels]
            first += head.channels
        return found


def assembled(sections: Sections, kind: str) -> np.ndarray:
    """All sections put together; each pixel must come exactly once."""
    result, seen = None, np.zeros(sections.size, np.uint8)
    for section in sections:
        values = getattr(section, kind)
        if result is None:
            result = np.zeros((*sections.size, *values.shape[len(sections.size) :]), values.dtype)
        result[section.part] = values
        seen[section.part] += 1
    assert (seen == 1).all()
    assert result is not None
    return result


@settings(deadline=None, max_examples=30)
@given(
    size=st.tuples(*[st.integers(1, 150)] * 2),
    tile=st.sampled_from([(16, 16), (16, 32), (64, 16)]),
    across=st.integers(1, 4),
    chunk=st.integers(1, 40),
)
def test_any_image_in_any_strips(
    size: tuple[int, int], tile: tuple[int, int], across: int, chunk: int
) -> None:
    plan = plan_of(("semantic",), tile, 3)
    image = np.random.default_rng(sum(size)).dirichlet((1, 1, 1), size).astype(np.float32)
    predictor = Predictor(plan, Channels(plan))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "ACROSS", across)
        found = Sections(predictor, lazy(image, chunk), where="image")
        assert len(found.strips) == 1 or across < 40
        labels = assembled(found, "labels")
    np.testing.assert_array_equal(labels, predictor(image).labels)


@settings(deadline=None, max_examples=20)
@given(size=st.tuples(*[st.integers(1, 40)] * 3), across=st.integers(1, 3))
def test_any_volume_in_any_strips(size: tuple[int, int, int], across: int) -> None:
    plan = plan_of(("semantic",), (8, 16, 8), 3)
    image = np.random.default_rng(sum(size)).dirichlet((1, 1, 1), size).astype(np.float32)
    predictor = Predictor(plan, Channels(plan))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "ACROSS", across)
        found = Sections(predictor, lazy(image), where="image", keep_probabilities=True)
        probabilities = assembled(found, "probabilities")
    np.testing.assert_allclose(probabilities, image, atol=1e-6)


NETWORKS = {
    "unet": {"filters": (3, 4, 6), "strides": ((2, 2), (2, 2))},
    "strided": {"filters": (3, 4), "strides": ((4, 2),), "downsampling": "stride"},
    "valid": {"filters": (3, 4), "strides": ((2, 2),), "padding": "valid"},
    "linear": {"filters": (3, 4), "strides": ((2, 2),), "upsampling": "linear", "block": "residual"},
}


@pytest.fixture(scope="module")
def networks(
    backend: str,
) -> dict[str, tuple[NetworkConfig, Callable[..., dict[str, np.ndarray]], tuple[int, ...]]]:
    """Small networks with random weights and statistics, and half their receptive fields."""
    from reunet.networks import build_network, probability_model
    from reunet.networks.facts import measure

    found = {}
    rng = np.random.default_rng(0)
    for name, fields in NETWORKS.items():
        config = NetworkConfig(in_channels=2, heads=(HeadSpec(channels=3),), **fields)
        model = build_network(config)
        for variable in model.weights:
            spread = rng.normal(0, 0.3, variable.shape).astype(np.float32)
            values = (
                np.abs(spread) + 0.5 if "variance" in variable.path or "gamma" in variable.path else spread
            )
            variable.assign(values)
        size = tuple(64 + 2 * edge for edge in (8, 8)) if name == "valid" else (64, 64)
        from reunet.contracts.sizes import valid_size

        half = measure(config, valid_size(config, size)).receptive_field
        found[name] = config, eager(probability_model(model, config)), tuple(-(-side // 2) for side in half)
    return found


def eager(model: object) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """A Keras model without compiling it for every size."""
    import keras

    def network(tiles: np.ndarray) -> dict[str, np.ndarray]:
        return {head: keras.ops.convert_to_numpy(x) for head, x in model(tiles, training=False).items()}

    return network


@pytest.mark.parametrize("name", NETWORKS)
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_tiles_of_any_size_give_what_the_whole_image_gives(
    networks: dict, name: str, data: st.DataObject
) -> None:
    from reunet.contracts.sizes import margin, valid_size

    config, runtime, half = networks[name]
    lost, stride = margin(config), config.total_stride
    halo = (0, 0) if any(lost) else half
    size = tuple(data.draw(st.integers(50, 110)) for _ in range(2))
    least = tuple(2 * (h + 2 * s + m) for h, s, m in zip(halo, stride, lost, strict=True))
    tile = valid_size(config, tuple(data.draw(st.integers(n, n + 30)) for n in least))
    tile = tuple(
        min(t, v)
        for t, v in zip(
            tile, valid_size(config, tuple(s + 2 * m for s, m in zip(size, lost, strict=True))), strict=True
        )
    )
    image = np.random.default_rng(data.draw(st.integers(0, 99))).normal(0, 1, (*size, 2)).astype(np.float32)
    whole = valid_size(config, tuple(s + 2 * m for s, m in zip(size, lost, strict=True)))
    expected = predict_tiled(runtime, image, Tiling(whole, 0.25, lost, (), stride))["semantic"]
    found = predict_tiled(runtime, image, Tiling(tile, 0.25, lost, halo, stride, batch=4))["semantic"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def discs(size: tuple[int, ...], count: int, rng: np.random.Generator, radius: tuple[int, int]) -> np.ndarray:
    """Maps of an instance network, with noise: background, object, flows; then three classes."""
    ids = np.zeros(size, np.int32)
    grid = np.indices(size)
    for number in range(1, count + 1):
        centre = [rng.integers(0, side) for side in size]
        reach = rng.integers(*radius)
        ids[sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)) <= reach**2] = number
    from reunet.tasks.instances.flows import targets

    found = targets(ids)
    classes = np.eye(2, dtype=np.float32)[found["instances"]] * 0.8
    classes += rng.random(classes.shape, np.float32) * 0.2
    classes /= classes.sum(-1, keepdims=True)
    flows = np.nan_to_num(found["flows"]) + rng.normal(0, 0.05, (*size, len(size)))
    kinds = rng.dirichlet((1, 1, 1), size)
    return np.concatenate([classes, flows, kinds], axis=-1).astype(np.float32)


def same_objects(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two instance maps show the same objects under other ids."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return (
        all(len(np.unique(ids)) == pairs.shape[1] for ids in pairs)
        and ((pairs[0] == 0) == (pairs[1] == 0)).all()
    )


@pytest.mark.parametrize("seed", range(6))
def test_objects_across_sections_are_those_of_the_whole_image(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(memory, "ACROSS", 2)
    monkeypatch.setattr(cutting, "ROWS", {2: 40})
    plan = plan_of(("instances",), (32, 32), 7)
    predictor = Predictor(plan, Channels(plan))
    monkeypatch.setattr(type(predictor.work.main), "reach", {2: 60})
    image = discs((211, 187), 90, rng, (3, 12))
    found = Sections(predictor, lazy(image), where="image")
    assert len(found.strips) > 2
    ids = assembled(found, "instances")
    ids = found.ids[ids]
    whole = predictor(image).instances
    assert whole.max() > 40
    assert same_objects(ids, whole)
    assert ids.dtype == np.int32
    assert sorted(np.unique(ids)) == list(range(whole.max() + 1))
    check_table(found, ids, predictor(image).labels)


@pytest.mark.parametrize("tasks", [("instances",), ("detection",), ("semantic",)])
def test_pieces_predicted_apart_are_the_whole_image(
    tasks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    monkeypatch.setattr(memory, "ACROSS", 2)
    monkeypatch.setattr(cutting, "ROWS", {2: 40})
    monkeypatch.setattr(cutting, "HIGH", 2)
    plan = plan_of(tasks, (32, 32), 7)
    predictor = Predictor(plan, Channels(plan))
    image = discs((211, 187), 90, rng, (3, 12))
    whole = Sections(predictor, lazy(image), where="image")
    sections = list(whole)
    apart = Sections(predictor, lazy(image), where="image")
    assert len(apart.pieces) > 2 * len(apart.strips) > 4
    found: list[Section] = []
    for piece in rng.permutation(np.array(apart.pieces, object)):
        some = Sections(predictor, lazy(image), where="image", piece=tuple(piece), intensity=apart.intensity)
        parts = list(some)
        before = apart.summary.absorb(pickle.loads(pickle.dumps(some.summary)))
        for part in parts:
            if part.instances is not None:
                part = replace(part, instances=np.where(part.instances > 0, part.instances + before, 0))
            found.append(part)
    for kind, ids in (("labels", None), ("instances", (whole.ids, apart.ids))):
        one, other = (pixels(some, kind, image.shape[:2]) for some in (sections, found))
        if ids is not None and one.any():
            one, other = ids[0][one], ids[1][other]
            assert same_objects(one, other)
            assert other.max() > 40
        else:
            np.testing.assert_array_equal(one, other)
    assert (whole.boxes is None) == (apart.boxes is None)
    if whole.boxes is not None:
        rows = [np.unique(np.column_stack([b.corners, b.scores]), axis=0) for b in (whole.boxes, apart.boxes)]
        np.testing.assert_allclose(*rows, atol=1e-5)


def pixels(sections: list[Section], kind: str, size: tuple[int, ...]) -> np.ndarray:
    result = np.zeros(size, np.int32)
    for section in sections:
        if getattr(section, kind) is not None:
            result[section.part] = getattr(section, kind)
    return result


def check_table(found: Sections, ids: np.ndarray, labels: np.ndarray) -> None:
    from reunet.contracts.labels import majority_class
    from reunet.tasks.instances.properties import object_table

    classes = majority_class(ids, labels, CLASSES.labels)
    assert len(np.unique(classes)) == 2
    expected = object_table(ids, np.zeros((*ids.shape, 1)), classes=classes)
    assert "class" in found.objects
    for name, values in found.objects.items():
        np.testing.assert_allclose(values, expected[name], err_msg=name)


def test_objects_across_sections_of_a_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "ACROSS", 2)
    monkeypatch.setattr(cutting, "ROWS", {3: 16})
    plan = plan_of(("instances",), (16, 16, 16), 8)
    predictor = Predictor(plan, Channels(plan))
    monkeypatch.setattr(type(predictor.work.main), "reach", {3: 16})
    image = discs((34, 30, 40), 30, np.random.default_rng(0), (2, 6))
    found = Sections(predictor, lazy(image), where="image")
    ids = assembled(found, "instances")
    assert same_objects(found.ids[ids], predictor(image).instances)
    check_table(found, found.ids[ids], predictor(image).labels)


@pytest.mark.parametrize("seed", range(3))
def test_boxes_across_sections_are_those_of_the_whole_image(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(memory, "ACROSS", 2)
    monkeypatch.setattr(cutting, "ROWS", {2: 40})
    plan = plan_of(("detection",), (32, 32), 6)
    predictor = Predictor(plan, Channels(plan))
    monkeypatch.setattr(type(predictor.work.main), "reach", {2: 60})
    image = np.zeros((180, 170, 6), np.float32)
    for y, x in rng.integers(0, 170, (150, 2)):
        image[y, x, rng.integers(2)] = rng.uniform(0.3, 1)
    image[..., 2:] = rng.normal(-0.5, 0.2, (180, 170, 4))
    found = Sections(predictor, lazy(image), where="image")
    assert sum(1 for _ in found) > 10
    whole = predictor(image).boxes
    assert len(whole) > 30
    assert len(found.boxes) == len(whole)
    one, other, overlap = overlapping(found.boxes, whole, 0.5)
    same = overlap > 0.999
    assert len(np.unique(one[same])) == len(np.unique(other[same])) == len(whole)


@pytest.mark.parametrize("method", ["image_zscore", "image_percentile"])
def test_intensities_are_measured_over_the_whole_image(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reunet.sampling.intensity.MAX_SAMPLES", 1000)
    plan = plan_of(
        ("semantic",), (32, 32), 3, input=InputSpec(channels=3, intensity=Intensity(method=method))
    )
    predictor = Predictor(plan, Channels(plan))
    image = (np.random.default_rng(0).normal(40000, 50, (120, 130, 3))).astype(np.uint16)
    monkeypatch.setattr(memory, "ACROSS", 2)
    found = assembled(
        Sections(predictor, lazy(image), where="image", keep_probabilities=True), "probabilities"
    )
    np.testing.assert_allclose(found, predictor(image).probabilities, atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(data=st.data(), rank=st.sampled_from([2, 3]), method=st.sampled_from(["fixed", "image_zscore"]))
def test_an_image_that_is_seen_at_another_resolution(data: st.DataObject, rank: int, method: str) -> None:
    longest = {2: 120, 3: 40}[rank]
    size = data.draw(st.tuples(*[st.integers(4, longest)] * rank))
    spacing = data.draw(st.tuples(*[st.floats(0.5, 3)] * rank))
    own = (1.0,) * rank if rank == 2 else (0.7, 1.0, 1.3)
    tile, changes = (16,) * rank, {}
    if method != "fixed":
        changes["input"] = InputSpec(channels=3, intensity=Intensity(method=method))
    plan = plan_of(("semantic",), tile, 3, spacing=spacing, **changes)
    predictor = Predictor(plan, Channels(plan))
    image = np.random.default_rng(sum(size)).dirichlet((1, 1, 1), size).astype(np.float32)
    opened = lazy(image)
    opened = replace(opened, header=replace(opened.header, spacing=own if rank == 3 else None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "ACROSS", data.draw(st.integers(1, 4)))
        patch.setattr(cutting, "RESIZED", data.draw(st.integers(1, 2**14)))
        patch.setattr(cutting, "HIGH", 1)
        patch.setattr(cutting, "ROWS", {2: 40, 3: 8})
        sections = Sections(predictor, opened, where="image", keep_probabilities=True)
        probabilities = assembled(sections, "probabilities")
        pieces = [
            Sections(
                predictor,
                opened,
                where="image",
                keep_probabilities=True,
                piece=piece,
                intensity=sections.intensity,
            )
            for piece in sections.pieces
        ]
        apart = np.zeros_like(probabilities)
        for piece in pieces:
            for section in piece:
                apart[section.part] += section.probabilities
    whole = predictor(image, spacing=own if rank == 3 else None).probabilities
    np.testing.assert_allclose(probabilities, whole, atol=5e-3 if rank == 2 else 2e-4)
    np.testing.assert_allclose(apart, probabilities, atol=1e-5)


@pytest.mark.parametrize("spacing", [(2.0, 1.7), (0.8, 0.6)])
def test_objects_and_boxes_of_an_image_that_is_seen_at_another_resolution(
    spacing: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "ACROSS", 2)
    monkeypatch.setattr(cutting, "ROWS", {2: 40})
    rng = np.random.default_rng(0)
    plan = plan_of(("instances",), (32, 32), 7, spacing=spacing)
    predictor = Predictor(plan, Channels(plan))
    monkeypatch.setattr(type(predictor.work.main), "reach", {2: 60})
    image = discs((211, 187), 60, rng, (6, 14))
    found = Sections(predictor, lazy(image), where="image")
    ids = assembled(found, "instances")
    ids, whole = found.ids[ids], predictor(image).instances
    assert whole.max() > 20
    assert (ids > 0).any()
    assert np.mean((ids > 0) != (whole > 0)) < 1e-3
    assert abs(int(ids.max()) - int(whole.max())) <= 1

    plan = plan_of(("detection",), (32, 32), 6, spacing=spacing)
    predictor = Predictor(plan, Channels(plan))
    monkeypatch.setattr(type(predictor.work.main), "reach", {2: 60})
    image = np.zeros((180, 170, 6), np.float32)
    for y, x in rng.integers(0, 170, (60, 2)):
        image[y : y + 3, x : x + 3, rng.integers(2)] = rng.uniform(0.3, 1)
    image[..., 2:] = -0.5
    found = Sections(predictor, lazy(image), where="image")
    assert sum(1 for _ in found) >= 8
    boxes = predictor(image).boxes
    assert len(boxes) > 15
    assert len(found.boxes) == len(boxes)
    one, other, overlap = overlapping(found.boxes, boxes, 0.5)
    same = overlap > 0.99
    assert len(np.unique(one[same])) == len(np.unique(other[same])) == len(boxes)


@pytest.mark.parametrize("task", ["semantic", "classification"])
def test_a_network_that_sees_all_images_at_one_size_needs_the_whole_image(task: str) -> None:
    plan = plan_of(("semantic",), (32, 32), 3)
    predictor = Predictor(plan, Channels(plan))
    fixed = plan.input.model_copy(update={"size": (32, 32)})
    predictor.plan = plan.model_copy(update={"input": fixed, "tasks": (task,)})
    predictor.work = Work((task,), Classes(CLASSES.labels, CLASSES.labels))
    with pytest.raises(PlanError, match="one size"):
        Sections(predictor, lazy(np.zeros((90, 90, 3), np.uint8)), where="image")


def test_less_memory_means_narrower_strips_and_too_little_is_refused() -> None:
    plan = plan_of(("semantic",), (32, 32), 3)
    predictor = Predictor(plan, Channels(plan))
    image = lazy(np.zeros((64, 2000, 3), np.float32), chunk=1)
    wide = Sections(predictor, image, where="image")
    needed = max(memory.of_strip(wide.cut, strip) for strip in wide.strips)
    allowed = memory.WAITING + (needed - memory.WAITING) * 2 // 3
    narrow = Sections(predictor, image, where="image", max_memory=allowed)
    assert len(narrow.strips) > len(wide.strips)
    assert max(memory.of_strip(narrow.cut, strip) for strip in narrow.strips) <= allowed
    with pytest.raises(TooLargeError, match="max-memory"):
        Sections(predictor, image, where="image", max_memory=1000)


def test_bad_pixels_and_wrong_channels_are_named() -> None:
    plan = plan_of(("semantic",), (32, 32), 3)
    predictor = Predictor(plan, Channels(plan))
    image = np.zeros((100, 100, 3), np.float32)
    image[90, 90] = np.nan
    with pytest.raises(DataError, match="cell"):
        assembled(Sections(predictor, lazy(image), where="cell"), "labels")
    with pytest.raises(PlanError, match="channels"):
        assembled(Sections(predictor, lazy(image[..., :2]), where="cell"), "labels")


def test_stopping_early_ends_the_threads() -> None:
    import threading

    plan = plan_of(("semantic",), (32, 32), 3)
    before = threading.active_count()
    sections = iter(
        Sections(Predictor(plan, Channels(plan)), lazy(np.zeros((900, 900, 3), np.float32)), where="x")
    )
    next(sections)
    assert threading.active_count() == before + 2
    del sections
    assert threading.active_count() == before


def test_what_the_engine_raises_arrives(tmp_path: Path) -> None:
    plan = plan_of(("semantic",), (32, 32), 3)

    class Broken(Channels):
        def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
            return {"semantic": batch * np.nan}

    with pytest.raises(ModelFileError, match="not finite"):
        list(Sections(Predictor(plan, Broken(plan)), lazy(np.zeros((900, 900, 3), np.float32)), where="x"))


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize(("tasks", "around"), [(("semantic",), 0), (("instances",), 20)])
def test_the_memory_of_a_strip_is_the_formula_of_the_page(
    tasks: tuple[str, ...], around: int, tta: bool
) -> None:
    """docs/scaling.md: C channels of b bytes, K of the heads, B tiles of t0 x t1, chunks of c0 rows."""
    height, t0, t1, c0, c, b, strip = 300, 16, 32, 7, 7, 2, (slice(100, 200),)
    plan = plan_of(tasks, (t0, t1), c)
    predictor = Predictor(plan, Channels(plan), tta=tta)
    k, batch = sum(head.channels for head in plan.network.heads), predictor.tiling.batch
    cut = cutting.Cutting(lazy(np.zeros((height, 400, c), np.uint16), c0), predictor, around, "image")
    w = 100 + 2 * around
    parts = {
        "reading": 2 * min(t0 + 2 * c0, height + c0) * (w + 2 * t1) * c * b,
        "chunks": 10 * c0 * c0 * c * b,
        "tiles": 4 * batch * t0 * t1 * (c + k) * 4 * (2 if tta else 1),
        "band": t0 * w * k * 4,
        "decoding": min(1024 + 2 * around + t0, height) * w * (8 * k + 40) if around else t0 * w * 16,
        "waiting": 2**27,
    }
    assert memory.of_strip(cut, strip) == sum(parts.values())


def test_the_memory_of_a_strip_that_is_seen_at_half_the_resolution() -> None:
    """Reading takes 4 bytes of what the network sees; chunks as stored and what is resized come beside it."""
    height, t0, t1, c0, c, b, strip = 300, 16, 32, 8, 3, 2, (slice(100, 200),)
    plan = plan_of(("semantic",), (t0, t1), c, spacing=(2.0, 2.0))
    predictor = Predictor(plan, Channels(plan))
    cut = cutting.Cutting(lazy(np.zeros((height, 400, c), np.uint16), c0), predictor, 0, "image")
    assert cut.seen == (150, 200)
    k, batch, w, rows = 3, predictor.tiling.batch, 100, min(1024, 2**27 // (100 * 3 * 4))
    (seen,) = cut.needed((slice(0, height), *strip))[1:]
    seen_w = seen.stop - seen.start
    expected = 2 * min(t0 + 2 * c0 // 2, height // 2 + c0 // 2) * (seen_w + 2 * t1) * c * 4
    expected += 10 * c0 * c0 * c * b + 4 * batch * t0 * t1 * (c + k) * 4 + 2**27
    expected += t0 * seen_w * k * 4 + t0 * w * 16
    expected += (c0 + 4) * w * c * (b + 12)  # 4 rows of the network in chunks, stretched to 8
    expected += 3 * rows * w * k * 4 + t0 * seen_w * k * 4
    assert memory.of_strip(cut, strip) == expected


@pytest.mark.parametrize("tta", [False, True])
def test_the_memory_of_an_image_at_once_is_the_formula_of_the_docstring(tta: bool) -> None:
    pages, size, c = 5, (30, 40), 7
    plan = plan_of(("semantic",), (16, 32), c)
    predictor, k = Predictor(plan, Channels(plan), tta=tta), 3
    header = ImageHeader(size, c, "uint8", pages, "", None, False, False)
    one_page = c * (4 + 3 * 4) + k * 4 * (3 if tta else 2) + 16
    for kept in (False, True):
        others = (pages - 1) * 2 * (1 + k * 4 * kept)
        needed = memory.at_once(header, predictor, keep_probabilities=kept)
        assert needed - memory.BASE == size[0] * size[1] * (one_page + others)


def test_pieces_are_some_tiles_high_whatever_the_width_of_a_tile() -> None:
    step = cutting.ROWS[2]
    high = 3 * step // cutting.HIGH // 2
    plan = plan_of(("semantic",), (high, 16), 3)
    cut = cutting.Cutting(
        lazy(np.zeros((9000, 70, 3), np.uint8)), Predictor(plan, Channels(plan)), 0, "image"
    )
    assert cut.pieces([(slice(0, 70),)])[0][0] == slice(0, 2 * step)


def test_strips_are_as_wide_as_the_memory_allows() -> None:
    plan = plan_of(("semantic",), (64, 64), 3)
    cut = cutting.Cutting(
        lazy(np.zeros((64, 6000, 3), np.uint8)), Predictor(plan, Channels(plan)), 0, "image"
    )

    def needed(strips: list[Slices]) -> int:
        assert [part.start for (part,) in strips] == [0, *(part.stop for (part,) in strips)][:-1]
        assert strips[-1][-1].stop == 6000
        return max(memory.of_strip(cut, strip) for strip in strips)

    wide = memory.strips_within(cut, None)
    assert len(wide) == np.ceil(len(cut.axes[1].starts) / 64) == 2
    before = wide
    while len(before) < len(cut.axes[1].starts):
        assert memory.strips_within(cut, needed(before)) == before
        narrower = memory.strips_within(cut, needed(before) - 1)
        assert len(narrower) > len(before)
        assert needed(narrower) < needed(before)
        before = narrower
    with pytest.raises(TooLargeError, match=r"(?s)at most 1\d\d MB beside.*about 1\d\d MB"):
        memory.strips_within(cut, needed(before) - 1)
