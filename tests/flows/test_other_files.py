"""Files that a command writes under a name that it is given: its own are written anew, others stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import reunet
from reunet.errors import StorageError

Write = Callable[[Path], object]


def writers(data: Path, run: Path) -> dict[str, tuple[str, Write]]:
    """Each way to write one file, with the ending of its name."""
    images = [data / "train" / "images"]
    return {
        "check --fix-list": (".csv", lambda to: reunet.check(data, fix_list=to)),
        "check --pictures": (".png", lambda to: reunet.check(data, pictures=to)),
        "plan -o": (".json", lambda to: reunet.plan(data, output=to, steps=2)),
        "plan --page": (".html", lambda to: reunet.plan(data, page=to, steps=2)),
        "suggest -o": (".csv", lambda to: reunet.suggest(run, images, output=to)),
        "models -o": (".svg", lambda to: reunet.models("unet", output=to)),
    }


WAYS = tuple(writers(Path(), Path()))


@pytest.mark.parametrize("way", WAYS)
def test_what_a_command_wrote_it_writes_anew(
    way: str, tiny_dataset: Path, tiny_run: Path, tmp_path: Path
) -> None:
    ending, write = writers(tiny_dataset, tiny_run)[way]
    place = tmp_path / f"made{ending}"
    write(place)
    first = place.read_bytes()
    place.write_bytes(first + b" ")
    write(place)
    assert place.read_bytes()[:200] == first[:200]


@pytest.mark.parametrize("way", WAYS)
def test_what_else_is_there_stays(way: str, tiny_dataset: Path, tiny_run: Path, tmp_path: Path) -> None:
    ending, write = writers(tiny_dataset, tiny_run)[way]
    place = tmp_path / f"precious{ending}"
    place.write_text('{"images": []}')
    with pytest.raises(StorageError, match="something else has this name"):
        write(place)
    assert place.read_text() == '{"images": []}'
    folder = tmp_path / f"folder{ending}"
    folder.mkdir()
    with pytest.raises(StorageError, match="a folder, not a file"):
        write(folder)
    with pytest.raises(StorageError, match="a file, not a folder"):
        write(place / f"below{ending}")


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_is_no_folder_of_results(
    below: str, tiny_run: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    """Seen before anything is predicted or scored."""
    (tmp_path / "file").write_text("precious")
    place = tmp_path / "file" / below
    for write in (
        lambda: reunet.predict(tiny_run, tiny_dataset / "train" / "images", output=place),
        lambda: reunet.evaluate(tiny_run, tiny_dataset, output=place, overwrite=True),
        lambda: reunet.pack(tiny_run, output=place / "run.reunet"),
        lambda: reunet.export(tiny_run, format="onnx", output=place / "model.onnx"),
    ):
        with pytest.raises(StorageError, match="a file, not a folder"):
            write()
    assert (tmp_path / "file").read_text() == "precious"
