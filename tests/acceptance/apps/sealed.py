"""An app whose messages are sealed; what runs leaves a line in the ledger of `work`."""

from __future__ import annotations

from rmqwork import App, Context, Queue
from rmqwork.sealing import Keys, Seal
from tests.acceptance.apps.work import note

KEYS = Keys({"test": b"k" * 32})


def make(broker: str | None = None, keys: Keys | None = KEYS) -> App:
    """The app, with another key or none for those who forge."""
    seal = None if keys is None else Seal(keys, encrypt="sealed.secret", sign="sealed.signed")
    made = App("sealed", broker=broker, queues=[Queue("default")], seal=seal)

    @made.task(name="sealed.secret", retry=None)
    def secret(ctx: Context, text: str) -> None:
        note("ran", ctx, text=text)

    @made.task(name="sealed.signed")
    def signed(ctx: Context, text: str) -> None:
        note("ran", ctx, text=text)

    return made


app = make()
