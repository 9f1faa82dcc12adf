"""Ed25519: publishers sign, workers check and cannot sign."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rmqwork._messages.signatures import SigningKeys, VerifyKeys
from rmqwork._tasks.run_plan import Prepared
from rmqwork.errors import ConfigurationError
from rmqwork.sealing import Keys, Seal
from tests.unit.messages.test_sealing import NEW, OLD, Note, app, published, received, refused

PRIVATE = SigningKeys({"old": OLD, "new": NEW}, "new")
NOTE = Note(text="hello")


def signing(keys: SigningKeys = PRIVATE) -> Seal:
    return Seal(sign="note.*", signatures=keys)


def checking(keys: VerifyKeys | None = None, *, required: bool = True) -> Seal:
    return Seal(sign="note.*", signatures=keys or PRIVATE.public(), required=required)


def test_what_a_publisher_signs_a_worker_takes() -> None:
    publication = published(app(signing()), NOTE)
    assert str(publication.headers["rmqwork-signature"]).startswith("ed25519:new:")
    found = received(app(checking()), publication)
    assert isinstance(found, Prepared)
    assert found.value == NOTE


def test_a_worker_cannot_sign() -> None:
    with pytest.raises(ConfigurationError, match="here are public keys, which only check"):
        published(app(checking()), NOTE)


def test_what_was_changed_is_refused() -> None:
    signed = published(app(signing()), NOTE)
    headers = dict(signed.headers)
    stranger = published(app(signing(SigningKeys({"new": b"s" * 32}))), NOTE)
    for forged in (
        replace(signed, body=b'{"text":"other"}'),
        replace(signed, message_id="another"),
        replace(signed, headers={**headers, "rmqwork-version": 2}),
        replace(signed, headers={**headers, "rmqwork-signature": "ed25519:new:"}),
        replace(signed, headers={**headers, "rmqwork-signature": "ed25519:new:§"}),
        stranger,
    ):
        assert "signature (key 'new') is wrong" in refused(app(checking()), forged)
    unknown = replace(signed, headers={**headers, "rmqwork-signature": "ed25519:else:"})
    assert "key 'else', which is not known here" in refused(app(checking()), unknown)
    unsigned = published(app(None), NOTE)
    assert "are signed, and this one is not" in refused(app(checking()), unsigned)


def test_keys_change_without_a_stop() -> None:
    """Given a message of the old key: who has both takes it, who has only the new one does not."""
    old = published(app(signing(SigningKeys({"old": OLD}))), NOTE)
    assert isinstance(received(app(checking()), old), Prepared)
    only_new = SigningKeys({"new": NEW}).public()
    assert "not known here" in refused(app(checking(only_new)), old)


def test_who_has_the_secret_of_hmac_does_not_pass_for_a_publisher() -> None:
    """The worker says which kind it takes, and not the message; both, while it is changed."""
    secret = Keys({"new": NEW})
    hmac = published(app(Seal(secret, sign="note.*")), NOTE)
    both = Seal(secret, sign="note.*", signatures=PRIVATE.public())
    assert "are signed with Ed25519; this is not" in refused(app(both), hmac)
    change = Seal(secret, sign="note.*", signatures=PRIVATE.public(), required=False)
    assert isinstance(received(app(change), hmac), Prepared)
    assert isinstance(received(app(change), published(app(signing()), NOTE)), Prepared)


def test_keys_are_read_from_files(tmp_path: Path) -> None:
    private, public = tmp_path / "private.json", tmp_path / "public.json"
    private.write_text(
        '{"current": "a", "keys": {"a": "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4="}}'
    )
    keys = SigningKeys.read(private)
    public.write_text(keys.public().to_json())
    assert VerifyKeys.read(public).fits("a", keys.sign(b"x"), b"x")
    assert "nnn" not in repr(keys)
    assert "bm5u" not in public.read_text()


@pytest.mark.parametrize("kind", [SigningKeys, VerifyKeys])
@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, "no keys at all"),
        ({"a": b"short"}, "has 5 bytes; an Ed25519 key has 32"),
        ({"a:b": NEW}, "no id"),
    ],
)
def test_keys_that_cannot_be_used(
    kind: type[VerifyKeys], keys: dict[str, bytes], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        kind(keys)


def test_a_seal_without_keys_says_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="to encrypt it needs keys"):
        Seal(encrypt="*", signatures=PRIVATE)
    with pytest.raises(ConfigurationError, match="to sign it needs keys"):
        Seal(sign="*")


def test_the_library_is_imported_by_those_only_who_use_it() -> None:
    code = """
import sys
import rmqwork.sealing, rmqwork._worker.run, rmqwork._worker.worker, rmqwork._worker.shutdown
from rmqwork import App
keys = rmqwork.sealing.Keys({"a": b"k" * 32})
print("cryptography" in sys.modules)
App("shop", seal=rmqwork.sealing.Seal(keys, sign="*"))
print("cryptography" in sys.modules)
"""
    told = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert told.split() == ["False", "True"]
