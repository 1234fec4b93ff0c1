"""A decision of the planner: what was chosen and why, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Decision(Generic[T_co]):
    """What was chosen, and for each field of the plan that it settles a sentence on why.

    reasons: by the name of the field, such as `network.filters`; none where there was nothing to choose.
    """

    value: T_co
    reasons: Mapping[str, str] = field(default_factory=dict)
