"""Edit the body of a dead letter: its text, its check against the task, its way back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from rmqwork._admin.deadletters.bodies import task_body
from rmqwork._admin.deadletters.purging import seen_as
from rmqwork._admin.deadletters.replaying import Replayed, ReplaySpec, replay_all
from rmqwork._messages import headers as names
from rmqwork._messages.codec import version_of
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._transport.port import Connector
from rmqwork._workflows.document import ENVELOPE, attach, detach
from rmqwork.errors import InvalidMessage, RmqworkError, UnknownTask
from rmqwork.types import Publication

if TYPE_CHECKING:
    from rmqwork._messages.sealing import Seal
    from rmqwork._tasks.app import App


def text_of(letter: DeadLetter) -> str:
    """The body of a letter for an editor: JSON on several lines, or the text as it is.

    Raises:
        InvalidMessage: it is no text, or nobody can read it.
    """
    body = task_body(letter)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidMessage(
            f"{letter.id}: its body is no text, and cannot be edited; rmqwork dlq export has it in "
            "base64"
        ) from None
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    except (ValueError, RecursionError):
        return text


def checked(app: App, letter: DeadLetter, text: str) -> bytes:
    """The new body of a letter, if its task accepts it.

    Args:
        app: that has the task.
        letter: the letter as it was.
        text: JSON.

    Raises:
        InvalidMessage: it does not fit the task's message, with what is wrong.
        UnknownTask: the app has no such task, or none of that version.
    """
    body = text.strip().encode("utf-8", "surrogatepass")
    task = app.tasks.get(letter.task or "")
    if task is None:
        raise UnknownTask(
            f"app {app.name!r} has no task {letter.task!r} to check the message against; add the "
            "module with it to App(include=[...])"
        )
    if names.EACH not in letter.headers:
        task.body.load(body, version_of(letter.headers.get(names.VERSION)))
        return body
    try:
        items = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"no JSON: {error}") from None
    if not isinstance(items, list):
        raise InvalidMessage(f"task {letter.task!r} runs for each item here: give an array")
    return body


async def replace_all(
    connector: Connector,
    letter: DeadLetter,
    body: bytes,
    to: str | None = None,
    seal: Seal | None = None,
) -> Replayed:
    """Replay a letter with another body; the dead letter goes when the broker has confirmed that.

    Args:
        connector: of the broker.
        letter: as it was read.
        body: from `checked`.
        to: the queue; None = where it failed.
        seal: of the app: what was signed is signed again.

    Raises:
        RmqworkError: it is signed, and there is no seal; or it is gone: somebody has replayed or
            removed it meanwhile.
        BrokerUnavailable, BrokerBlocked, PublishTimeout: it stays.
    """

    signed = names.SIGNATURE in letter.headers
    if signed and seal is None:
        raise RmqworkError(
            f"{letter.id} is signed, and the app has no keys to sign it again: App(seal=Seal(...))"
        )

    def changed(publication: Publication) -> Publication:
        if publication.content_type != ENVELOPE:
            publication = replace(publication, body=body, content_encoding=None)
            return seal.close(publication) if signed and seal is not None else publication
        found = detach(publication.headers, publication.body)
        if found is None:
            return replace(publication, body=body)
        whole, kind, headers = attach(found[0], body, dict(publication.headers))
        return replace(publication, body=whole, content_type=kind, headers=headers)

    wanted = seen_as(letter)
    report = Replayed()
    await replay_all(
        connector,
        [letter.dead_letter_queue],
        lambda found: seen_as(found) == wanted,
        ReplaySpec(to=to, limit=1, rewrite=changed),
        report,
    )
    if report.refused:
        (why,) = report.refused
        raise RmqworkError(f"{letter.id} stays a dead letter: {why}")
    if not report.replayed:
        raise RmqworkError(
            f"{letter.id} is no dead letter any more: somebody has replayed or removed it, or is "
            "reading it; nothing was published"
        )
    return report
