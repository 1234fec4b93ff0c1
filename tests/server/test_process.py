"""The verbs as processes: they start, answer, end on a signal, and leave nothing."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.mark.parametrize("verb", ["serve", pytest.param("open", marks=pytest.mark.slow)])
def test_a_server_ends_on_a_signal(
    verb: str, served_run: Path, tmp_path: Path, child_environment: dict[str, str]
) -> None:
    options = ["--no-browser"] if verb == "open" else ["--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "reunet", verb, str(served_run), *options],
        env={**child_environment, "XDG_CACHE_HOME": str(tmp_path)},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        place = next(filter(None, (re.search(r"http://([\d.:]+)(\S*)", line) for line in process.stderr)))
        connection = http.client.HTTPConnection(place[1], timeout=30)
        connection.request("GET", "/v1/models")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == (200 if verb == "serve" else 401)
        connection.close()
        if verb == "open":  # whoever has the address that was printed
            connection.request("GET", place[2])
            assert connection.getresponse().status == 303
            connection.close()
        assert [*(tmp_path / "reunet" / "server").iterdir()]
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err
    assert not [*(tmp_path / "reunet" / "server").iterdir()]
