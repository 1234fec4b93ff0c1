"""From what the data look like to what will be trained, with the reason of each decision.

`rules.py` is the plan on one screen; each rule gives a `Decision`, what was chosen and why, from the file of
that name. `fingerprint.py` measures what they go by.
"""

from reunet.planning.fingerprint import take_fingerprint
from reunet.planning.request import PlanRequest
from reunet.planning.rules import make_plan
from reunet.planning.sequences import needs_sequences

__all__ = ["PlanRequest", "make_plan", "needs_sequences", "take_fingerprint"]
