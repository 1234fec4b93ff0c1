"""Channels by name and number: of every format, whole and in parts, from the option to the plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from reunet import check
from reunet.contracts.options.records import DataOptions
from reunet.datasets.case_arrays import load_case
from reunet.errors import DataError, ImageReadError, UsageError
from reunet.flows.predict.inputs import Source
from reunet.flows.predict.outputs import Job, Kinds
from reunet.flows.predict.ways import header_of
from reunet.flows.prepare import prepare
from reunet.io.channels import chosen_channels, listed_channels
from reunet.io.header import ImageHeader
from reunet.io.images import read_channel_files, read_header
from reunet.io.lazy import open_lazily
from reunet.planning.decision import Decision
from reunet.planning.inputs import choose_input
from reunet.progress import NullProgress

from .formats.microscope_files import czi_facts, write_czi

PIXELS = np.random.default_rng(3).integers(0, 4000, (3, 32, 24)).astype(np.uint16)


def write_ome(path: Path, pixels: np.ndarray, names: list[str]) -> None:
    told = {"axes": "CYX", "Channel": {"Name": names}}
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=told)


def header(count: int, *names: str) -> ImageHeader:
    return ImageHeader((4, 4), count, "uint8", channel_names=names)


@pytest.mark.parametrize(
    ("told", "wanted", "places"),
    [
        (header(3, "DAPI", "GFP", "RFP"), ("gfp", "DAPI"), [1, 0]),
        (header(3, "DAPI", "GFP", "RFP"), ("3", "DAPI"), [2, 0]),
        (header(3, "1", "2", "3"), ("2",), [1]),
        (header(3), ("3", "1"), [2, 0]),
        (header(2, "x", "x"), ("2",), [1]),
    ],
)
def test_channels_are_found(told: ImageHeader, wanted: tuple[str, ...], places: list[int]) -> None:
    found, where = chosen_channels(told, wanted, "a.tif")
    assert where == places
    assert (found.channels, len(found.channel_names)) == (len(wanted), len(wanted))


def test_a_file_without_names_holds_what_is_wanted_if_the_number_fits() -> None:
    found, where = chosen_channels(header(2), ("DAPI", "GFP"), "a.tif")
    assert (found.channel_names, where) == (("DAPI", "GFP"), slice(None))


@pytest.mark.parametrize(
    ("told", "wanted"),
    [(header(3), ("DAPI", "GFP")), (header(2, "DAPI", "GFP"), ("DAPI", "RFP")), (header(2), ("3",)),
     (header(2, "x", "x"), ("x",))],
)  # fmt: skip
def test_a_channel_that_is_missing_is_named(told: ImageHeader, wanted: tuple[str, ...]) -> None:
    with pytest.raises(ImageReadError, match="the image has no channel"):
        chosen_channels(told, wanted, "a.tif")


@pytest.mark.parametrize("told", ["", "DAPI,", "DAPI,dapi"])
def test_options_that_make_no_sense(told: str) -> None:
    with pytest.raises(UsageError, match="the channels are not understood"):
        listed_channels(told)


def test_channels_of_files_whole_and_in_parts(tmp_path: Path) -> None:
    names = ["DAPI", "GFP", "RFP"]
    write_ome(tmp_path / "a.ome.tif", PIXELS, names)
    write_czi(tmp_path / "b.czi", [({"C": c}, (0, 0), PIXELS[c]) for c in range(3)], facts=czi_facts(names))
    for path in (tmp_path / "a.ome.tif", tmp_path / "b.czi"):
        assert read_header(path).channel_names == tuple(names)
        told, image = read_channel_files((path,), channels=("RFP", "DAPI"))
        np.testing.assert_array_equal(image, PIXELS[[2, 0]].transpose(1, 2, 0))
        assert told.channel_names == ("RFP", "DAPI")
        part = (slice(3, 30), slice(5, 9))
        with open_lazily(path, rank=2, channels=("RFP", "DAPI")) as lazy:
            np.testing.assert_array_equal(lazy.read(part), image[part])
        job = Job(Source(path, Path("a")), tmp_path, None, None, Kinds(), channels=("RFP", "DAPI"))
        assert header_of(job, 2).channels == 2


def make_dataset(root: Path) -> None:
    """Two images, whose files hold the channels in different orders."""
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for i, order in enumerate(([0, 1, 2], [2, 1, 0], [1, 2, 0])):
        names = [("DAPI", "GFP", "RFP")[place] for place in order]
        write_ome(root / "images" / f"{i}.ome.tif", np.roll(PIXELS, i, axis=1)[order], names)
        tifffile.imwrite(root / "masks" / f"{i}.ome.tif", (PIXELS[0] > 2000).astype(np.uint8))


def test_from_the_option_to_the_plan(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    ready = prepare(tmp_path, DataOptions(channels="gfp,DAPI"), NullProgress())
    for case in ready.dataset.cases:
        shift = int(case.id[0])
        expected = np.roll(PIXELS, shift, axis=1)[[1, 0]].transpose(1, 2, 0)
        np.testing.assert_array_equal(load_case(case, ready.dataset.labels).image, expected)
    spec = choose_input(ready.fingerprint, None, Decision(None)).value
    assert (spec.channels, spec.channel_names) == (2, ("gfp", "DAPI"))
    assert prepare(tmp_path, DataOptions(), NullProgress()).fingerprint.channels == 3
    assert "channel-names" in {problem.code for problem in check(tmp_path).problems}
    told = check(tmp_path, channels="gfp,DAPI").problems
    assert "channel-names" not in {problem.code for problem in told}
    with pytest.raises(DataError, match="no channel Cy5"):
        prepare(tmp_path, DataOptions(channels="Cy5"), NullProgress())


def test_dataset_json_names_channels_of_files_that_do_not(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(2):
        stack = np.roll(PIXELS, i, axis=1)
        tifffile.imwrite(
            tmp_path / "images" / f"{i}.tif", stack, photometric="minisblack", metadata={"axes": "CYX"}
        )
        tifffile.imwrite(tmp_path / "masks" / f"{i}.tif", (PIXELS[0] > 2000).astype(np.uint8))
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "DAPI", "1": "GFP", "2": "RFP"}}')
    ready = prepare(tmp_path, DataOptions(channels="RFP"), NullProgress())
    np.testing.assert_array_equal(
        ready.train[0].image[..., 0], np.roll(PIXELS, int(ready.train[0].id), axis=1)[2]
    )
