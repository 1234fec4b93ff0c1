"""Where a NIfTI volume lies and how large its voxels are, and whether the header says so once or twice.

A header may say it three times: `pixdim` (sizes), the qform (a rotation and a place, for those sizes) and the
sform (a matrix). Programs differ in whom they believe, so what is read here is what ITK 5.4 (SimpleITK 2.5)
reads:

- Sizes are those of `pixdim` in the unit of `xyzt_units` (mm where it names none); 0, nan, infinity are 1.
- Directions and place are those of the sform if its axes are at right angles (to 1e-4) and the qform is not
  coded, or `sform_code` is 1 (scanner), or both say the same; else those of the qform if that is coded. Sizes
  of the sform never count. A negative size turns its axis around, a negative `pixdim[0]` the third one.
- Without either the axes lead to the left, to the back and upwards, from the origin.

One thing is read that ITK refuses: an sform whose axes are not at right angles, where there is no qform.
What the statements disagree about is told as doubts.
"""

from itertools import product
from typing import Any

import numpy as np

from reunet.io.header import SAME_PLACE, SAME_SIZE, Doubt

_MILLIMETRES = {1: 1e3, 2: 1.0, 3: 1e-3}
"""Of metres, millimetres and micrometres, by the codes of `xyzt_units`."""

_RIGHT_ANGLES = 1e-4
_SCANNER = 1


def sizes_of(header: Any) -> np.ndarray:
    """Sizes of a voxel along the stored axes, (3,) in mm, 1 where `pixdim` states none; perhaps negative."""
    pixdim = np.array(header["pixdim"][1:4], np.float64)
    return np.where(_is_size(pixdim), pixdim, 1) * unit_of(header)


def unit_of(header: Any) -> float:
    """Millimetres of the unit of space."""
    return _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)


def states_size(header: Any) -> bool:
    """Whether it states the size of a voxel: not 0, and not 1 of no unit, which programs write that do not
    know it. The third one of a single slice does not count.
    """
    pixdim = np.array(header["pixdim"][1:4], np.float64)[: max(int(header["dim"][0]), 1)]
    named = int(header["xyzt_units"]) & 7 in _MILLIMETRES
    return bool(_is_size(pixdim).all() and (named or (np.abs(pixdim) != 1).any()))


def affine_of(header: Any) -> np.ndarray | None:
    """(4, 4) from stored voxel indices to mm rightwards, forwards and upwards; None: not stated usably."""
    sform, qform = _sform(header), _qform(header)
    if sform is None and qform is None and not _is_coded(header):
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([*sizes_of(header), 1.0])
    best = sform if qform is None or (sform is not None and _goes_first(header, sform, qform)) else qform
    return None if best is None else _with_sizes(header, best)


def doubts_of(header: Any, size: tuple[int, ...]) -> tuple[Doubt, ...]:
    """What the statements of a header disagree about. size: voxels along the stored axes."""
    from nibabel.orientations import aff2axcodes

    if not _is_coded(header):
        what = "the header states no orientation: sform_code and qform_code are 0"
        return (Doubt(what, "axes that lead left, back and up (as ITK)", "none", grave=False),)
    doubts, sizes = [], sizes_of(header)
    if (sizes < 0).any():
        what = "a voxel size is negative: ITK turns that axis around, other programs do not"
        doubts.append(Doubt(what, f"{_shown(sizes)} (ITK)", _shown(np.abs(sizes)), grave=True))
    if int(header["sform_code"]) > 0:
        rows = np.array([header[f"srow_{axis}"] for axis in "xyz"], np.float64) * unit_of(header)
        lengths = np.linalg.norm(rows[:, :3], axis=0)
        if not np.allclose(lengths, np.abs(sizes), rtol=SAME_SIZE, atol=0):
            what = "sform and pixdim state different voxel sizes"
            doubts.append(
                Doubt(what, f"{_shown(np.abs(sizes))} (pixdim)", f"{_shown(lengths)} (sform)", grave=True)
            )
    sform, qform = _sform(header), _qform(header)
    if sform is not None and not _is_orthogonal(sform):
        what = "the axes of the sform are not at right angles"
        doubts.append(
            Doubt(what, "the qform" if qform is not None else "them as if they were", "shear", grave=False)
        )
    if sform is None or qform is None:
        return tuple(doubts)
    names = ("sform", "qform") if _goes_first(header, sform, qform) else ("qform", "sform")
    forms = {"sform": _with_sizes(header, sform), "qform": _with_sizes(header, qform)}
    turned = ["".join(aff2axcodes(forms[name])) for name in names]
    corners = np.array([(*corner, 1) for corner in product(*((0, side) for side in size))])
    apart = np.linalg.norm(corners @ (forms["sform"] - forms["qform"]).T, axis=1).max()
    if turned[0] != turned[1] or apart > SAME_PLACE * np.abs(sizes).min():
        what = (
            "sform and qform state different orientations"
            if turned[0] != turned[1]
            else (f"sform and qform place the volume up to {apart:.3g} mm apart")
        )
        used, other = (
            f"{axes} ({name}, code {int(header[f'{name}_code'])})"
            for axes, name in zip(turned, names, strict=True)
        )
        doubts.append(Doubt(what, used, other, grave=turned[0] != turned[1]))
    return tuple(doubts)


def _is_size(pixdim: np.ndarray) -> np.ndarray:
    return np.isfinite(pixdim) & (pixdim != 0)


def _is_coded(header: Any) -> bool:
    return max(int(header["sform_code"]), int(header["qform_code"])) > 0


def _sform(header: Any) -> np.ndarray | None:
    """Directions of length 1 and the place, (4, 4), in the header's unit; None without a usable one."""
    if int(header["sform_code"]) <= 0:
        return None
    matrix = np.vstack([*(header[f"srow_{axis}"] for axis in "xyz"), (0, 0, 0, 1)]).astype(np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or not lengths.all():
        return None
    matrix[:3, :3] /= lengths
    return matrix if abs(np.linalg.det(matrix[:3, :3])) > 1e-6 else None


def _qform(header: Any) -> np.ndarray | None:
    """The same of the qform."""
    from nibabel.quaternions import quat2mat

    turn = np.array([header[f"quatern_{axis}"] for axis in "bcd"], np.float64)
    place = np.array([header[f"qoffset_{axis}"] for axis in "xyz"], np.float64)
    if int(header["qform_code"]) <= 0 or not np.isfinite([*turn, *place]).all():
        return None
    rest = float(1 - turn @ turn)
    matrix = np.eye(4)
    matrix[:3, :3] = quat2mat([rest**0.5 if rest > 1e-7 else 0, *turn])
    matrix[:3, 2] *= -1 if header["pixdim"][0] < 0 else 1
    matrix[:3, 3] = place
    return matrix


def _is_orthogonal(form: np.ndarray) -> bool:
    return np.allclose(form[:3, :3] @ form[:3, :3].T, np.eye(3), rtol=0, atol=_RIGHT_ANGLES)


def _goes_first(header: Any, sform: np.ndarray, qform: np.ndarray) -> bool:
    """Whether the sform is used, where the qform could be."""
    if not _is_orthogonal(sform):
        return False
    return int(header["sform_code"]) == _SCANNER or np.allclose(sform, qform, rtol=0, atol=_RIGHT_ANGLES)


def _with_sizes(header: Any, form: np.ndarray) -> np.ndarray:
    scaled = form @ np.diag([*sizes_of(header), 1.0])
    scaled[:3, 3] *= unit_of(header)
    return scaled


def _shown(sizes: np.ndarray) -> str:
    return " x ".join(f"{side:.6g}" for side in sizes) + " mm"
