"""The verb `models` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import reunet
from reunet.cli import main
from reunet.errors import BackendError
from reunet.networks.presets import PRESETS


@pytest.mark.usefixtures("backend")
def test_the_table_names_every_preset_with_its_costs(capsys: Any) -> None:
    assert main(["models"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines.keys() >= PRESETS.keys()
    assert "31,030,658" in lines["unet"], "the count of the paper"
    assert " all " in lines["cnn_rnn_unet"]


@pytest.mark.usefixtures("backend")
def test_one_preset_with_its_drawing(tmp_path: Path, capsys: Any) -> None:
    assert main(["models", "bcdu_net", "-o", str(tmp_path / "a b" / "net.svg")]) == 0
    out = capsys.readouterr().out
    assert "arXiv 1909.00166" in out
    assert "both directions" in out, "how it differs from the published code"
    assert "skip concat, at equal parameters" in out
    assert "cell lstm" in out
    ElementTree.parse(tmp_path / "a b" / "net.svg")


@pytest.mark.usefixtures("backend")
def test_json_is_what_python_gets(capsys: Any) -> None:
    assert main(["models", "conv_gru_unet", "--json"]) == 0
    (printed,) = json.loads(capsys.readouterr().out)
    (result,) = reunet.models("conv_gru_unet")
    assert printed["name"] == result.name == "conv_gru_unet"
    assert printed["size"] == [8, 256, 256]
    assert printed["multiplications"] == result.multiplications
    assert printed["axes"] == "frames"


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["convgru_unet"], "did you mean 'conv_gru_unet'"), (["-o", "x.svg"], "give NAME too")],
)
def test_bad_input(words: list[str], hint: str, capsys: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models", *words]) == 1
    assert hint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_framework_there_are_facts_but_no_numbers(monkeypatch: Any, capsys: Any) -> None:
    def missing(preferred: str) -> None:
        raise BackendError("no training framework is installed", fix="pip install it")

    monkeypatch.setattr("reunet.networks.use_any_backend", missing)
    assert main(["models", "r2unet"]) == 0
    captured = capsys.readouterr()
    assert "Alom" in captured.out
    assert "parameters     ?" in captured.out
    assert "no training framework" in captured.err
