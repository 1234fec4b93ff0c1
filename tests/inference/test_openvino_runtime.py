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
