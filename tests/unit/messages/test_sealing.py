"""What is signed and encrypted, and what is refused."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rmqwork import App, TaskMessage, chord, group
from rmqwork._canvas.freeze import replacement
from rmqwork._messages.encoded import encode_message
from rmqwork._messages.options import CallOptions
from rmqwork._messages.sealing import ENCRYPTED_TYPE, Keys, Seal
from rmqwork._tasks.run_plan import Prepared
from rmqwork.errors import ConfigurationError
from rmqwork.testing import Published
from rmqwork.types import Failure, Publication, Reason

OLD, NEW = b"o" * 32, b"n" * 32
KEYS = Keys({"old": OLD, "new": NEW}, "new")


DERIVED = {
    ("old", b"sign"): "f5c8780d04f31312e7156ea79e5fced55e8014c309f404fab0497e824437b12f",
    ("old", b"encrypt"): "1dd4174c4eed42263beb24310a193244710c3382fbda0f4bec66e778c2fbc0ab",
    ("long", b"sign"): "88816ea2c8c07d6dc87f3f26542c1e0d196837b8e6d7ae615609f171f065d38d",
    ("long", b"encrypt"): "f43ec049573841dc69cbcc5cfec3c2ff41e36e6c869e04fd232d1a858511aee6",
}
"""What version 0.1 derived: messages that wait must stay readable."""


class Pay(TaskMessage, name="pay.card", version=2):
    card: str


class Note(TaskMessage, name="note.take"):
    text: str


class Free(TaskMessage, name="free.run"): ...


def app(seal: Seal | None, **settings: Any) -> App:
    made = App("shop", broker="memory://", seal=seal, **settings)

    @made.task
    def pay(message: Pay) -> None: ...

    @made.task
    def note(message: Note) -> None: ...

    return made


def both(keys: Keys = KEYS, *, required: bool = True) -> Seal:
    return Seal(keys, encrypt=["pay.*"], sign="note.*", required=required)


def published(made: App, message: TaskMessage) -> Publication:
    return made.compose(encode_message(message), CallOptions())[0]


def received(made: App, publication: Publication) -> Prepared | Failure:
    extras = {"content_encoding": publication.content_encoding}
    return made.runner().prepare(
        (
            "d", 1, "shop", publication.type, publication.body, 1, False, publication.message_id,
            dict(publication.headers) or None, publication.content_type,
            extras if publication.content_encoding else None,
        )
    )  # fmt: skip


def refused(made: App, publication: Publication) -> str:
    found = received(made, publication)
    assert isinstance(found, Failure)
    assert found.reason is Reason.INVALID_MESSAGE
    assert found.evidence is not None
    return found.evidence.message


def test_what_is_encrypted_is_not_to_be_read_and_runs() -> None:
    publication = published(app(both()), Pay(card="4111"))
    assert b"4111" not in publication.body
    assert publication.content_type == ENCRYPTED_TYPE
    assert publication.headers["rmqwork-encrypted"] == "new"
    found = received(app(both()), publication)
    assert isinstance(found, Prepared)
    assert found.value == Pay(card="4111")


def test_what_is_signed_can_be_read_and_runs() -> None:
    publication = published(app(both()), Note(text="hello"))
    assert json.loads(publication.body) == {"text": "hello"}
    found = received(app(both()), publication)
    assert isinstance(found, Prepared)
    assert found.value == Note(text="hello")


@pytest.mark.parametrize("message", [Pay(card="4111"), Note(text="hello")])
@pytest.mark.parametrize(
    "change",
    [
        {"body": b'{"card":"1","text":"1"}' + b" " * 20},
        {"body": b""},
        {"message_id": "another"},
    ],
)
def test_what_was_changed_is_refused(message: TaskMessage, change: dict[str, Any]) -> None:
    changed = replace(published(app(both()), message), **change)
    assert "somebody without the key has written or changed it" in refused(app(both()), changed)


@pytest.mark.parametrize("message", [Pay(card="4111"), Note(text="hello")])
def test_the_version_is_sealed_with_the_body(message: TaskMessage) -> None:
    publication = published(app(both()), message)
    changed = replace(publication, headers={**publication.headers, "rmqwork-version": 3})
    assert "somebody without the key has written or changed it" in refused(app(both()), changed)


def test_a_message_does_not_pass_for_another_task() -> None:
    publication = published(app(Seal(KEYS, sign="*")), Note(text="hello"))
    assert "is wrong" in refused(app(Seal(KEYS, sign="*")), replace(publication, type="pay.card"))


def test_a_forged_signature_and_none_are_refused() -> None:
    plain = published(app(None), Note(text="hello"))
    assert "are signed, and this one is not" in refused(app(both()), plain)
    forged = replace(plain, headers={"rmqwork-signature": "new:Zm9yZ2Vk"})
    assert "(key 'new') is wrong" in refused(app(both()), forged)
    unknown = replace(plain, headers={"rmqwork-signature": "else:Zm9yZ2Vk"})
    assert "key 'else', which is not known here" in refused(app(both()), unknown)
    assert "are encrypted, and this one is not" in refused(
        app(both()), published(app(None), Pay(card="4111"))
    )


def test_keys_change_without_a_stop() -> None:
    # Given messages of the old key, and of publishers that do not seal yet
    old = published(app(both(Keys({"old": OLD}))), Pay(card="4111"))
    plain = published(app(None), Note(text="hello"))

    # Then workers with both keys take them, and those that only have the new one do not
    assert isinstance(received(app(both()), old), Prepared)
    assert isinstance(received(app(both(required=False)), plain), Prepared)
    assert "not known here" in refused(app(both(Keys({"new": NEW}))), old)


def test_who_has_no_keys_says_that_it_cannot_read_it() -> None:
    text = refused(app(None), published(app(both()), Pay(card="4111")))
    assert "content_type" in text


WORKFLOWS: dict[str, Callable[[Any, Any], Any]] = {
    "the first of a chain": lambda sealed, plain: (sealed | plain).delay(),
    "the last of a chain": lambda sealed, plain: (plain | sealed).delay(),
    "in a group": lambda sealed, plain: group(plain, sealed).delay(),
    "the body of a chord": lambda sealed, plain: chord([plain, plain], sealed).delay(),
    "a link": lambda sealed, plain: plain.apply_async(link=sealed),
    "with a link": lambda sealed, plain: sealed.apply_async(link=plain),
    "of failures": lambda sealed, plain: plain.apply_async(link_error=sealed),
    "in the place of a task": lambda sealed, plain: replacement(plain | sealed, "id"),
}


@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS)
def test_a_sealed_task_is_no_part_of_a_workflow(workflow: Callable[[Any, Any], Any]) -> None:
    """Said when it is built, in one line: the workers that would make its message have no key."""
    made = app(both())

    @made.task
    def free(message: Free) -> None: ...

    sealed, plain = made.tasks["note.take"].si(Note(text="a")), free.si(Free())
    with pytest.raises(ConfigurationError) as refused:
        workflow(sealed, plain)
    text = str(refused.value)
    assert text.startswith("messages of 'note.take' are sealed, and those of a workflow are made")
    assert "\n" not in text


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    told = {"current": "a", "keys": {"a": base64.b64encode(NEW).decode()}}
    path.write_text(json.dumps(told))
    keys = Keys.read(path)
    assert keys.current == "a"
    assert "nnn" not in repr(keys)
    for text in ("{", '{"keys": 1}', '{"keys": {"a": "§"}}'):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match="it must hold"):
            Keys.read(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        Keys.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("keys", "current", "text"),
    [
        ({}, None, "no keys at all"),
        ({"a": NEW}, "b", "is none of a"),
        ({"a": b"short"}, None, "32 random bytes"),
        ({"a:b": NEW}, None, "no id"),
        ({"a": OLD, "b": NEW}, None, "is none of a, b"),
    ],
)
def test_keys_that_cannot_be_used(keys: dict[str, bytes], current: str | None, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Keys(keys, current)


def test_tests_see_what_was_sealed() -> None:
    made = app(both())
    sent = Published(made)
    sent.record([published(made, Pay(card="4111")), published(made, Note(text="hello"))])
    assert [one.message for one in sent] == [Pay(card="4111"), Note(text="hello")]


@pytest.mark.parametrize(("key_id", "use"), DERIVED)
def test_the_key_of_a_use_never_changes(key_id: str, use: bytes) -> None:
    keys = Keys({"old": OLD, "long": bytes(range(48))}, "old")

    assert [keys.derived(key_id, use) for _ in range(2)] == [
        bytes.fromhex(DERIVED[key_id, use])
    ] * 2
    assert keys.derived("unknown", use) is None


def test_without_the_library_a_seal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.hkdf", None)

    with pytest.raises(ConfigurationError, match=r"pip install rmqwork\[crypto\]"):
        Seal(Keys({"old": OLD}), sign="note.*")


@pytest.mark.parametrize("pattern", ["pay.*", "billing.*"])
@pytest.mark.parametrize("how", ["sign", "encrypt"])
def test_a_renamed_task_demands_a_seal_by_either_of_its_names(how: str, pattern: str) -> None:
    seal = Seal(KEYS, **{how: [pattern]})  # type: ignore[arg-type]
    made = App("shop", broker="memory://", seal=seal)

    @made.task(name="billing.card", aliases=["pay.card"])
    def pay(card: str) -> None: ...

    runner = made.runner()
    message = ("d", 1, "shop", "pay.card", b'{"card":"4711"}', 1, False, "id", None)
    refused = runner.prepare((*message, "application/json", None))

    assert isinstance(refused, Failure)
    assert refused.reason is Reason.INVALID_MESSAGE


def test_what_was_sealed_under_a_former_name_is_read() -> None:
    seal = Seal(KEYS, encrypt=["pay.*", "billing.*"])
    made = App("shop", broker="memory://", seal=seal)

    @made.task(name="billing.card", aliases=["pay.card"])
    def pay(card: str) -> None: ...

    old = Publication("", "shop", b'{"card":"4711"}', "id", "pay.card")
    sent = seal.close(old)
    message = ("d", 1, "shop", "pay.card", sent.body, 1, False, "id", dict(sent.headers))
    assert isinstance(made.runner().prepare((*message, sent.content_type, None)), Prepared)
