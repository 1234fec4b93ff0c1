"""Export to OpenVINO: the engine computes what the Keras network computes, for every kind of network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import Calibration, Inference, InputSpec, Intensity, Plan, Schedule
from reunet.contracts.run import RunFolder
from reunet.errors import BackendError, ModelFileError
from reunet.exporting import child
from reunet.exporting.measure import Trial
from reunet.exporting.openvino import export_engine, synthetic_tile
from reunet.inference.keras_runtime import load_keras
from reunet.inference.load import load
from reunet.inference.openvino_runtime import OpenVINORuntime, native_bf16

pytestmark = pytest.mark.keras_slow

NETWORKS: dict[str, dict[str, object]] = {
    "batch": {"normalisation": "batch"},
    "instance, leaky, deep supervision": {
        "normalisation": "instance",
        "activation": "leaky_relu",
        "deep_supervision": True,
        "filters": (4, 8, 12),
        "strides": ((2, 2), (2, 1)),
    },
    "group, dropout, three channels": {
        "normalisation": "group",
        "dropout": 0.5,
        "filters": (8, 16),
        "in_channels": 3,
    },
    "valid": {"normalisation": "none", "padding": "valid"},
}


def make_run(folder: Path, **fields: object) -> RunFolder:
    """A run with random weights and random moving statistics, without an engine."""
    from reunet.networks import build_network
    from reunet.training.state import weights_content

    defaults = {"in_channels": 1, "filters": (4, 8), "strides": ((2, 2),), "heads": (HeadSpec(channels=3),)}
    network = NetworkConfig(**{**defaults, **fields})
    plan = Plan(
        dataset="noise",
        labels=LabelMap(classes=default_classes([0, 1, 2])),
        input=InputSpec(channels=network.in_channels, intensity=Intensity(method="image_zscore")),
        network=network,
        patch=(36, 44),
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=(36, 44)),
    )
    run = RunFolder(folder)
    plan.write(run.plan_file)
    model = build_network(network)
    random = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif variable.path.endswith(("beta", "moving_mean", "bias")):
            variable.assign(random.normal(0, 0.3, variable.shape))
    run.publish_weights(plan, weights_content(model, plan))
    run.write_calibration(Calibration())
    return run


EVERYWHERE = "instance, leaky, deep supervision"
BY_DAY = {EVERYWHERE: [pytest.mark.keras], "batch": []}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=BY_DAY.get(name, [pytest.mark.slow])) for name in NETWORKS],
)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = make_run(tmp_path_factory.mktemp("run"), **NETWORKS[request.param])
    export_engine(run)
    return run


def test_engine_equals_keras_on_other_tile_sizes_too(exported: RunFolder) -> None:
    plan = exported.plan()
    keras_runtime = load_keras(exported, plan)
    for tile in ((36, 44), (52, 28)):
        engine = OpenVINORuntime(exported.engine_file, tile, "f32")
        x = np.random.default_rng(1).normal(size=(3, *tile, plan.network.in_channels)).astype(np.float32)
        one, other = engine(x), keras_runtime(x)
        assert one.keys() == other.keys() == {"semantic"}
        np.testing.assert_allclose(one["semantic"], other["semantic"], atol=1e-4)
        assert one["semantic"].std() > 0.01


def test_the_predictor_gives_the_same_with_both_engines(exported: RunFolder) -> None:
    channels = exported.plan().input.channels
    image = np.random.default_rng(2).integers(0, 256, (50, 61, channels), np.uint8)
    engine = load(exported.path, engine="auto", precision="f32")
    assert engine.runtime.name == "openvino"
    keras_engine = load(exported.path, engine="keras")
    difference = np.abs(engine(image).probabilities - keras_engine(image).probabilities).max()
    assert difference < 1e-4


def test_the_engine_spends_its_time_on_convolutions(exported: RunFolder) -> None:
    graph = ov.Core().read_model(exported.engine_file)
    graph.reshape([1, 36, 44, exported.plan().network.in_channels])
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kinds = [op.get_rt_info()["layerType"].astype(str) for op in compiled.get_runtime_model().get_ops()]
    assert kinds.count("Transpose") <= 2, "one at the input, one at the output"


def test_the_facts_say_what_was_measured(exported: RunFolder) -> None:
    facts = json.loads(exported.engine_facts_file.read_text())
    assert facts["schema_version"] == 1
    assert facts["tile"] == [36, 44]
    assert facts["precision"]["f32"]["max_difference"] < 1e-4
    assert (facts["precision"]["bf16"] is not None) == native_bf16()
    if native_bf16():
        bf16 = facts["precision"]["bf16"]
        assert 0 <= bf16["labels_differ_ppm"] <= 1e6
        assert bf16["max_difference"] > 0
    assert facts["weights_sha256"] == json.loads(exported.weights_facts_file.read_text())["sha256"]
    text = exported.engine_facts_file.read_text() + exported.engine_file.read_text()
    assert str(exported.path) not in text, "a run folder holds no absolute paths"


def test_the_self_test_is_what_the_network_gives(exported: RunFolder) -> None:
    tile = np.load(exported.self_test / "input.npy")
    np.testing.assert_array_equal(tile, synthetic_tile(exported.plan()))
    assert tile.mean() == pytest.approx(0, abs=1e-4)
    assert tile.std() == pytest.approx(1, abs=1e-4)
    engine = OpenVINORuntime(exported.engine_file, (36, 44), "f32")
    np.testing.assert_allclose(
        engine(tile)["semantic"], np.load(exported.self_test / "expected_semantic.npy"), atol=1e-4
    )


def test_bf16_is_compared_on_the_samples_given(tmp_path: Path) -> None:
    if not native_bf16():
        pytest.skip("this CPU has no bfloat16 arithmetic")
    run = make_run(tmp_path / "run")
    samples = np.random.default_rng(0).normal(size=(3, 36, 44, 1)).astype(np.float32)
    calls = []
    reference = load_keras(run, run.plan())

    def counting(tiles: np.ndarray) -> dict[str, np.ndarray]:
        calls.append(len(tiles))
        return reference(tiles)

    facts = export_engine(run, Trial(samples), counting)
    assert calls == [1]
    assert facts["precision"]["bf16"]["pixels"] == 3 * 36 * 44
    engines = [OpenVINORuntime(run.engine_file, (36, 44), precision) for precision in ("bf16", "f32")]
    one, other = (engine(samples)["semantic"].argmax(-1) for engine in engines)
    measured = facts["precision"]["bf16"]["labels_differ_ppm"]
    assert measured == pytest.approx(1e6 * (one != other).mean(), abs=0.1)


@pytest.mark.parametrize(
    ("error", "where"),
    [pytest.param(2e-4, np.s_[:], marks=pytest.mark.keras), (2e-4, np.s_[:, 0, :1])],
)
def test_a_wrong_export_is_refused_and_the_old_engine_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float, where: tuple[slice, ...]
) -> None:
    """Wrong a little everywhere, or at a single pixel."""
    run = make_run(tmp_path / "run")
    run.engine_file.parent.mkdir()
    run.engine_file.write_text("the old engine")
    real = load_keras(run, run.plan())

    def different(tiles: np.ndarray) -> dict[str, np.ndarray]:
        probabilities = np.array(real(tiles)["semantic"])
        probabilities[where] += np.float32(error)
        return {"semantic": probabilities}

    with pytest.raises(BackendError, match="does not compute"):
        export_engine(run, reference=different)
    monkeypatch.setattr(child.sys, "executable", "false")
    with pytest.raises(BackendError, match="failed"):
        export_engine(run, reference=real)
    assert [path.name for path in run.engine_file.parent.iterdir()] == ["model.xml"]
    assert run.engine_file.read_text() == "the old engine"
    assert not run.self_test.exists()


def test_damaged_weights_are_not_exported(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    content = bytearray(run.weights_file.read_bytes())
    content[len(content) // 2] ^= 1
    run.weights_file.write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged"):
        export_engine(run)


def test_the_child_works_where_no_framework_is_installed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "torch", "jax"):
            raise ImportError(f"{{name}} must not be needed")
sys.meta_path.insert(0, Blocker())
from pathlib import Path
from reunet.exporting.openvino_child import main
main(Path({str(run.plan_file)!r}), Path({str(run.weights_file)!r}), Path({str(tmp_path / "m.xml")!r}))
"""
    environment = {**os.environ, "KERAS_BACKEND": "openvino"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.bin").stat().st_size > 1000
