"""`reunet serve` under 64 clients on loopback, against the predictor alone in a process of its own, in turns.

Alone, 1, 2 and 3 threads ask the predictor and the best rate counts. Of the server: images per second,
median and 95th percentile of the wait, answers by status, and resident memory over time.

    python benchmarks/serving.py [--run RUN] [--clients 64] [--seconds 60] [--rounds 3] [--size 512]
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import records
from PIL import Image

import reunet
from reunet.datasets.synthetic import make_scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, help="a finished run; else the standard network, untrained")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=512, help="pixels per side of the image")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(options.run, picture(options.size), options.seconds)))
        return
    with tempfile.TemporaryDirectory() as name:
        run = options.run or Path(name) / "run"
        if options.run is None:
            subprocess.run([sys.executable, str(records.HERE / "standard_run.py"), str(run), "0"], check=True)
        rounds = [one_round(run, options) for _ in range(options.rounds)]
    figures = {name: statistics.median(one.get(name, 0) for one in rounds) for name in rounds[0]}
    ratio = figures["served_per_second"] / figures["alone_per_second"]
    result = {"served_over_alone": round(ratio, 3), **figures, "rounds": rounds}
    key = {"clients": options.clients, "seconds": options.seconds, "size": options.size, "run": run.name}
    records.append("serving", key, result)
    print(json.dumps(result, indent=1))


def one_round(run: Path, options: argparse.Namespace) -> dict[str, float]:
    """The predictor alone, then the server."""
    command = [sys.executable, __file__, "--alone", "--run", run, "--seconds", "20", "--size", options.size]
    said = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
    result = {"alone_per_second": json.loads(said), **served(run, options)}
    print(json.dumps(result), flush=True)
    return result


def picture(size: int) -> bytes:
    """A PNG of synthetic microscopy."""
    scene, file = make_scene(np.random.default_rng(0), (size, size)), io.BytesIO()
    Image.fromarray(scene.image).save(file, "png")
    return file.getvalue()


def alone(run: Path, image: bytes, seconds: float) -> float:
    """The most images per second of the predictor without HTTP, by threads."""
    predict, pixels = reunet.load(run), np.asarray(Image.open(io.BytesIO(image)))
    predict(pixels)
    return max(rate(lambda: predict(pixels), threads, seconds) for threads in (1, 2, 3))


def rate(work: Callable[[], object], threads: int, seconds: float) -> float:
    """How often per second these threads do it."""
    counts, began = [0] * threads, time.perf_counter()

    def repeat(number: int) -> None:
        while time.perf_counter() < began + seconds:
            work()
            counts[number] += 1

    together([threading.Thread(target=repeat, args=(number,)) for number in range(threads)])
    return round(sum(counts) / (time.perf_counter() - began), 2)


def together(threads: list[threading.Thread]) -> None:
    """Start them, and wait for all."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def served(run: Path, options: argparse.Namespace) -> dict[str, float]:
    """What many clients get from a server, and its memory."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "reunet", "serve", str(run), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            return asked(port, server.pid, options)
        finally:
            server.send_signal(signal.SIGTERM)


def wait_for(port: int) -> None:
    """Until it answers."""
    for _ in range(600):
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=10).request("GET", "/health")
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not answer")


def asked(port: int, server: int, options: argparse.Namespace) -> dict[str, float]:
    """Ask for the time given, all clients at once; every request that was begun is waited for."""
    image, waits, status, memory = picture(options.size), list[float](), Counter[str](), list[float]()
    began = time.perf_counter()
    end = began + options.seconds

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        while time.perf_counter() < end:
            asked_at = time.perf_counter()
            connection.request("POST", "/v1/predict", image, {"Accept": "image/png"})
            answer = connection.getresponse()
            answer.read()
            status[str(answer.status)] += 1
            if answer.status == 200:
                waits.append(time.perf_counter() - asked_at)
            else:
                time.sleep(1)

    def watch() -> None:
        while time.perf_counter() < end:
            memory.append(resident(server) / 1e6)
            time.sleep(1)

    together([threading.Thread(target=work) for work in [watch, *[client] * options.clients]])
    third = len(memory) // 3
    return {
        "served_per_second": round(len(waits) / (time.perf_counter() - began), 2),
        "p50_seconds": round(statistics.median(waits), 2),
        "p95_seconds": round(statistics.quantiles(waits, n=20)[-1], 2),
        "megabytes_second_third": round(statistics.mean(memory[third : 2 * third])),
        "megabytes_last_third": round(statistics.mean(memory[2 * third :])),
        **{f"answers_{code}": count for code, count in status.items()},
    }


def resident(process: int) -> int:
    """Bytes of a process in memory (Linux)."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
