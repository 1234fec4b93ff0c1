"""How a budget is divided between the race, the folds and what comes after them."""

from dataclasses import dataclass

from reunet.contracts.plan import Plan
from reunet.errors import UsageError
from reunet.flows.folds.race import SHARE, heats, shares

AFTER_SHARE, LEAST_AFTER_S = 0.12, 20.0
"""Of the minutes, and at least so many seconds, for out-of-fold predictions, the choice and the export."""

FEWEST_S = 12.0
"""Seconds below which a training is not worth its start."""


@dataclass(frozen=True)
class Division:
    """racers: how many networks race, 0 without a race. finalists: that go through the folds. folds: 0 for
    a single training after the race.
    """

    racers: int
    finalists: int
    folds: int

    @property
    def trainings(self) -> int:
        """After the race."""
        return self.finalists * max(self.folds, 1)

    @property
    def race_share(self) -> float:
        """Of the budget."""
        return SHARE if self.racers else 0.0

    @property
    def heat_shares(self) -> list[float]:
        """Of the budget, for each network of each heat."""
        return [self.race_share * one for one in shares(self.racers, self.finalists)] if self.racers else []

    def after(self, seconds: float) -> float:
        """Seconds of the whole that are kept for what follows the trainings."""
        return max(LEAST_AFTER_S, AFTER_SHARE * seconds) if self.folds else 0.0

    def shortest(self, minutes: float) -> float:
        """Seconds of the shortest training."""
        seconds = minutes * 60
        each = (seconds * (1 - self.race_share) - self.after(seconds)) / self.trainings
        return min([each, *(seconds * share for share in self.heat_shares)])

    def check(self, minutes: float) -> None:
        """Raise UsageError for minutes that give a training less than FEWEST_S seconds."""
        shortest = self.shortest(minutes)
        if shortest >= FEWEST_S:
            return
        races = sum(heats(self.racers, self.finalists)) if self.racers else 0
        needed = max(
            [
                (FEWEST_S * self.trainings + LEAST_AFTER_S)
                / (1 - self.race_share - AFTER_SHARE * bool(self.folds)),
                *(FEWEST_S / share for share in self.heat_shares),
            ]
        )
        ways = [f"give --minutes {needed / 60 + 0.1:.1f} or more"]
        ways += ["fewer --folds"] if self.folds > 2 else ["train without --folds"] if self.folds else []
        raise UsageError(
            "the minutes are too few for so many trainings",
            where="--minutes",
            expected=f"{FEWEST_S:g} seconds or more for each of {self.trainings + races} trainings",
            received=f"{minutes:g} minutes, {max(shortest, 0):.0f} seconds for the shortest of them",
            fix=", or ".join(ways),
        )


def with_budget(plan: Plan, seconds: float | None, share: float = 1.0) -> Plan:
    """A plan whose training takes so many seconds; None for a share of the steps or epochs it has."""
    schedule = plan.schedule
    if seconds is not None:
        told: dict[str, float | int | None] = {
            "minutes": max(seconds, 1.0) / 60,
            "steps": None,
            "epochs": None,
        }
    elif schedule.steps is not None:
        told = {"steps": max(1, round(schedule.steps * share))}
    else:
        told = {"epochs": (schedule.epochs or 1.0) * share}
    return plan.model_copy(update={"schedule": schedule.model_copy(update=told)})
