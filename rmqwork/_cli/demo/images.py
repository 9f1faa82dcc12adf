"""Images of real bytes, drawn with Pillow: varied sizes and formats, each one different."""

from __future__ import annotations

import io
import os
import random
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

_SIZES: Final = ((160, 120), (320, 240), (480, 640), (640, 480), (800, 600), (1280, 960))
_SIZE_WEIGHTS: Final = (3, 8, 5, 6, 4, 1)
_FORMATS: Final = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"))
_FORMAT_WEIGHTS: Final = (7, 2, 1)
_FAST: Final[dict[str, dict[str, int]]] = {
    "JPEG": {"quality": 80},
    "PNG": {"compress_level": 1},
    "WEBP": {"method": 0, "quality": 70},
}
_BATCH: Final = 50
_SHAPES: Final = 8


@lru_cache(maxsize=32)
def _background(size: tuple[int, int], turn: int) -> Image.Image:
    """A noisy gradient, so that the bytes compress as badly as those of a photograph."""
    down = Image.linear_gradient("L").resize(size)
    around = Image.radial_gradient("L").resize(size)
    noise = Image.effect_noise((size[0] // 2, size[1] // 2), 50).resize(size)
    bands = [down, around, noise]
    return Image.merge("RGB", bands[turn:] + bands[:turn])


def draw(seed: int, size: tuple[int, int]) -> Image.Image:
    """An image of its own for each seed; ``size`` is width and height in pixels."""
    rng = random.Random(seed)
    image = _background(size, rng.randrange(3)).copy()
    pen = ImageDraw.Draw(image)
    for _ in range(_SHAPES):
        left, top = rng.randrange(size[0]), rng.randrange(size[1])
        extent = rng.randrange(8, max(9, size[0] // 3))
        colour = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        pen.ellipse((left, top, left + extent, top + extent), fill=colour)
    return image


def encoded(seed: int) -> tuple[bytes, str]:
    """The bytes of an image in a size and a format that follow from its seed, and its suffix."""
    rng = random.Random(~seed)
    (size,) = rng.choices(_SIZES, _SIZE_WEIGHTS)
    ((kind, suffix),) = rng.choices(_FORMATS, _FORMAT_WEIGHTS)
    buffer = io.BytesIO()
    draw(seed, size).save(buffer, kind, **_FAST[kind])
    return buffer.getvalue(), suffix


def portrait(seed: int) -> bytes:
    """A small JPEG of a few kilobytes, as people upload for their profile."""
    buffer = io.BytesIO()
    draw(seed, (128, 128)).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def write_image(folder: str, seed: int) -> Path:
    """Draw an image into a folder, named by its seed; return its path."""
    data, suffix = encoded(seed)
    path = Path(folder, f"{seed:06d}.{suffix}")
    path.write_bytes(data)
    return path


def write_images(folder: Path, seeds: Sequence[int]) -> Iterator[Path]:
    """Draw images into a folder, on all cores; yield their paths in the order of the seeds."""
    # Not "fork": this process may have threads already.
    pool = ProcessPoolExecutor(
        min(os.cpu_count() or 1, 1 + len(seeds) // _BATCH),
        get_context("spawn"),
        signal.signal,
        (signal.SIGINT, signal.SIG_IGN),
    )
    try:
        yield from pool.map(partial(write_image, str(folder)), seeds, chunksize=_BATCH)
    finally:
        pool.shutdown(cancel_futures=True)
