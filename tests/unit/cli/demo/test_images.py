"""Images for the demo."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from rmqwork._cli.demo.images import portrait, write_images


def test_each_seed_has_an_image_of_its_own(tmp_path: Path) -> None:
    paths = list(write_images(tmp_path, [3, 1, 2]))

    assert [path.stem for path in paths] == ["000003", "000001", "000002"]
    assert len({path.read_bytes() for path in paths}) == 3
    for path in paths:
        with Image.open(path) as image:
            image.load()


def test_a_portrait_is_small_and_the_same_each_time() -> None:
    assert portrait(1) == portrait(1) != portrait(2)
    assert Image.open(io.BytesIO(portrait(1))).size == (128, 128)
    assert len(portrait(1)) < 10_000
