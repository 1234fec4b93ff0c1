"""What belongs together in a run: parts of others are refused, moving it and harmless edits are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reunet.contracts.facts import EngineFacts, Meaning, WeightsFacts, differing
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import Calibration, Inference, InputSpec, Intensity, Plan, Schedule
from reunet.contracts.run import RunFolder
from reunet.errors import ModelFileError, ReunetError
from reunet.storage import sha256_file, write_json


def make_run(folder: Path, name: str = "cell", offset: float = 100.0) -> RunFolder:
    """A run as a training leaves it, but for the content of weights and engine, which nobody reads here."""
    run = RunFolder(folder)
    plan = Plan(
        dataset="x",
        labels=LabelMap(classes=default_classes([0, 1], ["background", name])),
        input=InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(offset,), scale=(50.0,))),
        network=NetworkConfig(
            in_channels=1, filters=(4, 8), strides=((2, 2),), heads=(HeadSpec(channels=2),)
        ),
        patch=(32, 32),
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=(32, 32)),
    )
    plan.write(run.plan_file)
    for file in (run.fingerprint_file, run.splits_file):
        write_json(file, {"of": [name, offset]})
    run.publish_weights(plan, f"{name}{offset}".encode())
    run.write_calibration(Calibration(threshold=0.5))
    run.engine_file.parent.mkdir()
    parts = [run.engine_file.with_name(part) for part in ("model.xml", "model.bin")]
    for part in parts:
        part.write_text(f"{part.name} of {name}")
    EngineFacts(
        files={part.name: sha256_file(part) for part in parts},
        weights_sha256=WeightsFacts.read(run.weights_facts_file).sha256,
        plan=Meaning.of(plan),
        precision={},
    ).write(run.engine_facts_file)
    return run


def use_all(run: RunFolder) -> None:
    """Everything that a command may read of it."""
    plan = run.plan()
    run.verified_weights(plan)
    run.verified_engine(plan)
    run.calibration(plan)
    for file in (run.fingerprint_file, run.splits_file):
        run.verified_data(file)


PARTS = (
    *("plan.json", "calibration.json", "fingerprint.json", "splits.json"),
    *("weights", "weights/best.weights.h5", "weights/weights.json"),
    *("engine", "engine/engine.json", "engine/model.xml"),
)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("other", [{"name": "debris"}, {"offset": 90.0}], ids=["classes", "input"])
def test_a_part_of_another_run_is_refused(part: str, other: dict[str, Any], tmp_path: Path) -> None:
    """The network is the same one: only what it was trained for and on is another thing."""
    run, foreign = make_run(tmp_path / "run"), make_run(tmp_path / "other", **other)
    use_all(run)
    if part == "engine/model.xml":
        (foreign.path / part).write_text("another graph")
    if (run.path / part).is_dir():
        shutil.rmtree(run.path / part)
        shutil.copytree(foreign.path / part, run.path / part)
    else:
        shutil.copyfile(foreign.path / part, run.path / part)
    with pytest.raises(ModelFileError) as caught:
        use_all(run)
    assert str(run.path) in str(caught.value)
    assert "fix:" in str(caught.value)


def edited(run: RunFolder, change: Callable[[dict[str, Any]], object]) -> None:
    plan = json.loads(run.plan_file.read_text())
    change(plan)
    run.plan_file.write_text(json.dumps(plan))


@pytest.mark.parametrize(
    ("change", "field", "values"),
    [
        (lambda p: p["labels"]["classes"][1].update(name="dust"), "labels.classes.1.name", ("cell", "dust")),
        (lambda p: p["labels"]["classes"].reverse(), "labels.classes.0.id", ("0", "1")),
        (lambda p: p["input"]["intensity"].update(offset=[7]), "input.intensity.offset.0", ("100", "7")),
        (lambda p: p.update(spacing=[2, 2]), "spacing", ("None", "2")),
        (lambda p: p["network"].update(filters=[8, 16]), "network.filters.0", ("4", "8")),
        (lambda p: p["network"].update(activation="leaky_relu"), "network.activation", ("relu", "leaky")),
    ],
)
def test_an_edit_that_changes_the_meaning_names_field_values_and_the_way_out(
    change: Callable[[dict[str, Any]], object], field: str, values: tuple[str, str], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    edited(run, change)
    for read in (run.verified_weights, run.verified_engine):
        with pytest.raises(ModelFileError) as caught:
            read(run.plan())
        for text in (field, *values, "plan.json", "set it back"):
            assert text in str(caught.value)


def test_facts_that_differ_in_any_field_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    sound = json.loads(run.engine_facts_file.read_text())
    others = {"prompt": "points", "clip": {"frames": 3}, "spacing": [1, 1], "tasks": ["x"]}
    others |= {"categories": sound["plan"]["labels"]}
    assert others.keys() | {"labels", "input", "network"} == Meaning.model_fields.keys()
    for field, value in others.items():
        facts = sound | {"plan": sound["plan"] | {field: value}}
        run.engine_facts_file.write_text(json.dumps(facts))
        with pytest.raises(ModelFileError, match=r"plan.json describes another [a-z ]+ than") as caught:
            run.verified_engine(run.plan())
        assert field in str(caught.value)


def test_what_may_be_edited_and_moved(tmp_path: Path) -> None:
    """Tiles, names that nobody computes with, colours; the folder; another order of the keys."""
    run = make_run(tmp_path / "run")
    edited(run, lambda plan: plan["inference"].update(tile=[64, 64], overlap=0.5))
    edited(run, lambda plan: plan.update(dataset="mine", reasons={}))
    edited(run, lambda plan: plan["labels"]["classes"][1].update(color=[1, 2, 3]))
    run.plan_file.write_text(json.dumps(json.loads(run.plan_file.read_text()), sort_keys=True))
    calibration = json.loads(run.calibration_file.read_text())
    run.calibration_file.write_text(json.dumps(calibration | {"threshold": 0.7}))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", run.path)
    shutil.unpack_archive(archive, tmp_path / "moved ü")
    use_all(RunFolder(tmp_path / "moved ü"))


def test_a_run_of_before_the_record_is_read(tmp_path: Path) -> None:
    """Its weights and engine tell their network alone, its calibration nothing."""
    run = make_run(tmp_path / "run")
    network = json.loads(run.plan_file.read_text())["network"]
    for file in (run.weights_facts_file, run.engine_facts_file):
        facts = json.loads(file.read_text()) | {"network": network, "plan": None}
        facts.pop("data", None)
        file.write_text(json.dumps(facts))
    run.calibration_file.write_text('{"threshold": 0.5}')
    use_all(run)
    edited(run, lambda plan: plan["network"].update(filters=[8, 16]))
    with pytest.raises(ModelFileError, match="another network"):
        use_all(run)


@pytest.mark.parametrize("scores", [[0.5, 0.5], [0.1] * 254])
def test_a_calibration_for_other_classes(scores: list[float], tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    written = json.loads(run.calibration_file.read_text())
    run.calibration_file.write_text(json.dumps(written | {"score_thresholds": scores}))
    with pytest.raises(ModelFileError, match="other classes"):
        use_all(run)


@pytest.mark.parametrize("name", ["../model.xml", "/etc/hostname", "..", ".", "", "a/b", "n\0ul", "x" * 5000])
def test_an_engine_names_files_of_its_folder_only(name: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    facts = json.loads(run.engine_facts_file.read_text())
    facts["files"][name] = "0" * 64
    run.engine_facts_file.write_text(json.dumps(facts))
    with pytest.raises(ReunetError, match="damaged"):
        use_all(run)


@pytest.mark.parametrize(
    ("ppm", "told"),
    [(0, "no label differs"), (104.9, "1 label in 9,500 differs"), (831.2, "1 label in 1,200 differs"),
     (1e6, "1 label in 1 differs"), (0.01, "1 label in 100,000,000 differs")],
)  # fmt: skip
def test_how_many_differ_is_told_so_that_one_sees_how_much_it_is(ppm: float, told: str) -> None:
    assert differing(ppm) == told


def test_an_engine_of_other_weights_is_refused(tmp_path: Path) -> None:
    """As after weights were copied from a run of the same plan."""
    run = make_run(tmp_path / "run")
    plan = run.plan()
    run.publish_weights(plan, b"of a training that went on")
    with pytest.raises(ModelFileError, match="exported from other weights"):
        run.verified_engine(plan)
