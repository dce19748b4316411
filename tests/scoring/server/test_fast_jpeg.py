"""`--fast-jpeg` reaches the decoder, and nothing decodes less without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from scoring import images


@pytest.mark.parametrize("fast", [False, True])
def test_large_jpegs_are_decoded_no_larger_than_needed_where_it_was_asked_for(
    serve: Callable[..., Any], png: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    sizes = []
    to_rgb = images._to_rgb

    def look(image: Image.Image) -> Image.Image:
        sizes.append(image.size)
        return to_rgb(image)

    monkeypatch.setattr(images, "_to_rgb", look)
    answer = serve(fast_jpeg=fast).post("/score", png(size=(320, 240), kind="JPEG"))
    assert answer.status == 200
    assert {box["label"] for box in answer.json[0]["boxes"]} == {"red-cap", "green, cap"}
    assert sizes == [(40, 30) if fast else (320, 240)]
