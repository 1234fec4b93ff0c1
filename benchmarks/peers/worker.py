"""A process in the environment of a peer that does its work whenever it is told to.

    python worker.py MODULE WORK SETTINGS [--once]

MODULE of this folder has a function WORK, which gets SETTINGS (JSON). It gives a step and what is to be told
of it; for every line on standard input, a number of images, the step is made, and its seconds by the clock
and by the processor are told. --once: the function is all there is to do.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time


def main() -> None:
    module, work, settings, *once = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    made = getattr(importlib.import_module(module), work)(**json.loads(settings))
    if once:
        return
    step, told = made
    print(json.dumps(told), file=answers, flush=True)
    for line in sys.stdin:
        began, cpu = time.perf_counter(), time.process_time()
        step(int(line))
        print(time.perf_counter() - began, time.process_time() - cpu, file=answers, flush=True)


if __name__ == "__main__":
    main()
