"""Which normalisation: Batch, Instance or Group, on three sets, same minutes, same seed, in turn.

python benchmarks/normalisation.py --minutes 3
"""

from __future__ import annotations

import argparse
from pathlib import Path

import records
from training_runs import train_and_score

SETS = ("dsb2018_nuclei", "isbi2012_em", "drive")
KINDS = ("batch", "instance", "group")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=records.DATA)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for name in SETS:
            for kind in KINDS:
                key = {"set": name, "normalisation": kind, "minutes": arguments.minutes, "seed": seed}
                if not records.is_done("normalisation", key):
                    run = f"normalisation-{name}-{kind}-{seed}"
                    changes = {"network.normalisation": kind}
                    result = train_and_score(run, arguments.data / name, arguments.minutes, seed, changes)
                    records.append("normalisation", key, result)


if __name__ == "__main__":
    main()
