"""Thumbnails: the app that ``rmqwork demo`` runs, and the example in ``examples/thumbnails``.

Two kinds of work, as in a shop: a portrait that a customer has just uploaded is wanted at once and
is small enough to travel in its message; the pictures of a catalogue may wait, and their messages
say where the bytes are. Some bytes are no image, and some sources are busy: that is everyday, too.

    rmqwork worker rmqwork._cli.demo.app:app -Q high_priority
    rmqwork worker rmqwork._cli.demo.app:app -Q low_priority -p 2

What it reads from the environment: ``THUMBNAILS_FOLDER``, where the thumbnails and the ledger go.
"""

from __future__ import annotations

import io
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, Field
from tenacity import wait_exponential, wait_random

from rmqwork import App, Context, Middleware, Queue, Reject, Retry, TaskMessage
from rmqwork._cli.demo.ledger import LedgerWriter, Line
from rmqwork.types import Outcome, RetryOutcome

HIGH: Final = "high_priority"
LOW: Final = "low_priority"
FOLDER_VARIABLE: Final = "THUMBNAILS_FOLDER"
_DEFAULT_FOLDER: Final = ".rmqwork/thumbnails"
_FETCH_TIMEOUT: Final = 10.0  # seconds


class MakeThumbnail(TaskMessage, name="thumbnails.make", queue=LOW):
    """Make a thumbnail of an image whose bytes are somewhere else."""

    name: str = Field(pattern=r"^[\w-]+$")
    source: str
    """A path, or an http URL."""
    width: int = Field(default=128, gt=0, le=1024)


class MakePortrait(TaskMessage, name="thumbnails.portrait", queue=HIGH):
    """Make a square thumbnail of a small image that travels in the message (as base64)."""

    name: str = Field(pattern=r"^[\w-]+$")
    image: bytes = Field(max_length=256 * 1024)
    size: int = Field(default=48, gt=0, le=256)


class Thumbnail(BaseModel):
    """What was made."""

    path: str
    width: int
    height: int


class SourceBusy(Exception):
    """The source did not give us the image this time."""


class BrokenImage(Exception):
    """It is an image, and its bytes end before it does."""


@dataclass(frozen=True)
class Studio:
    """What each executor process has once."""

    folder: Path
    ledger: LedgerWriter


def ledger_path(folder: Path) -> Path:
    """Where in a folder the ledger is."""
    return folder / "ledger.jsonl"


class NoteRetries(Middleware):
    """Writes the runs that will be tried again into the ledger."""

    def after_execute(self, ctx: Context[Studio], outcome: Outcome) -> None:
        """Note one run."""
        if isinstance(outcome, RetryOutcome):
            ctx.state.ledger.write(Line("retry", ctx.task_id, ctx.queue, ctx.attempt))


app = App(
    "thumbnails",
    queues=[Queue(HIGH), Queue(LOW)],
    default_queue=LOW,
    middleware=[NoteRetries()],
)


@app.lifespan
@contextmanager
def studio() -> Iterator[Studio]:
    """Open the folder and the ledger, once in each executor process."""
    folder = Path(os.environ.get(FOLDER_VARIABLE, _DEFAULT_FOLDER))
    folder.mkdir(parents=True, exist_ok=True)
    ledger = LedgerWriter(ledger_path(folder))
    try:
        yield Studio(folder, ledger)
    finally:
        ledger.close()


POLICY: Final = Retry(
    max_attempts=5,
    wait=wait_exponential(multiplier=0.25, max=10) + wait_random(0, 0.25),
    give_up_on=BrokenImage,
)


@app.task(retry=POLICY)
def make_thumbnail(message: MakeThumbnail, ctx: Context[Studio]) -> Thumbnail:
    """Fetch the image, shrink it, store it."""
    small = shrink(fetch(message.source), (message.width, message.width))
    return store(small, message.name, ctx)


@app.task(retry=POLICY)
def make_portrait(message: MakePortrait, ctx: Context[Studio]) -> Thumbnail:
    """Shrink an uploaded image and store it."""
    return store(shrink(message.image, (message.size, message.size)), message.name, ctx)


def fetch(source: str) -> bytes:
    """The bytes at a path or an http URL."""
    if not source.startswith(("http://", "https://")):
        return Path(source).read_bytes()
    try:
        with urllib.request.urlopen(source, timeout=_FETCH_TIMEOUT) as answer:
            data: bytes = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            if error.code < 500:
                raise Reject(f"{source}: {error.code} {error.reason}") from None
            raise SourceBusy(f"{source}: {error.code} {error.reason}") from None
    except OSError as error:
        raise SourceBusy(f"{source}: {error}") from error
    return data


def shrink(data: bytes, most: tuple[int, int]) -> Image.Image:
    """The image in these bytes, no larger than ``most`` pixels; what is no image is rejected."""
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
        image.thumbnail(most)
    except UnidentifiedImageError:
        raise Reject(f"these {len(data)} bytes are no image") from None
    except (OSError, SyntaxError) as error:  # Pillow raises either for bytes that end early
        raise BrokenImage(str(error)) from error
    return image.convert("RGB")


def store(image: Image.Image, name: str, ctx: Context[Studio]) -> Thumbnail:
    """Write the thumbnail, whole or not at all; then its line in the ledger."""
    path = ctx.state.folder / f"{name}.jpg"
    draft = path.with_suffix(f".{ctx.task_id}-{ctx.attempt}.part")
    image.save(draft, "JPEG")
    draft.replace(path)
    ctx.state.ledger.write(Line("done", ctx.task_id, ctx.queue, ctx.attempt, name))
    return Thumbnail(path=str(path), width=image.width, height=image.height)
