"""What somebody needs to know who has only the exported file: as JSON for programs, as README for people."""

from typing import Any

import reunet
from reunet.contracts.facts import differing
from reunet.contracts.plan import Plan
from reunet.tasks.work import Work


def describe(plan: Plan, agreement: dict[str, Any], states: tuple[str, ...] = ()) -> dict[str, Any]:
    """The content of metadata.json. agreement: see `export.check`. states: names of carried states."""
    space = "DHW"[-plan.network.spatial_dims :]
    window = plan.clip.frames if plan.clip is not None and not plan.network.causal else None
    axes = f"BT{space}" if window else f"B{space}"
    return {
        "made_by": f"reunet {reunet.__version__}",
        "dataset": plan.dataset,
        "tasks": list(plan.tasks),
        "network": plan.network.preset,
        "input": {"name": "image", "axes": f"{axes}C", "dtype": "float32", "channels": plan.input.channels}
        | ({"frames": window} if window else {}),
        "states": list(states),
        "outputs": _outputs(plan, axes),
        "classes": [{"id": entry.id, "name": entry.name} for entry in plan.labels.classes],
        "categories": [entry.name for entry in plan.categories.classes] if plan.categories else [],
        "inside": _inside(plan),
        "caller_must": _outside(plan, bool(states)),
        "agreement": agreement,
    }


def _outputs(plan: Plan, axes: str) -> dict[str, Any]:
    tasks = Work.of(plan).tasks
    meanings = {name: text for one in tasks for name, text in one.exports.heads.items()}
    outputs: dict[str, Any] = {
        head.name: {
            "axes": f"{axes}C" if head.of == "pixels" else "BC",
            "channels": head.channels,
            "meaning": meanings.get(head.name) or f"{head.activation} of the head, not decoded",
        }
        for head in plan.network.heads
    }
    for one in tasks:
        for name, (of, meaning) in one.exports.decisions.items():
            outputs[name] = {"axes": axes if of == "pixels" else of, "meaning": meaning}
    return outputs


def _inside(plan: Plan) -> list[str]:
    tile, overlap = " x ".join(map(str, plan.inference.tile)), plan.inference.overlap
    steps = [f"cutting into tiles of {tile} pixels that overlap by {overlap:.0%}, and blending them"]
    if plan.input.intensity.method != "image_percentile":
        steps.insert(0, f"normalisation ({plan.input.intensity.method})")
    if plan.resizes_images:
        steps.insert(0, "resampling to the size that the network sees, and back")
    if plan.thinking is not None:
        steps.append(f"{plan.thinking.iterations} iterations, a number that is fixed in the file")
    return [*steps, "activations and decisions"]


def _outside(plan: Plan, states: bool) -> list[str]:
    steps = ["give pixels as they are in the file, as float32, without scaling them"]
    if plan.input.intensity.method == "image_percentile":
        steps[0] = (
            "normalise each channel of an image: (pixel - a) / (b - a), where a and b are its percentiles 1 "
            "and 99.8"
        )
    if plan.input.grey_to_rgb:
        steps.append("repeat the channel of a grey image three times")
    if plan.network.spatial_dims == 3 and plan.spacing is not None:
        sides = " x ".join(f"{side:g}" for side in plan.spacing)
        steps.append(
            "turn a volume so that its axes lead from feet to head, front to back and right to left, "
            f"resample it to voxels of {sides} mm, and resample the probabilities back before deciding"
        )
    if plan.clip is not None and not plan.network.causal:
        steps.append(
            f"give {plan.clip.frames} consecutive frames at once; of longer sequences, windows that overlap "
            "by half and whose probabilities are averaged"
        )
    if states:
        steps.append(
            "give frame after frame: zeros of shape (1, ...) for every state before the first frame, then "
            "the outputs of that name (with `_after` behind it where a format needs other names) of the "
            "frame before"
        )
    if not all(one.exports.decisions for one in Work.of(plan).tasks):
        steps.append("decode objects and boxes from the heads, which are given as they are")
    return steps


def readme(facts: dict[str, Any], runs_with: str) -> str:
    """A page for people. runs_with: what opens the file."""
    given = facts["input"]
    outputs = "".join(
        f"- `{name}` ({', '.join(entry['axes'])}): {entry['meaning']}\n"
        for name, entry in facts["outputs"].items()
    )
    classes = ", ".join(f"{entry['id']} {entry['name']}" for entry in facts["classes"])
    found = facts["agreement"]
    return (
        f"# {facts['dataset']}: {facts['network']}\n\n"
        f"Trained and exported by {facts['made_by']}. Runs with {runs_with}, without reunet.\n\n"
        f"Input `image`: ({', '.join(given['axes'])}), {given['dtype']}, {given['channels']} channel(s), of "
        f"any size that fits the memory.\n\n## Outputs\n\n{outputs}\nClasses: {classes}.\n\n"
        f"## Inside the file\n\n{_list(facts['inside'])}\n## What the caller must do\n\n"
        f"{_list(facts['caller_must'])}\n## How exact it is\n\n"
        "Compared with `reunet predict` in float32 on synthetic images when it was exported: "
        f"{differing(found['differ_ppm'], 'decision')}, numbers differ by {found['max_difference']:.2g} at "
        "most. Compute in float32 too: other precisions round the pixels before they are normalised.\n"
    )


def _list(items: list[str]) -> str:
    return "".join(f"- {item}\n" for item in items)
