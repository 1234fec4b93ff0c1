"""Synthetic scenes for the pages of docs/uses: tiny datasets, drawn, so that anyone may show
them.

python scripts/scenes.py roads FOLDER
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reunet.datasets.synthetic import make_microscopy
from reunet.io.raster import write_png
from reunet.storage import write_json

Rng = np.random.Generator
Size = tuple[int, int]
SPLITS = ("train", "test")


def describe(folder: Path, names: list[str], **more: Any) -> None:
    """Write dataset.json with a class per name, coloured evenly around the circle of hues."""
    hues = np.zeros((1, len(names), 3), np.uint8)
    hues[0, :, 0] = np.arange(len(names)) * 180 // max(len(names), 1)
    hues[0, :, 1:] = 200
    colours = cv2.cvtColor(hues, cv2.COLOR_HSV2RGB)[0].tolist()
    classes = [{"id": i, "name": name, "color": colours[i]} for i, name in enumerate(names)]
    write_json(folder / "dataset.json", {"name": folder.name, "classes": classes, **more})


def noisy(image: np.ndarray, rng: Rng, deviation: float = 9, blur: float = 0.8) -> np.ndarray:
    """The image through a lens: (H, W, C) uint8, blurred, with an uneven light and noise."""
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), blur)
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    light = 1 + 0.15 * (rng.normal() * y + rng.normal() * x)
    image = image * np.clip(light, 0.6, 1.3)[..., None] + rng.normal(0, deviation, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def colour(rng: Rng, centre: tuple[int, int, int], spread: float = 14) -> tuple[float, ...]:
    """A colour near another one."""
    return tuple(float(value) for value in np.clip(np.asarray(centre) + rng.normal(0, spread, 3), 0, 255))


def canvas(rng: Rng, size: Size, centre: tuple[int, int, int]) -> np.ndarray:
    """(H, W, 3) float32 of one colour."""
    return np.full((*size, 3), colour(rng, centre, 6), np.float32)


def tissue(folder: Path, rng: Rng, split: str, count: int, size: Size) -> None:
    """Glands in stained tissue: instances, masks, and whether they are ragged, as a class per image."""
    rows = []
    for i in range(count):
        ragged = bool(i % 2)
        image, ids = canvas(rng, size, (226, 175, 205)), np.zeros(size, np.uint16)
        for number in range(1, 8):
            centre, radius = rng.uniform(0.1, 0.9, 2) * size, rng.uniform(0.1, 0.17) * min(size)
            angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
            waves = 0.12 * np.sin(3 * angles + rng.uniform(0, 6)) + ragged * 0.12 * rng.normal(0, 1, 40)
            radii = radius * (1 + waves)
            points = np.stack([centre[1] + radii * np.cos(angles), centre[0] + radii * np.sin(angles)], 1)
            inside = np.zeros(size, np.uint8)
            cv2.fillPoly(inside, [points.astype(np.int32)], 1)
            if ids[cv2.dilate(inside, np.ones((5, 5))) > 0].any():
                continue
            ids[inside > 0] = number
            image[inside > 0] = colour(rng, (150, 90, 160))
            lumen = cv2.erode(inside, np.ones((3, 3)), iterations=max(2, int(radius / 4)))
            image[lumen > 0] = colour(rng, (240, 225, 238), 5)
        name = f"tissue_{i:03d}.png"
        write_png(folder / split / "images" / name, noisy(image, rng))
        write_png(folder / split / "instances" / name, ids)
        write_png(folder / split / "masks" / name, (ids > 0).astype(np.uint8))
        rows.append((name, "ragged" if ragged else "smooth"))
    table(folder / split / "labels.csv", rows)
    describe(folder, ["background", "gland"])


def table(file: Path, rows: list[tuple[str, str]]) -> None:
    """Write labels.csv: the class of each image."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "label"), *rows])


def vessels(folder: Path, rng: Rng, split: str, count: int, size: Size) -> None:
    """Vessels that branch in the back of an eye, in a round field of view."""
    for i in range(count):
        mask = np.zeros(size, np.uint8)
        for _ in range(6):
            start = np.asarray(size) * rng.uniform(0.35, 0.65, 2)
            branch(rng, mask, start, rng.uniform(0, 2 * np.pi), max(size) / 45)
        y, x = np.mgrid[: size[0], : size[1]] - np.asarray(size)[:, None, None] / 2
        view = (np.hypot(y, x) < 0.48 * min(size)).astype(np.uint8)
        image = canvas(rng, size, (200, 110, 60))
        image[mask > 0] = colour(rng, (140, 55, 40), 5)
        image *= view[..., None]
        name = f"eye_{i:03d}.png"
        write_png(folder / split / "images" / name, noisy(image, rng, 7))
        write_png(folder / split / "masks" / name, mask * view)
        write_png(folder / split / "fov" / name, view * 255)
    describe(folder, ["background", "vessel"])


def branch(rng: Rng, mask: np.ndarray, place: np.ndarray, angle: float, width: float) -> None:
    """Draw a vessel from a place on, and those that leave it."""
    while width > 0.8 and (place > 0).all() and (place < mask.shape).all():
        step = place + max(mask.shape) / 30 * np.array([np.sin(angle), np.cos(angle)])
        cv2.line(mask, place[::-1].astype(int).tolist(), step[::-1].astype(int).tolist(), 1, round(width))
        place, angle, width = step, angle + rng.normal(0, 0.25), width * 0.94
        if rng.random() < 0.15:
            branch(rng, mask, place, angle + rng.choice([-0.8, 0.8]), width * 0.7)


ROAD = ["sky", "building", "road", "pavement", "car", "pedestrian", "sign_symbol"]
STREET = {
    "sky": (150, 190, 230), "building": (150, 120, 100), "road": (90, 90, 95), "pavement": (165, 160, 150),
    "car": (190, 40, 40), "pedestrian": (60, 60, 150), "sign_symbol": (235, 200, 40),
}  # fmt: skip


def roads(folder: Path, rng: Rng, split: str, count: int, size: Size) -> None:
    """A street: houses, road, pavement, cars, people and signs."""
    height, width = size
    for i in range(count):
        mask = np.full(size, ROAD.index("building"), np.uint8)
        horizon, far = int(height * rng.uniform(0.42, 0.5)), int(width * rng.uniform(0.42, 0.58))
        for _ in range(9):  # roofs against the sky
            left, roof = int(rng.uniform(0, width)), int(height * rng.uniform(0.08, 0.35))
            cv2.rectangle(mask, (left, 0), (left + width // 6, roof), ROAD.index("sky"), -1)
        mask[horizon:] = ROAD.index("pavement")
        corners = [
            [far - 4, horizon],
            [far + 4, horizon],
            [int(width * 0.9), height],
            [int(width * 0.1), height],
        ]
        cv2.fillPoly(mask, [np.array(corners)], ROAD.index("road"))
        for _ in range(rng.integers(2, 5)):
            stand(rng, mask, horizon, far)
        image = np.zeros((*size, 3), np.float32)
        for value, name in enumerate(ROAD):
            image[mask == value] = colour(rng, STREET[name], 18 if name == "car" else 8)
        name = f"street_{i:03d}.png"
        write_png(folder / split / "images" / name, noisy(image, rng, 10, 1.0))
        write_png(folder / split / "masks" / name, mask)
    describe(folder, ROAD)


def stand(rng: Rng, mask: np.ndarray, horizon: int, far: int) -> None:
    """Put a car on the road, and a person and a sign beside it, smaller the farther they are."""
    height, width = mask.shape
    near = rng.uniform(0.15, 0.9)
    ground = int(horizon + near * (height - horizon))
    car = int(near * width * 0.16) + 3
    left = int(far - car / 2 + rng.uniform(-0.3, 0.3) * near * width * 0.5)
    cv2.rectangle(mask, (left, ground - car * 2 // 3), (left + car, ground), ROAD.index("car"), -1)
    side = int(far + rng.choice([-1, 1]) * (near * width * 0.45 + width * 0.06))
    tall = int(near * height * 0.22) + 4
    thick = max(1, tall // 6)
    cv2.ellipse(mask, (side, ground - tall // 2), (thick, tall // 2), 0, 0, 360, ROAD.index("pedestrian"), -1)
    post = side + 3 * thick + 3
    cv2.circle(mask, (post, ground - tall), max(2, thick), ROAD.index("sign_symbol"), -1)


def traffic_lights(folder: Path, rng: Rng, split: str, count: int, size: Size) -> None:
    """Traffic lights cut out of photographs, with the light that is on as the class of the image."""
    lights = {"red": (235, 40, 30), "yellow": (240, 200, 40), "green": (40, 210, 90)}
    height, width = 48, 24
    rows = []
    for i in range(count * 3):
        name, number = list(lights)[i % 3], i % 3
        image = canvas(rng, (height, width), (120, 150, 170))
        cv2.rectangle(image, (4, 3), (width - 4, height - 3), (35, 35, 35), -1)
        for k, tone in enumerate(lights.values()):
            shown = tone if k == number else tuple(value // 5 for value in tone)
            cv2.circle(image, (width // 2, 10 + 14 * k), 5, shown, -1)
        file = f"{name}_{i:03d}.png"
        write_png(folder / split / "images" / file, noisy(image, rng, 14))
        rows.append((file, name))
    table(folder / split / "labels.csv", rows)
    write_json(folder / "dataset.json", {"name": folder.name})


def blood(folder: Path, rng: Rng, split: str, count: int, size: Size) -> None:
    """Blood cells with a box around each: red ones, white ones with a nucleus, platelets."""
    kinds = [
        (1, "RBC", (215, 150, 150), 0.06),
        (2, "WBC", (120, 80, 160), 0.1),
        (3, "Platelets", (150, 110, 170), 0.02),
    ]
    images, boxes = [], []
    for i in range(count):
        image = canvas(rng, size, (235, 215, 215))
        taken = np.zeros(size, np.uint8)
        for kind in [0] * 9 + [1] + [2] * 2:
            number, _, tone, share = kinds[kind]
            radius = max(2, int(share * min(size) * rng.uniform(0.9, 1.15)))
            x, y = (int(rng.uniform(radius + 1, side - radius - 1)) for side in size[::-1])
            if taken[max(0, y - radius) : y + radius, max(0, x - radius) : x + radius].any():
                continue
            cv2.circle(taken, (x, y), radius, 1, -1)
            cv2.circle(image, (x, y), radius, colour(rng, tone, 8), -1)
            box = [x - radius, y - radius, 2 * radius + 1, 2 * radius + 1]
            boxes.append(
                {"image_id": i + 1, "category_id": number, "bbox": box, "iscrowd": 0, "id": len(boxes) + 1}
            )
            boxes[-1]["area"] = box[2] * box[3]
        name = f"blood_{i:03d}.png"
        write_png(folder / split / "images" / name, noisy(image, rng))
        images.append({"id": i + 1, "file_name": f"images/{name}", "width": size[1], "height": size[0]})
    categories = [{"id": number, "name": name} for number, name, *_ in kinds]
    write_json(
        folder / split / "boxes.json", {"images": images, "annotations": boxes, "categories": categories}
    )
    write_json(folder / "dataset.json", {"name": folder.name})


def film(folder: Path, rng: Rng, split: str, count: int, size: Size) -> None:
    """A car that drives past parked ones: frames of one sequence; only the moving one is labelled."""
    height, width = size
    name = f"{split}0"
    houses, street = canvas(rng, size, (150, 140, 120)), int(height * 0.55)
    houses[street:] = colour(rng, (95, 95, 100), 5)
    for left in (0.05, 0.4, 0.75):
        cv2.rectangle(
            houses,
            (int(left * width), street - 12),
            (int((left + 0.14) * width), street + 6),
            colour(rng, (60, 90, 140)),
            -1,
        )
    paint = colour(rng, (200, 60, 40))
    for i in range(count):
        image, mask = houses.copy(), np.zeros(size, np.uint8)
        left = int(width * (0.02 + 0.8 * i / max(count - 1, 1)))
        corners = (left, int(height * 0.62)), (left + int(width * 0.18), int(height * 0.78))
        cv2.rectangle(mask, *corners, 1, -1)
        image[mask > 0] = paint
        write_png(folder / split / "images" / f"{name}_{i:03d}.png", noisy(image, rng))
        write_png(folder / split / "masks" / f"{name}_{i:03d}.png", mask)
    describe(folder, ["background", "moving_vehicle"])


def volumes(folder: Path, rng: Rng, split: str, count: int, size: Size) -> None:
    """Two bodies that touch, in volumes of unequal brightness, as NIfTI."""
    import nibabel as nib

    side = min(32, min(size) // 2)
    z, y, x = np.mgrid[:side, :side, :side] / side - 0.5
    for i in range(count):
        shift, tilt = rng.normal(0, 0.06, 3), rng.normal(0, 0.3)
        body = (
            ((x - shift[0]) / 0.2) ** 2
            + ((y - shift[1] + tilt * z) / 0.35) ** 2
            + ((z - shift[2]) / 0.22) ** 2
        )
        mask = np.where(body < 1, np.where(y > shift[1], 1, 2), 0).astype(np.uint8)
        image = 40 + 60 * (mask == 1) + 90 * (mask == 2) + rng.normal(0, 12, mask.shape)
        for kind, array in (("images", image.astype(np.float32) * rng.uniform(1, 40)), ("masks", mask)):
            file = folder / split / kind / f"volume_{i:03d}.nii.gz"
            file.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.eye(4)), file)
    describe(folder, ["background", "anterior", "posterior"])


SCENES: dict[str, Callable[[Path, Rng, str, int, Size], None]] = {
    "tissue": tissue,
    "vessels": vessels,
    "roads": roads,
    "traffic_lights": traffic_lights,
    "blood": blood,
    "film": film,
    "volumes": volumes,
}


def make_scene(
    name: str, folder: Path, *, train: int = 24, test: int = 6, size: Size = (192, 256), seed: int = 0
) -> Path:
    """Write a dataset: `cells` is the microscopy of `reunet demo`, the others are drawn here."""
    if name == "cells":
        make_microscopy(folder, train=train, test=test, size=size, seed=seed)
        return folder
    for split, count in zip(SPLITS, (train, test), strict=True):
        (folder / split).mkdir(parents=True, exist_ok=True)
        SCENES[name](folder, np.random.default_rng([seed, split == "test"]), split, count, size)
    return folder


if __name__ == "__main__":
    print(f"wrote {make_scene(sys.argv[1], Path(sys.argv[2]))}")
