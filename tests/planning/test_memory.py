"""When a frame is enough: what is measured of films with known faults, and what the plan makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from PIL import Image

from reunet.contracts.fingerprint import FrameFacts
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.plan import Plan
from reunet.datasets.case_arrays import CaseArrays
from reunet.datasets.cases import FrameSequence
from reunet.planning import PlanRequest, make_plan, take_fingerprint
from reunet.planning.memory import LIMITS, PRESET

from .datasets import masked

LABELS = LabelMap(classes=default_classes([0, 1]))
SIDE, FRAMES = 64, 10
Changes = Callable[[np.ndarray, np.ndarray], None]
"""What befalls a film: frames (T, H, W) float32 and masks (T, H, W) uint8, in place."""


def film(noise: float = 0.0, changes: Changes = lambda _, __: None) -> tuple[np.ndarray, np.ndarray]:
    """A camera that drifts by (2, 1) pixels per frame over a scene of variance 1 and a disc; `noise` is the
    share of the variance of the frames that is noise.
    """
    rng, reach = np.random.default_rng(0), 3 * SIDE
    scene = cv2.GaussianBlur(rng.normal(size=(reach, reach)).astype(np.float32), (0, 0), 3)
    disc = np.hypot(*(np.indices((reach, reach)) - 1.3 * SIDE)) < SIDE / 5
    scene = scene / scene.std() + 2 * disc
    scene /= scene.std()
    at = [(SIDE + 2 * t, SIDE + t) for t in range(FRAMES)]
    frames, masks = (
        np.stack([one[y : y + SIDE, x : x + SIDE] for y, x in at]).copy()
        for one in (scene, disc.astype(np.uint8))
    )
    frames = frames + np.sqrt(noise / (1 - noise) * frames.var()) * rng.normal(size=frames.shape)
    changes(frames, masks)
    return frames.astype(np.float32), masks


def cases_of(frames: np.ndarray, masks: np.ndarray, axis: Literal["T", "Z"] = "T") -> list[CaseArrays]:
    return [
        CaseArrays(str(t), frame.reshape(*mask.shape, -1), mask, "", sequence=FrameSequence("film", axis))
        for t, (frame, mask) in enumerate(zip(frames, masks, strict=True))
    ]


def facts_of(*film: np.ndarray) -> FrameFacts:
    found = take_fingerprint(masked(LABELS), cases_of(*film), []).frames
    assert found is not None
    return found


def plan_of(cases: list[CaseArrays], **wishes: object) -> Plan:
    return make_plan(take_fingerprint(masked(LABELS), cases, []), PlanRequest(**{"steps": 1, **wishes}))


def test_noise_is_told_apart_from_motion() -> None:
    shares = (0.0, 0.1, 0.3, 0.6, 0.8)
    measured = [facts_of(*film(share)).noise for share in shares]
    assert measured == sorted(measured)
    np.testing.assert_allclose(measured, shares, atol=0.08)


def lose(frames: np.ndarray, _: np.ndarray) -> None:
    frames[[2, 3, 7]] = 0.1


def blink(_: np.ndarray, masks: np.ndarray) -> None:
    masks[1::2] = 0


@pytest.mark.parametrize(("changes", "measure", "value"), [(lose, "lost", 0.3), (blink, "unseen", 1.0)])
def test_lost_frames_and_labels_that_change_unseen_are_counted(
    changes: Changes, measure: str, value: float
) -> None:
    usual, found = facts_of(*film(0.05)), facts_of(*film(0.05, changes))
    assert (usual.lost, usual.unseen) == (0, 0)
    assert getattr(found, measure) == pytest.approx(value, abs=0.2)
    assert found.noise == pytest.approx(usual.noise, abs=0.03)


@pytest.mark.parametrize(
    ("noise", "changes", "said"),
    [(0.8, None, "noise between frames is 0.7"), (0.05, lose, "are blank"), (0.05, blink, "does not")],
)
def test_memory_is_proposed_where_a_frame_is_not_enough(
    noise: float, changes: Changes | None, said: str
) -> None:
    cases = cases_of(*(film(noise, changes) if changes else film(noise)))
    plan = plan_of(cases)
    assert (plan.network.preset, plan.network.time) == (PRESET, "frames")
    assert plan.clip is not None
    assert said in plan.reasons["network.preset"]
    for wishes in ({"preset": "unet"}, {"encoder": "vgg16"}, {"prompt": "points"}):
        assert plan_of(cases, **wishes).clip is None


def test_frames_that_are_enough_get_no_memory_and_the_plan_says_so() -> None:
    cases = cases_of(*film(0.05))
    plan = plan_of(cases)
    assert (plan.network.preset, plan.clip) == ("unet", None)
    assert "a frame is enough: noise between frames is 0.0" in plan.reasons["clip"]
    for alone in (cases_of(*film(0.8), axis="Z"), [CaseArrays(c.id, c.image, c.labels, "") for c in cases]):
        assert plan_of(alone).clip is None
        assert "clip" not in plan_of(alone).reasons


def test_small_blank_and_single_frames_are_measured_without_an_error() -> None:
    frames, masks = film()
    assert facts_of(0 * frames, masks) == FrameFacts(noise=0, unseen=0, lost=0)
    for few in (cases_of(frames[:1], masks[:1]), cases_of(frames[:, :8, :8], masks[:, :8, :8] | 1)):
        assert take_fingerprint(masked(LABELS), few, []).frames is None


def test_recorded_videos_are_told_to_be_enough(shared_data: Path) -> None:
    folder = shared_data / "davis_vehicles" / "train"
    for sequence in ("car-roundabout", "drift-chicane"):
        files = [sorted((folder / kind).glob(f"{sequence}*"))[:8] for kind in ("images", "masks")]
        facts = facts_of(*(np.stack([np.asarray(Image.open(file)) for file in some]) for some in files))
        assert facts.noise < LIMITS["noise"] / 5
        assert facts.unseen < LIMITS["unseen"] / 5
        assert facts.lost == 0
