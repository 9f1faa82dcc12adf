"""What the demo publishes: a mixed load, as a shop would have on a bad day."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from rmqwork._cli.demo.app import MakePortrait, MakeThumbnail
from rmqwork._cli.demo.images import portrait, write_images

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
_DEAD: Final = ("gone", "noise", "torn")
_BUSY: Final = (1, 1, 1, 2, 2, 3)
_SEED: Final = 20

Message = MakePortrait | MakeThumbnail


class Drawn(NamedTuple):
    """A message, what must become of it, and the bytes of its image."""

    message: Message
    dead: bool
    retries: int
    size: int


@dataclass(frozen=True, slots=True)
class Load:
    """The messages to publish, and how many must end how."""

    messages: Sequence[Message]
    dead: int
    retries: int
    bytes: int

    @classmethod
    def of(cls, drawn: Iterable[Drawn]) -> Load:
        """Put together what was drawn, in another order."""
        all_of = list(drawn)
        random.Random(_SEED).shuffle(all_of)
        return cls(
            messages=[one.message for one in all_of],
            dead=sum(one.dead for one in all_of),
            retries=sum(one.retries for one in all_of),
            bytes=sum(one.size for one in all_of),
        )


def fates(count: int, rng: random.Random) -> list[Fate]:
    """Draw what each of ``count`` messages meets; each fate is met if there are enough messages."""
    sure: list[Fate] = list(MIX) if count >= len(MIX) else []
    drawn = rng.choices(list(MIX), list(MIX.values()), k=count - len(sure))
    rng.shuffle(mixed := sure + drawn)
    return mixed


def prepare(count: int, folder: Path, source_url: str) -> Iterator[Drawn]:
    """Draw the images into a folder, and make the messages about them.

    Args:
        count: number of messages.
        folder: folder of the images; the source behind ``source_url`` serves it.
        source_url: address of a `FlakySource`.
    """
    rng = random.Random(_SEED)
    fate_of = dict(enumerate(fates(count, rng)))
    for number, fate in fate_of.items():
        if fate == "portrait":
            image = portrait(number)
            message = MakePortrait(name=f"portrait-{number:06d}", image=image)
            yield Drawn(message, False, 0, len(image))
    pictures = [number for number, fate in fate_of.items() if fate != "portrait"]
    for number, path in zip(pictures, write_images(folder, pictures), strict=True):
        about, retries = _about(path, fate_of[number], source_url, rng)
        yield Drawn(about, fate_of[number] in _DEAD, retries, path.stat().st_size)


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
