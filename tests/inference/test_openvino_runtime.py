"""OpenVINO as it is loaded here."""

from __future__ import annotations

import subprocess
import sys


def test_openvino_is_loaded_without_its_reports(child_environment: dict[str, str]) -> None:
    """Importing it would send a message to its maker; nothing is sent from a process that has no sender."""
    code = (
        "import sys; from reunet.backend import import_openvino; import_openvino().Core();"
        "sys.exit(any(name.startswith('openvino_telemetry') and sys.modules[name] for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=child_environment)


def test_threads_may_be_the_first_to_use_it(child_environment: dict[str, str]) -> None:
    """Its table of dtypes is filled once: two threads that did so at once waited for each other for ever."""
    code = (
        "import openvino, threading; from reunet.backend import import_openvino;"
        "ready = threading.Barrier(16);"
        "first = lambda: (ready.wait(), import_openvino().Type.f32.to_dtype());"
        "threads = [threading.Thread(target=first) for _ in range(16)];"
        "[one.start() for one in threads]; [one.join() for one in threads]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=child_environment, timeout=60)
