"""Accuracy on real data, trained from scratch in minutes on a CPU: one line per set and seed.

python benchmarks/quality.py --sets dsb2018_nuclei isbi2012_em drive --seeds 0
"""

from __future__ import annotations

import argparse
from pathlib import Path

import records
from training_runs import train_and_score

MINUTES = {"dsb2018_nuclei": 10, "isbi2012_em": 10, "drive": 20, "hippocampus": 20}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=records.DATA)
    parser.add_argument("--sets", nargs="+", default=list(MINUTES), choices=list(MINUTES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--label", default="", help="names a state of the code, to run the same again")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for name in arguments.sets:
            key = {"set": name, "minutes": MINUTES[name], "seed": seed, "label": arguments.label}
            if not records.is_done("quality", key):
                run = f"quality-{name}-{seed}{arguments.label}"
                records.append(
                    "quality", key, train_and_score(run, arguments.data / name, MINUTES[name], seed)
                )


if __name__ == "__main__":
    main()
