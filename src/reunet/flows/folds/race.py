"""A race of networks: successive halving (Jamieson and Talwalkar, AISTATS 2016).

In each heat every network that is left trains for the same share of the budget, from fresh weights and with
a schedule of its own; the better half goes on and has twice as much in the next one.
"""

from collections.abc import Callable, Mapping
from math import ceil

from reunet.contracts.network import OWN_ENCODERS
from reunet.contracts.plan import Plan
from reunet.errors import ReunetError, UsageError
from reunet.networks.photo import PHOTO_ENCODER, photo_weights

SHARE = 0.25
"""Of the budget that a race takes."""

RACERS: Mapping[str, Mapping[str, str]] = {
    "auto": {"preset": "auto"},
    "unet": {"preset": "unet", "encoder": "none"},
    "photo": {"preset": "auto", "encoder": PHOTO_ENCODER},
    "nnunet": {"preset": "nnunet", "encoder": "none"},
    "resunet": {"preset": "resunet", "encoder": "none"},
}
"""What is asked of the planner for each; what does not fit the data takes no part, nor do the last ones where
the minutes are too few for all.
"""

NARROW = "narrow"
"""The first one with half as many filters: twice as many steps and more."""


def entrants(planned: Callable[..., Plan], rank: int) -> dict[str, Plan]:
    """The plans of the networks that race, by name; no two alike.

    planned: makes the plan for some wishes. rank: axes of the images. Raises what planning raises for the
    first of them, UsageError where there is only one.
    """
    found: dict[str, Plan] = {}
    for name, wishes in RACERS.items():
        if wishes.get("encoder") == PHOTO_ENCODER and (rank == 3 or photo_weights() is None):
            continue
        try:
            plan = planned(**wishes)
        except ReunetError:
            if not found:
                raise
            continue
        if all(plan.network != other.network for other in found.values()):
            found[name] = plan
    first = next(iter(found.values()))
    if first.network.encoder in OWN_ENCODERS and min(first.network.filters) >= 16:
        filters = tuple(one // 2 for one in first.network.filters)
        network = first.network.model_copy(update={"filters": filters})
        if all(network != other.network for other in found.values()):
            found[NARROW] = first.model_copy(update={"network": network})
    if len(found) < 2:
        raise UsageError(
            "there is only one network for these data, so none can race",
            where="--preset race",
            received=", ".join(found),
            fix="leave --preset out",
        )
    return found


def heats(count: int, finalists: int = 1) -> list[int]:
    """How many networks run in each heat, until `finalists` are left."""
    left = []
    while count > finalists:
        left.append(count)
        count = max(finalists, ceil(count / 2))
    return left


def shares(count: int, finalists: int = 1) -> list[float]:
    """The part of the race's budget that each network has in each heat; together it is all of it."""
    running = heats(count, finalists)
    return [1 / (len(running) * each) for each in running]


def best(scores: Mapping[str, float | None], count: int) -> list[str]:
    """The `count` best, the best first; of equals that which was named first. Without a score one is last."""
    return sorted(scores, key=lambda name: (scores[name] is None, -(scores[name] or 0.0)))[:count]
