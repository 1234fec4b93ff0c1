"""Where a server listens, and what it is called from outside."""

from __future__ import annotations

import pytest

from reunet.errors import UsageError
from reunet.server.running import address_of, listening_at
from reunet.server.serve import origin_of


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_port_that_there_is_not_is_named(port: int) -> None:
    with pytest.raises(UsageError, match="no such port") as caught, listening_at("127.0.0.1", port):
        pass
    assert f"--port {port}" in str(caught.value)


def test_any_free_port_is_told() -> None:
    with listening_at("127.0.0.1", 0) as listening:
        assert address_of(listening, "127.0.0.1") == f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_the_address_of_a_site() -> None:
    assert origin_of("https://Cells.example.org:8443/") == "https://cells.example.org:8443"
    for wrong in ("cells.example.org", "ftp://a", "https://", "https://a/b", "https://a?b=1", "https://[::1"):
        with pytest.raises(UsageError, match="not the address of a site"):
            origin_of(wrong)
