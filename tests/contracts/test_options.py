"""Options: each is declared once, is checked before anything is read, and has an effect or is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_origin

import numpy as np
import pytest

from reunet.cli import main
from reunet.contracts.options.fields import Option, Options
from reunet.contracts.options.records import (
    CheckOptions,
    CompareOptions,
    DemoOptions,
    EvaluateOptions,
    ExportOptions,
    ModelsOptions,
    PlanOptions,
    PredictOptions,
    ServeOptions,
    TrainOptions,
)
from reunet.contracts.options.verb import on_command_line, verb
from reunet.errors import UsageError

BUDGETS = {"minutes", "epochs", "steps"}
PLANNED = {"task", "preset", "encoder", "loss", "prompt", "seed", "max_memory", *BUDGETS}
TEAM = {"process_id", "coordinator"}
SINGLE = {"init", "freeze", "network", "processes", "log"}
TRAIN = {"output": "run"}
COMPARE = {"presets": "unet,resunet", "output": "race"}
PREDICT = {"run": "run", "inputs": "images"}
STREAM = {"run": "run", "inputs": "-"}
WHERE = {"max_memory", "cluster"}
PLACES = {"points", "fov", "sequence", "axes", "level"}
EVALUATE = {"run": "run", "data": "data"}
PAIR = {"pred": "a", "truth": "b"}

TABLE: list[tuple[type[Options], dict[str, Any], set[str]]] = [
    (CheckOptions, {}, set()),
    (PlanOptions, {}, set()),
    (PlanOptions, {"minutes": 1}, BUDGETS),
    (TrainOptions, TRAIN, {"freeze", "encoder_weights", *TEAM}),
    (TrainOptions, TRAIN | {"plan": "plan.json"}, {*PLANNED, *TEAM, "init", "freeze", "resume"}),
    (
        TrainOptions,
        TRAIN | {"init": "a"},
        {"plan", "encoder", "encoder_weights", "resume", "folds", *TEAM},
    ),
    (TrainOptions, TRAIN | {"encoder": "vgg16"}, {"plan", "init", "resume", *TEAM}),
    (TrainOptions, TRAIN | {"steps": 3}, {*BUDGETS, "plan", "resume", "freeze", "encoder_weights", *TEAM}),
    (TrainOptions, TRAIN | {"processes": 2}, {"freeze", "encoder_weights", "device", "folds"}),
    (TrainOptions, TRAIN | {"folds": 2}, {"encoder_weights", "resume", *SINGLE, *TEAM}),
    (TrainOptions, TRAIN | {"preset": "race"}, {"encoder_weights", "resume", "plan", *SINGLE, *TEAM}),
    (
        TrainOptions,
        TRAIN | {"resume": True},
        {*PLANNED, *TEAM, "plan", "init", "freeze", "encoder_weights", "overwrite", "folds"},
    ),
    (ServeOptions, {"runs": "run"}, set()),
    (PredictOptions, PREDICT, {"state"}),
    (PredictOptions, PREDICT | {"overwrite": True}, {"skip_existing", "state"}),
    (PredictOptions, STREAM, {"skip_existing", "scene", "geff", "uncertainty", *PLACES, *WHERE}),
    (PredictOptions, PREDICT | {"scene": True}, {"state", *PLACES}),
    (PredictOptions, PREDICT | {"device": "gpu"}, {"cluster", "state"}),
    (EvaluateOptions, EVALUATE, {"pred", "truth", "task"}),
    (
        EvaluateOptions,
        PAIR,
        {
            "run", "data", "split", "engine", "precision", "tta", "iterations", "cluster", "network",
            "masks", "allow_geometry_mismatch", "sequence", "boxes_from_masks",
        },
    ),
    (CompareOptions, COMPARE, set()),
    (CompareOptions, COMPARE | {"minutes": 1}, BUDGETS - {"epochs"}),
    (ExportOptions, {"run": "run", "format": "onnx", "output": "a.onnx"}, set()),
    (ModelsOptions, {}, {"output"}),
    (ModelsOptions, {"name": "unet"}, set()),
    (DemoOptions, {}, set()),
]  # fmt: skip


def another_value(option: Option) -> Any:
    """A value that the option takes and does not have by default."""
    if option.choices:
        name = next(name for name in option.choices if name not in (option.default, "auto"))
        return (name,) if get_origin(option.type) is tuple else name
    values: dict[Any, Any] = {bool: True, int: 7, float: 7.5, str: "some", Path: "some"}
    return values.get(option.type, ("some",))


@pytest.mark.parametrize(("record", "mode", "idle"), TABLE)
def test_every_option_has_an_effect_or_is_an_error(
    record: type[Options], mode: dict[str, Any], idle: set[str]
) -> None:
    record(**mode)
    for name, option in record.OPTIONS.items():
        if option.says is None or name in mode:
            continue
        given = mode | {name: another_value(option)}
        if name not in idle:
            assert record(**given).gives(name)
            continue
        with pytest.raises(UsageError) as caught:
            record(**given)
        assert option.flag in str(caught.value), "the message names the option"


@pytest.mark.parametrize(("record", "mode", "idle"), TABLE)
def test_an_option_without_effect_is_an_error_also_with_the_value_it_has_by_default(
    record: type[Options], mode: dict[str, Any], idle: set[str]
) -> None:
    for name in idle - mode.keys():
        option = record.OPTIONS[name]
        if option.default is None or option.default is False:
            assert record(**mode | {name: option.default})  # nothing was asked for
            continue
        with pytest.raises(UsageError) as caught:
            record(**mode | {name: option.default})
        assert option.flag in str(caught.value)


@pytest.mark.parametrize("way", [["--resume"], ["--plan", "plan.json"]])
@pytest.mark.parametrize(
    "wish", [["--seed", "0"], ["--preset", "auto"], ["--task", "auto"], ["--loss", "auto"]]
)
def test_so_it_is_on_the_command_line(
    way: list[str], wish: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(tmp_path / "data"), "-o", str(tmp_path / "run"), *way, *wish]) == 1
    assert f"{way[0]} with {wish[0]}" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "data"), "-o", str(tmp_path / "run"), *way]) == 1
    assert "contradict" not in capsys.readouterr().err


@pytest.mark.parametrize("record", dict.fromkeys(record for record, _, _ in TABLE))
def test_every_option_is_of_use_somewhere(record: type[Options]) -> None:
    idle = [found for kind, _, found in TABLE if kind is record]
    used = {name for kind, mode, _ in TABLE if kind is record for name in mode}
    assert not set.intersection(*idle) - used - TEAM
    for option in record.OPTIONS.values():
        names = () if option.says is None else (*option.says.only_with, *option.says.not_with)
        assert set(names) <= record.OPTIONS.keys()
    for _, names in record.MODES.values():
        assert set(names) <= record.OPTIONS.keys()


@pytest.mark.parametrize("record", dict.fromkeys(record for record, _, _ in TABLE))
def test_every_option_says_what_it_means(record: type[Options]) -> None:
    silent = {name for name, option in record.OPTIONS.items() if option.says is None}
    assert silent <= {"on_progress", "started"}
    for option in record.OPTIONS.values():
        assert option.says is None or option.says.help.endswith(".")


def test_text_is_taken_for_a_path_and_one_thing_for_several() -> None:
    options = PredictOptions("run", "a.png", fov="fov")
    assert (options.run, options.inputs, options.fov) == (Path("run"), (Path("a.png"),), Path("fov"))
    assert PredictOptions(Path("run"), ["a", Path("b")]).inputs == (Path("a"), Path("b"))
    assert PlanOptions(task=["instances", "semantic"]).task == ("instances", "semantic")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"engine": "onx"}, ["--engine", "did you mean 'onnx'", "openvino"]),
        ({"max_memory": 0}, ["--max-memory", "above 0"]),
        ({"max_memory": float("nan")}, ["--max-memory"]),
        ({"max_memory": "8 apples"}, ["--max-memory", "8 apples"]),
    ],
)
def test_a_value_that_is_not_taken_is_told(wrong: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        PredictOptions("run", "a.png", **wrong)
    assert all(text in str(caught.value) for text in told)


def test_a_record_stays_as_it_is() -> None:
    options = DemoOptions()
    with pytest.raises(AttributeError):
        options.minutes = 3.0


def test_a_verb_takes_the_fields_of_its_record() -> None:
    @verb(TrainOptions)
    def teach(options: TrainOptions) -> Path:
        """Teach a network."""
        return options.run

    assert teach("data", output="run") == Path("run")
    assert teach.__doc__ is not None
    assert "Teach a network." in teach.__doc__
    assert "output: Folder of the run; else DATA-run." in teach.__doc__
    with pytest.raises(TypeError, match=r"minuts.*did you mean 'minutes'"):
        teach("data", output="run", minuts=3)  # type: ignore[call-arg]
    assert teach("some/data").name == "data-run"
    with pytest.raises(UsageError, match="output"):
        teach(images="a", masks="b")  # nothing gives the run a name


def test_errors_are_in_the_words_of_the_caller() -> None:
    @verb(PredictOptions)
    def foretell(options: PredictOptions) -> None:
        """Predict."""
        raise UsageError(
            "give --engine keras, or --axes YX",
            where="--max-memory",
            received="RUN",
            fix="use --overwrite, another folder with -o, or `reunet check --axes`; --pred is of evaluate, "
            "not of --axes",
        )

    with pytest.raises(UsageError) as caught:
        foretell("run", "a.png")
    assert caught.value.what == "give engine='keras', or axes YX"
    assert (caught.value.where, caught.value.received) == ("max_memory", "RUN")
    assert caught.value.fix == (
        "use overwrite=True, another folder with output=..., or `reunet check --axes`; "
        "--pred is of evaluate, not of axes"
    )
    token = on_command_line.set(True)
    with pytest.raises(UsageError, match="give --engine keras"):
        foretell("run", "a.png")
    on_command_line.reset(token)


def test_one_thing_is_not_taken_for_another() -> None:
    with pytest.raises(UsageError, match=r"array of shape \(3, 4\)(.|\n)*reunet.load\(RUN\)\(image\)"):
        PredictOptions("run", np.zeros((3, 4)))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a list"):
        CompareOptions("data", presets=3, output="race")  # type: ignore[arg-type]
    assert CompareOptions("data", presets=["unet", "resunet"], output="race").presets == "unet,resunet"


def test_the_records_import_nothing_heavy() -> None:
    code = "import sys, reunet.contracts.options; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"numpy", "pydantic", "typer", "rich", "keras"}.isdisjoint(loaded.split())


def test_a_loss_that_is_a_function_leaves_the_plan_its_own() -> None:
    from reunet.planning import PlanRequest

    options = TrainOptions("data", output="run", loss=lambda truth, logits: 0.0)
    assert PlanRequest.of(options, "tensorflow", "cpu").loss == "auto"


def test_a_loss_is_a_known_name_or_a_function() -> None:
    with pytest.raises(UsageError, match=r"(?s)--loss.*nonsense"):
        TrainOptions("data", output="run", loss="nonsense")
    assert callable(TrainOptions("data", output="run", loss=len).loss)  # type: ignore[arg-type]
