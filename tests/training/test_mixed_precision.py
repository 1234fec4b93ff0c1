"""Mixed precision where the backend has no rewrite for it: layers of their own, values in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder

MakePlan = Callable[..., Path]


@pytest.mark.keras
@pytest.mark.parametrize("normalisation", ["batch", "instance"])
def test_steps_are_made_in_bfloat16_and_everything_else_in_float32(
    normalisation: str, tiny_dataset: Path, tmp_path: Path, backend: str, make_plan: MakePlan
) -> None:
    import keras

    from reunet.training.compile import as_trained, compiled_network
    from reunet.training.state import capture, restore

    changes = {"precision": "bfloat16", "network__normalisation": normalisation}
    plan = Plan.read(make_plan(tmp_path / "plan.json", tiny_dataset, **changes))
    model = compiled_network(plan)
    trained = as_trained(model, plan)
    if backend == "tensorflow":  # its graph is rewritten instead
        assert trained is model
        return
    assert keras.config.dtype_policy().name == "float32"
    computed = {layer.name: layer.compute_dtype for layer in trained.layers if layer.weights}
    assert {dtype for name, dtype in computed.items() if "logits" not in name} == {"bfloat16"}
    assert {str(variable.dtype) for variable in trained.trainable_variables} == {"float32"}
    random = np.random.default_rng(0)
    images = random.normal(size=(4, 32, 32, 1)).astype(np.float32)
    targets = {"semantic": (images[..., 0] > 0).astype(np.int32)}
    losses = {
        one: [float(one.train_on_batch(images, targets, return_dict=True)["loss"]) for _ in range(10)]
        for one in (model, trained)
    }
    assert str(trained(images)["semantic"].dtype).endswith("float32"), "logits"
    assert losses[trained][-1] == pytest.approx(losses[model][-1], rel=0.05)
    assert losses[trained][-1] < 0.9 * losses[trained][0]
    restore(model, capture(trained))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(images)["semantic"]),
        keras.ops.convert_to_numpy(trained(images)["semantic"]),
        atol=0.3,
    )


@pytest.mark.keras_slow
def test_a_run_that_was_trained_so_predicts_as_its_export(
    tiny_dataset: Path, tmp_path: Path, make_plan: MakePlan
) -> None:
    from reunet.flows.train.train import train

    plan = make_plan(tmp_path / "plan.json", tiny_dataset, precision="bfloat16")
    train(tiny_dataset, output=tmp_path / "run", plan=plan)
    assert RunFolder(tmp_path / "run").engine_facts_file.is_file(), "the export agrees with float32"
