"""What the demo publishes: a mixed load, as a shop would have on a bad day."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from rmqwork._cli.demo.app import MakePortrait, MakeThumbnail
from rmqwork._cli.demo.images import Order, portrait, write_images

Fate = Literal["portrait", "file", "flaky", "gone", "noise", "torn"]
"""What a message meets: a good portrait, a good file, a source that is busy a few times, one that
is busy for ever, bytes that are no image, an image that is cut off."""

MIX: Final[dict[Fate, int]] = {
    "portrait": 390,
    "file": 490,
    "flaky": 80,
    "gone": 5,
    "noise": 20,
    "torn": 15,
}
"""How many of each in a thousand."""
_SURE: Final = len(get_args(Fate))
_BUSY: Final = (1, 1, 1, 2, 2, 3)
_SEED: Final = 20

Message = MakePortrait | MakeThumbnail


@dataclass(frozen=True, slots=True)
class Load:
    """The messages to publish, and how many must end how."""

    messages: Sequence[Message]
    dead: int
    retries: int
    bytes: int


def fates(count: int, rng: random.Random) -> list[Fate]:
    """What each of ``count`` messages meets; each fate is met if there are enough messages."""
    sure: list[Fate] = list(MIX) if count >= _SURE else []
    drawn = rng.choices(list(MIX), list(MIX.values()), k=count - len(sure))
    rng.shuffle(mixed := sure + drawn)
    return mixed


def prepare(count: int, folder: Path, source_url: str, drawn: Callable[[], None]) -> Load:
    """Draw the images into a folder and write the messages.

    Args:
        count: of messages.
        folder: for the images; the source behind ``source_url`` serves it.
        source_url: of a `FlakySource`.
        drawn: called after each message.
    """
    rng = random.Random(_SEED)
    orders: list[Order] = []
    fate_of: dict[str, Fate] = {}
    messages: list[Message] = []
    size = 0
    for number, fate in enumerate(fates(count, rng)):
        name = f"{number:06d}"
        fate_of[name] = fate
        if fate == "portrait":
            image = portrait(number)
            size += len(image)
            messages.append(MakePortrait(name=f"portrait-{name}", image=image))
            drawn()
        else:
            orders.append(Order(name, number))
    retries = 0
    for order, path in write_images(folder, orders):
        message, refusals = _about(path, fate_of[order.name], source_url, rng)
        size += path.stat().st_size
        retries += refusals
        messages.append(message)
        drawn()
    rng.shuffle(messages)
    dead = sum(fate in ("gone", "noise", "torn") for fate in fate_of.values())
    return Load(messages, dead, retries, size)


def _about(path: Path, fate: Fate, url: str, rng: random.Random) -> tuple[MakeThumbnail, int]:
    """The message about an image file, damaged if so fated, and how often it is retried."""
    name = f"picture-{path.stem}"
    if fate == "noise":
        path.write_bytes(rng.randbytes(path.stat().st_size))
    elif fate == "torn":
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    elif fate == "flaky":
        times = rng.choice(_BUSY)
        return MakeThumbnail(name=name, source=f"{url}/flaky/{times}/{path.name}"), times
    elif fate == "gone":
        return MakeThumbnail(name=name, source=f"{url}/gone/{path.name}"), 4
    return MakeThumbnail(name=name, source=str(path)), 0


def thumbnails(folder: Path) -> Iterator[Path]:
    """The thumbnails in a folder."""
    return folder.glob("*.jpg")
