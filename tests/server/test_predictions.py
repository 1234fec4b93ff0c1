"""An image by HTTP: the answer in each format is what `predict` writes."""

from __future__ import annotations

import io
import json
import struct
import threading
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.server import service as service_room
from reunet.server.answers import wanted_format
from reunet.server.problems import RefusedError

from .asking import Asked, png


def test_json_tells_all_of_it(ask: Asked, bright: np.ndarray) -> None:
    answer = ask("POST", "/v1/predict?name=cell.png", png(bright))
    assert answer.status == 200
    assert answer.json["file"] == "cell.png"
    assert answer.json["model"] == "bright"
    (page,) = answer.json["pages"]
    assert page["size"] == [40, 50]
    assert page["pixels"] == {"background": 40 * 50 - 200, "bright": 200}


def test_label_images_are_exact(ask: Asked, bright: np.ndarray) -> None:
    sent = png(bright)
    mask = ask.send("/v1/predict", ("cell.png", sent), headers={"Accept": "image/png"})
    assert mask.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(mask.body))), bright // 255)
    tiff = ask.send("/v1/predict?format=tiff", ("cell.png", sent))
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(tiff.body)), bright // 255)


def test_a_stack_is_a_tiff_of_pages_and_no_png(ask: Asked, bright: np.ndarray) -> None:
    file = io.BytesIO()
    tifffile.imwrite(
        file, np.stack([bright, bright.T[:40, :50].repeat(2, 1)[:, :50]]), metadata={"axes": "TYX"}
    )
    tiff = ask("POST", "/v1/predict?format=tiff&name=film.tif", file.getvalue())
    assert tifffile.imread(io.BytesIO(tiff.body)).shape == (2, 40, 50)
    told = ask("POST", "/v1/predict?format=json&name=film.tif", file.getvalue())
    assert len(told.json["pages"]) == 2
    refused = ask("POST", "/v1/predict?format=png&name=film.tif", file.getvalue())
    assert refused.status == 406
    assert "image/tiff" in refused.json["expected"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("image/*", "png"),
        ("text/html, image/tiff;q=0.9, image/png;q=0.5", "tiff"),
        ("application/json;q=0, image/png", "png"),
        ("application/vnd.coco+json", "coco"),
    ],
)
def test_the_format_that_is_accepted(accept: str, expected: str) -> None:
    assert wanted_format(accept, None) == expected


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(RefusedError, match="format"):
        wanted_format("text/html, image/png;q=never", None)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(side: int) -> bytes:
    """A PNG of some bytes that announces side x side pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.fault(
    "a client of the server sends what is no image, is cut off, or is a bomb", "a sentence, status 4xx"
)
def test_what_is_no_image(ask: Asked, bright: np.ndarray) -> None:
    cut = png(np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8))[:300]
    for sent, status, says in (
        (b"hello", 422, "not an image file"),
        (cut, 422, "ends within its pixels"),
        (bomb(40_000), 413, "too large"),
        (bomb(15_000), 422, "too small for the pixels"),
        (b"", 422, "brings no file"),
    ):
        answer = ask("POST", "/v1/predict?name=cell.png", sent)
        assert (answer.status, says in answer.json["title"]) == (status, True), answer.json
        assert str(ask.service.scratch) not in answer.body.decode()
    assert not [*ask.service.scratch.iterdir()]
    assert ask("POST", "/v1/predict", png(bright)).status == 200


def test_a_model_that_is_not_there(ask: Asked, bright: np.ndarray) -> None:
    answer = ask("POST", "/v1/predict?model=brihgt", png(bright))
    assert answer.status == 404
    assert answer.json["expected"] == "bright"
    assert "did you mean 'bright'" in answer.json["fix"]


def test_models_tell_what_they_are(ask: Asked) -> None:
    (model,) = ask("GET", "/v1/models").json["models"]
    assert model["id"] == "bright"
    assert [one["name"] for one in model["classes"]] == ["background", "bright"]
    assert model["plan"]["inference"]["tile"] == [32, 32]
    assert ask("GET", "/v1/models/bright").json == model


def test_many_clients_get_their_own_answers(ask: Asked) -> None:
    """Threads share the engine: each answer belongs to its image, those of one name too."""
    images = [np.zeros((40, 40), np.uint8) for _ in range(8)]
    for i, image in enumerate(images):
        image[: i + 1] = 255
    found: dict[int, int] = {}

    def client(i: int) -> None:
        answer = ask.send("/v1/predict", ("cell.png", png(images[i])))
        found[i] = answer.json["pages"][0]["pixels"]["bright"]

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: 40 * (i + 1) for i in range(8)}


@pytest.mark.fault("more clients ask the server at once than it takes", "status 429, and when to come again")
def test_a_full_server(
    start: Callable[..., Asked], bright: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = start(waiting=0)
    free, began = threading.Event(), threading.Semaphore(0)

    def held(*args: object, **kwargs: object) -> None:
        began.release()
        free.wait(20)
        raise RefusedError(422, "held")

    monkeypatch.setattr("reunet.server.api.predictions.predict_file", held)
    threads = [
        threading.Thread(target=ask, args=("POST", "/v1/predict", png(bright)))
        for _ in range(ask.service.threads)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert began.acquire(timeout=20)
    refused = ask("POST", "/v1/predict", png(bright))
    free.set()
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    for thread in threads:
        thread.join()
    assert ask.service.in_hand == 0
    assert service_room.MOST_WAITING >= 64


def test_an_image_that_takes_too_much_memory_is_sent_to_jobs(
    ask: Asked, bright: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reunet.server.predictions.memory_bytes", lambda: 10_000)
    answer = ask("POST", "/v1/predict", png(bright))
    assert answer.status == 413
    assert "/v1/jobs" in answer.json["fix"]


def test_what_is_counted(ask: Asked, bright: np.ndarray) -> None:
    ask("POST", "/v1/predict", png(bright))
    ask("POST", "/v1/predict", b"no image")
    told = ask("GET", "/metrics").body.decode()
    assert 'reunet_requests_total{route="/v1/predict",status="200"} 1.0' in told
    assert 'reunet_requests_total{route="/v1/predict",status="422"} 1.0' in told
    assert "reunet_requests_in_hand 0.0" in told


def test_the_documentation_needs_no_other_host(ask: Asked) -> None:
    page = ask("GET", "/docs").body.decode()
    document = json.loads(ask("GET", "/openapi.json").body)
    for path in document["paths"]:
        assert path in page
    assert "<script" not in page
    assert {part.split("/")[0] for part in page.split("http://")[1:]} == {f"127.0.0.1:{ask.port}"}
    assert "https://" not in page
