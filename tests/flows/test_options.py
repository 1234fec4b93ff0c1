"""What is asked for is looked at before the data are opened: it is told even of data that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import reunet
from reunet.contracts.run import RunFolder
from reunet.errors import ModelFileError, PlanError, ReunetError, UsageError

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"preset": "r2unett"}, "did you mean 'r2unet'"),
    ({"encoder": "vgg61"}, "did you mean 'vgg16'"),
    ({"loss": "dice"}, "loss"),
    ({"task": ("semantc",)}, "task"),
    ({"backend": "tensorflo"}, "did you mean 'tensorflow'"),
    ({"steps": 0}, "steps"),
    ({"minutes": 1, "epochs": 2}, "two budgets"),
    ({"max_memory": 1000}, "max_memory"),
    ({"seed": -1}, "seed"),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG)
def test_a_wrong_wish_is_told_before_the_data_are_opened(
    wrong: dict[str, Any], told: str, tmp_path: Path, backend: str
) -> None:
    asked = {"backend": backend} | wrong
    with pytest.raises((UsageError, PlanError)) as caught:
        reunet.plan(tmp_path / "nowhere", **asked)
    assert told in str(caught.value)
    with pytest.raises((UsageError, PlanError)) as caught:
        reunet.train(tmp_path / "nowhere", output=tmp_path / "run", **asked)
    assert told in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"presets": "unet,r2unett"}, "did you mean 'r2unet'"),
        ({"split": "train"}, "split"),
        ({"seeds": 0}, "seeds"),
        ({"minutes": 1, "steps": 2}, "two budgets"),
        ({"max_memory": 1000}, "max_memory"),
    ],
)
def test_so_it_is_of_a_comparison(wrong: dict[str, Any], told: str, tmp_path: Path, backend: str) -> None:
    asked = {"presets": "unet,resunet", "output": tmp_path / "race", "backend": backend} | wrong
    with pytest.raises(ReunetError) as caught:
        reunet.compare(tmp_path / "nowhere", **asked)
    assert told in str(caught.value)
    assert not (tmp_path / "race").exists()


def test_so_it_is_of_an_evaluation(tmp_path: Path) -> None:
    for wrong, told in (({"engine": "onx"}, "onnx"), ({"split": "tests"}, "did you mean 'test'")):
        with pytest.raises(UsageError, match=told):
            reunet.evaluate(tmp_path / "run", tmp_path / "nowhere", **wrong)  # type: ignore[arg-type]


def test_weights_of_an_encoder_that_a_plan_does_not_have_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    plan = RunFolder(tiny_run).plan_file
    with pytest.raises(UsageError, match="encoder_weights"):
        reunet.train(tmp_path / "nowhere", output=tmp_path / "run", plan=plan, encoder_weights="none")


def test_weights_of_an_encoder_are_found_before_any_data_is_read(tmp_path: Path) -> None:
    for encoder in ("efficientnet_lite0", "vgg16"):
        with pytest.raises(ModelFileError, match=r"absent\.h5"):
            reunet.train(
                tmp_path / "nowhere",
                output=tmp_path / "run",
                encoder=encoder,
                encoder_weights=str(tmp_path / "absent.h5"),
            )
    assert not (tmp_path / "run").exists()
