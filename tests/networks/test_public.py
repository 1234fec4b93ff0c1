"""What a researcher imports: slots filled with functions of one's own, logits, saved networks."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reunet
from reunet.backend import after_import
from reunet.errors import PlanError, UsageError

HEADS = ({"channels": 2},)
SMALL = {"filters": (4, 8), "in_channels": 1, "heads": HEADS}


@pytest.mark.usefixtures("backend")
def test_a_slot_takes_a_function() -> None:
    import keras

    places = []

    def wide(x: Any, filters: int, scope: Any) -> Any:
        places.append(scope.path)
        return keras.layers.Conv2D(filters, 5, padding="same", name=scope.name("wide"))(x)

    config = reunet.networks.configure("unet", **SMALL)
    network = reunet.networks.build(config, block=wide, size=(16, 16))
    assert places == ["enc0", "enc1", "dec0"]
    assert network.get_layer("dec0_wide").kernel.shape == (5, 5, 8, 4)
    assert network(np.zeros((1, 16, 16, 1), np.float32))["semantic"].shape == (1, 16, 16, 2)
    with pytest.raises(UsageError, match="did you mean 'block'"):
        reunet.networks.build(config, blok=wide)
    with pytest.raises(UsageError, match=r"configure\(\.\.\., block='residual'\)"):
        reunet.networks.build(config, block="residual")


@pytest.mark.usefixtures("backend")
def test_logits_are_what_the_softmax_is_taken_of() -> None:
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 1)).astype(np.float32)
    told = {
        output: np.asarray(reunet.unet_model((16, 16, 1), 2, seed=0, filters=(4, 8), output=output)(image))
        for output in ("probabilities", "logits")
    }
    odds = np.exp(told["logits"])
    np.testing.assert_allclose(odds / odds.sum(axis=-1, keepdims=True), told["probabilities"], atol=1e-5)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"filtres": (4, 8)}, "did you mean 'filters'"),
        ({"output": "logit"}, "did you mean 'logits'"),
        ({"backbone": "resnet50"}, "did you mean 'encoder'"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_one(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanError, match=told):
        reunet.unet_model((16, 16, 1), 2, **wrong)


def test_a_saved_recurrent_network_is_read_after_the_import_that_the_error_names(
    tmp_path: Path, backend: str, child_environment: dict[str, str]
) -> None:
    file = tmp_path / "net.keras"
    network = reunet.unet_model((16, 16, 1), 2, "cnn_rnn_unet", filters=(4, 8), normalisation="instance")
    network.save(file)
    image = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 16, 16, 1)
    code = f"""
import keras, numpy as np
try:
    keras.models.load_model({str(file)!r})
except Exception as error:
    assert "reunet.networks" in str(error), error
else:
    raise SystemExit("it was read without the import")
import reunet.networks
image = np.linspace(0, 1, 256, dtype="float32").reshape(1, 16, 16, 1)
print(float(np.asarray(keras.models.load_model({str(file)!r})(image))[0, 3, 5, 1]))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], env={**child_environment, "KERAS_BACKEND": backend},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout) == pytest.approx(float(np.asarray(network(image))[0, 3, 5, 1]), abs=1e-6)


def test_something_is_done_as_soon_as_a_module_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "awaited_module.py").write_text("VALUE = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    seen = []
    after_import("awaited_module", lambda: seen.append(sys.modules["awaited_module"].VALUE))
    assert not seen
    importlib.import_module("awaited_module")
    after_import("awaited_module", lambda: seen.append(4))
    assert seen == [3, 4]
    del sys.modules["awaited_module"]


@pytest.mark.parametrize("module", ["networks", "losses", "metrics"])
def test_dir_shows_names_that_are_there(module: str, backend: str) -> None:
    room = getattr(reunet, module)
    assert dir(room)
    for name in dir(room):
        assert not name.startswith("_")
        assert getattr(room, name) is not None
    with pytest.raises(AttributeError, match="did you mean"):
        getattr(room, dir(room)[0][:-1] + "x")
