"""Engines in int8: fewer bits, the same labels, stored and chosen like the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from reunet.contracts.run import RunFolder
from reunet.errors import ModelFileError
from reunet.exporting import int8
from reunet.exporting.measure import Trial
from reunet.exporting.openvino import export_engine, synthetic_image, synthetic_tile
from reunet.inference.load import load

pytestmark = pytest.mark.usefixtures("backend")  # OpenVINO does all of it


def test_a_run_gets_an_engine_in_int8_that_is_measured(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf")
    monkeypatch.setattr(int8, "is_installed", lambda: True)
    run = RunFolder(tmp_path / "run")
    shutil.copytree(tiny_run, run.path)
    tile = synthetic_tile(run.plan())
    crops = np.concatenate([np.roll(tile, 7 * i, axis=1) for i in range(8)])
    scores = iter((0.9, 0.8, 0.7, 0.6))
    facts = export_engine(run, Trial(crops, crops, lambda runtime: next(scores)))
    assert json.loads(run.engine_facts_file.read_text()) == facts
    told = facts["precision"]["int8"]
    assert told["tiles_per_second"] > 0
    assert told["score_drop"] == pytest.approx(0.9 - told["score"])
    assert 0 < told["max_difference"] < 0.5, "rounded, but the same network"
    assert told["labels_differ_ppm"] < 50_000
    assert b"FakeQuantize" in run.int8_file.read_bytes()
    compiled = ov.Core().compile_model(ov.Core().read_model(run.int8_file), "CPU")
    kinds = [operation.get_rt_info() for operation in compiled.get_runtime_model().get_ops()]
    ways = [kind["runtimePrecision"].astype(str) for kind in kinds if "Conv" in kind["layerType"].astype(str)]
    assert {way for way in ways if way not in ("i8", "u8")} == set(), "each convolution is in int8"
    engine = load(run.path, precision="int8")
    assert engine.runtime.precision == "int8"
    image = 120 + 40 * synthetic_image((80, 70), 1)
    differ = engine(image).labels != load(run.path, precision="f32")(image).labels
    assert differ.mean() < 0.05
    run.int8_file.with_suffix(".bin").write_bytes(b"damaged")
    with pytest.raises(ModelFileError, match="damaged"):
        load(run.path)
