"""OME-Zarr 0.4 and 0.5: time, depth and channels, plates of wells, from a folder to cases, and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from reunet.contracts.labels import LabelMap, default_classes
from reunet.datasets.reading import decode
from reunet.datasets.scan import open_dataset
from reunet.errors import ImageReadError
from reunet.flows.predict.inputs import find_sources
from reunet.flows.predict.outputs import Job, Kinds
from reunet.flows.predict.ways import header_of
from reunet.io.formats.table import images_in, sha256_image
from reunet.io.images import read_channel_files, read_header, read_image
from reunet.io.large_masks import LargeMask, write_ome_zarr
from reunet.io.lazy import open_lazily

zarr = pytest.importorskip("zarr")
RNG = np.random.default_rng(8)


def write_image(group: zarr.Group, pixels: np.ndarray, axes: str, names: tuple[str, ...] = ()) -> None:
    kinds = {"t": "time", "c": "channel"}
    told = [
        {"name": axis, "type": kinds.get(axis, "space"), **({"unit": "micrometer"} if axis in "zyx" else {})}
        for axis in axes
    ]
    scale = [0.5 if axis in "yx" else 1.0 for axis in axes]
    steps = [{"type": "scale", "scale": scale}]
    facts = {
        "multiscales": [{"axes": told, "datasets": [{"path": "0", "coordinateTransformations": steps}]}],
        "omero": {"channels": [{"label": name} for name in names]},
    }
    group.create_array("0", data=pixels, chunks=(*(1,) * (pixels.ndim - 2), 16, 16))
    put(group, facts)


def put(group: zarr.Group, facts: dict[str, object]) -> None:
    newer = group.metadata.zarr_format == 3
    group.attrs.update({"ome": {"version": "0.5", **facts}} if newer else facts)


@pytest.mark.parametrize("version", [2, 3])
def test_time_depth_and_channels(tmp_path: Path, version: int) -> None:
    pixels, path = RNG.integers(0, 999, (2, 3, 2, 20, 30)).astype(np.uint16), tmp_path / "a.ome.zarr"
    write_image(zarr.create_group(str(path), zarr_format=version), pixels, "tczyx", ("DAPI", "GFP", "RFP"))
    header = read_header(path)
    assert (header.size, header.channels, header.pages, header.axes) == ((20, 30), 3, 4, "TCZYX")
    assert (header.spacing, header.channel_names) == ((0.5, 0.5), ("DAPI", "GFP", "RFP"))
    for page, (t, z) in enumerate(np.ndindex(2, 2)):
        np.testing.assert_array_equal(read_image(path, page=page), pixels[t, :, z].transpose(1, 2, 0))
    _, image = read_channel_files((path,), page=3, channels=("RFP",))
    np.testing.assert_array_equal(image[..., 0], pixels[1, 2, 1])
    job = Job(find_sources([path], exclude=tmp_path / "out")[0][0], tmp_path, None, None, Kinds())
    assert job.source.name == Path("a")
    assert header_of(job, 2).pages == 4


@pytest.mark.parametrize("version", [2, 3])
def test_a_plate_is_its_fields(tmp_path: Path, version: int) -> None:
    """From a folder as it is: each field is a case, with the mask of its name."""
    plate = zarr.create_group(str(tmp_path / "images" / "plate.zarr"), zarr_format=version)
    places = ("A/1/0", "A/1/1", "B/2/0", "B/2/1")
    fields = {place: RNG.integers(0, 255, (1, 24, 24)).astype(np.uint8) for place in places}
    put(plate, {"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}})
    for name, pixels in fields.items():
        well = plate.require_group(name[:3])
        put(well, {"well": {"images": [{"path": "0"}, {"path": "1"}]}})
        write_image(plate.create_group(name), pixels, "cyx", ("DAPI",))
        mask = tmp_path / "masks" / "plate" / f"{name}.tif"
        mask.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(mask, (pixels[0] > 99).astype(np.uint8))
    dataset = open_dataset(tmp_path)
    assert [case.id for case in dataset.cases] == [f"plate/{name}" for name in fields]
    for case, pixels in zip(dataset.cases, fields.values(), strict=True):
        np.testing.assert_array_equal(decode(case, tmp_path, None).arrays["image"][..., 0], pixels[0])
    sources, _ = find_sources([tmp_path / "images" / "plate.zarr"], exclude=tmp_path / "out")
    assert [source.name.as_posix() for source in sources] == [f"plate/{name}" for name in fields]
    assert len({sha256_image(one) for one in images_in(tmp_path / "images" / "plate.zarr")}) == 4
    with pytest.raises(ImageReadError, match="holds 4 images"):
        read_header(tmp_path / "images" / "plate.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_a_result_has_the_version_of_its_image(tmp_path: Path, version: int) -> None:
    source = tmp_path / "a.ome.zarr"
    write_image(zarr.create_group(str(source), zarr_format=version), np.zeros((8, 8), np.uint8), "yx")
    values = RNG.integers(0, 2, (700, 90)).astype(np.uint8)
    labels = LabelMap(classes=default_classes([0, 1]))
    mask = LargeMask(values.shape, values.dtype, lambda part: values[part], (0.5, 0.5), labels)
    write_ome_zarr(tmp_path / "b.ome.zarr", mask, like=source)
    group = zarr.open(str(tmp_path / "b.ome.zarr"), mode="r")
    assert group.metadata.zarr_format == version
    told = group.attrs["ome"] if version == 3 else group.attrs
    assert (told if version == 3 else told["multiscales"][0])["version"] == {2: "0.4", 3: "0.5"}[version]
    assert [one["path"] for one in told["multiscales"][0]["datasets"]] == ["0", "1"]
    np.testing.assert_array_equal(group["0"][:], values)
    np.testing.assert_array_equal(group["1"][:], values[::2])
    assert told["image-label"]["colors"][1]["label-value"] == 1
    with open_lazily(tmp_path / "b.ome.zarr", rank=2) as image:
        assert image.header.spacing == (0.5, 0.5)


def test_axes_that_are_unknown(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), data=np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(ImageReadError, match="axes of the array"):
        read_header(tmp_path / "a.zarr")
