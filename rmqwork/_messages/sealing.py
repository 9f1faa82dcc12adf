"""Messages that only those with a key can write, or read: signed, or encrypted.

Signed: HMAC-SHA256 (RFC 2104), or Ed25519 (`rmqwork._messages.signatures`), over the task's name,
the id, the version and the body, in the header ``rmqwork-signature``. Encrypted: AES-256-GCM (NIST
SP 800-38D) with the same words as additional data, so that it is authentic, too; the key's id is in
``rmqwork-encrypted``. Each use of a secret key has a key of its own, derived from it (HKDF, RFC
5869). Publishers and executors do it; the worker process has no key, and moves bytes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from rmqwork._messages import headers as names
from rmqwork._messages.signatures import (
    SigningKeys,
    VerifyKeys,
    check_id,
    one_of,
    read_keys,
)
from rmqwork.errors import ConfigurationError, InvalidMessage
from rmqwork.types import Publication

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCRYPTED_TYPE: Final = "application/vnd.rmqwork.encrypted"
"""The content type of a body that is encrypted."""
_JSON: Final = "application/json"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_ED25519: Final = "ed25519"


class Keys:
    """Secret keys by id: one is used, all are accepted.

    To change a key: give everybody the new one beside the old; make it ``current``; take the old
    one away when no message of it waits any more.

    Args:
        keys: at least 32 random bytes each, by an id of letters, digits, dots, dashes.
        current: the id of the one that new messages get; default: the only one.

    Raises:
        ConfigurationError: no key, one that is too short, or none that is current.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str | None = None) -> None:
        current = one_of(keys, current, "Keys")
        for key_id, key in keys.items():
            check_id(key_id, "Keys")
            if len(key) < _KEY_BYTES:
                raise ConfigurationError(
                    f"Keys: key {key_id!r} must be {_KEY_BYTES} random bytes at least "
                    "(secrets.token_bytes(32))"
                )
        self.current = current
        self._keys = dict(keys)
        self._derived: dict[tuple[str, bytes], bytes] = {}

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Keys:
        """The keys of a file: ``{"current": "id", "keys": {"id": "base64"}}``.

        Raises:
            ConfigurationError: it cannot be read.
        """
        return cls(*read_keys(path))

    def derived(self, key_id: str, use: bytes) -> bytes | None:
        """Return the key of a use; None = no such id.

        Raises:
            ConfigurationError: the library is missing (``pip install rmqwork[crypto]``).
        """
        if (key := self._keys.get(key_id)) is None:
            return None
        if (key_id, use) not in self._derived:
            self._derived[key_id, use] = _derive(key, use)
        return self._derived[key_id, use]

    def __repr__(self) -> str:
        return f"Keys({', '.join(self._keys)}; current {self.current})"


class Seal:
    """Which tasks' messages are signed or encrypted: ``App(seal=Seal(keys, encrypt=["pay.*"]))``.

    Args:
        keys: the secret keys of HMAC signatures and of encryption; None = only ``signatures``.
        sign: patterns of task names (as in `fnmatch`).
        encrypt: likewise; what is encrypted needs no signature besides.
        required: whether messages of these tasks that are not sealed are refused; False while
            publishers are rolled out: then HMAC signatures pass beside Ed25519 ones, too.
        signatures: Ed25519 keys: `SigningKeys` where messages are published, `VerifyKeys` in
            workers that only check. None = signatures are HMAC, of ``keys``.

    Raises:
        ConfigurationError: keys are missing for what is to be done, or the library is
            (``pip install rmqwork[crypto]``).
    """

    def __init__(
        self,
        keys: Keys | None = None,
        *,
        sign: Iterable[str] = (),
        encrypt: Iterable[str] = (),
        required: bool = True,
        signatures: VerifyKeys | None = None,
    ) -> None:
        self._keys = keys
        self._sign = (sign,) if isinstance(sign, str) else tuple(sign)
        self._encrypt = (encrypt,) if isinstance(encrypt, str) else tuple(encrypt)
        self._required = required
        self._signatures = signatures
        if keys is None and (self._encrypt or signatures is None):
            what = "encrypt" if self._encrypt else "sign"
            raise ConfigurationError(f"Seal: to {what} it needs keys: Seal(Keys(...), {what}=...)")
        if keys is not None:
            keys.derived(keys.current, b"sign")  # where the library is missing, say so at once

    def seals(self, task: str) -> bool:
        """Whether messages of a task are signed or encrypted."""
        return _fits(task, self._encrypt) or _fits(task, self._sign)

    def alone(self, task: str) -> ConfigurationError:
        """Why a task cannot be part of a workflow."""
        return ConfigurationError(
            f"messages of {task!r} are sealed, and those of a workflow are made by workers, which "
            "have no key: publish it by itself, not in a chain, group or chord nor with a link; "
            "a task may publish it"
        )

    def close(self, publication: Publication) -> Publication:
        """The publication, signed or encrypted if its task's is to be.

        Raises:
            ConfigurationError: it is to be signed, and there are public keys only.
        """
        task = publication.type or ""
        if _fits(task, self._encrypt) and self._keys is not None:
            key_id, nonce = self._keys.current, os.urandom(_NONCE_BYTES)
            words = _words(task, publication.message_id, publication.headers, key_id)
            cipher = _cipher(self._key(key_id, b"encrypt"))
            return replace(
                publication,
                body=nonce + cipher.encrypt(nonce, publication.body, words),
                headers={**publication.headers, names.ENCRYPTED: key_id},
                content_type=ENCRYPTED_TYPE,
            )
        if _fits(task, self._sign):
            signed = self._signed(
                task, publication.message_id, publication.headers, publication.body
            )
            return replace(publication, headers={**publication.headers, names.SIGNATURE: signed})
        return publication

    def open(
        self,
        task: str,
        task_id: str,
        body: bytes,
        content_type: str | None,
        headers: Mapping[str, object],
        *,
        name_now: str | None = None,
    ) -> tuple[bytes, str | None]:
        """The body of a delivery, and its content type, if the seal is as it should be.

        Args:
            task: the name that the message has, which its seal is bound to.
            task_id: of the message.
            body: as it came.
            content_type: as it came.
            headers: as they came.
            name_now: the name of the task that it finds, if that was renamed: what either of the
                names requires is required.

        Raises:
            InvalidMessage: it is not.
        """
        known_as = (task,) if name_now is None or name_now == task else (task, name_now)
        encrypted = headers.get(names.ENCRYPTED)
        if encrypted is not None:
            return self._decrypted(task, task_id, body, headers, str(encrypted)), _JSON
        if self._required and any(_fits(name, self._encrypt) for name in known_as):
            raise InvalidMessage(f"messages of {task!r} are encrypted, and this one is not")
        signature = headers.get(names.SIGNATURE)
        if signature is not None:
            self._check(task, task_id, headers, body, str(signature))
        elif self._required and any(_fits(name, self._sign) for name in known_as):
            raise InvalidMessage(f"messages of {task!r} are signed, and this one is not")
        return body, content_type

    def _decrypted(
        self, task: str, task_id: str, body: bytes, headers: Mapping[str, object], key_id: str
    ) -> bytes:
        from cryptography.exceptions import InvalidTag

        cipher = _cipher(self._key(key_id, b"encrypt"))
        nonce, sealed = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, _words(task, task_id, headers, key_id))
        except (InvalidTag, ValueError):
            raise InvalidMessage(
                f"it cannot be decrypted (key {_short(key_id)}): somebody without the key has "
                "written or changed it"
            ) from None

    def _signed(self, task: str, task_id: str, headers: Mapping[str, object], body: bytes) -> str:
        """The value of the header."""
        if self._signatures is None:
            key_id = "" if self._keys is None else self._keys.current
            digest = self._digest(_words(task, task_id, headers, key_id) + body, key_id)
            return f"{key_id}:{base64.b64encode(digest).decode()}"
        if not isinstance(self._signatures, SigningKeys):
            raise ConfigurationError(
                f"messages of {task!r} are signed, and here are public keys, which only check: "
                "Seal(signatures=SigningKeys(...)) where it is published"
            )
        key_id = self._signatures.current
        made = self._signatures.sign(_by_ed25519(task, task_id, headers, key_id, body))
        return f"{_ED25519}:{key_id}:{base64.b64encode(made).decode()}"

    def _check(
        self, task: str, task_id: str, headers: Mapping[str, object], body: bytes, signature: str
    ) -> None:
        """Refuse a wrong signature. Which kind is accepted is said here, not by the message."""
        kind, _, rest = signature.partition(":")
        if self._signatures is None or (kind != _ED25519 and not self._required and self._keys):
            key_id, _, given = signature.partition(":")
            digest = self._digest(_words(task, task_id, headers, key_id) + body, key_id)
            right = hmac.compare_digest(given.encode(), base64.b64encode(digest))
        else:
            if kind != _ED25519:
                raise InvalidMessage(f"messages of {task!r} are signed with Ed25519; this is not")
            key_id, _, given = rest.partition(":")
            if not self._signatures.knows(key_id):
                raise _unknown(key_id)
            data = _by_ed25519(task, task_id, headers, key_id, body)
            right = self._signatures.fits(key_id, _bytes(given), data)
        if not right:
            raise InvalidMessage(
                f"its signature (key {_short(key_id)}) is wrong: somebody without the key has "
                "written or changed it"
            )

    def _digest(self, data: bytes, key_id: str) -> bytes:
        return hmac.digest(self._key(key_id, b"sign"), data, sha256)

    def _key(self, key_id: str, use: bytes) -> bytes:
        key = None if self._keys is None else self._keys.derived(key_id, use)
        if key is None:
            raise _unknown(key_id)
        return key


def _unknown(key_id: str) -> InvalidMessage:
    return InvalidMessage(
        f"it is sealed with key {_short(key_id)}, which is not known here; give this worker the key"
    )


def _by_ed25519(
    task: str, task_id: str, headers: Mapping[str, object], key_id: str, body: bytes
) -> bytes:
    """What is signed; other than what an HMAC or a cipher takes, whatever the keys are."""
    return b"ed25519 " + _words(task, task_id, headers, key_id) + body


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _words(task: str, task_id: str, headers: Mapping[str, object], key_id: str) -> bytes:
    """What is sealed beside the body; each with its length, so that no two say the same."""
    version = headers.get(names.VERSION, 1)
    parts = (task, task_id, str(int(version)) if isinstance(version, int) else "", key_id)
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"rmqwork 1" + b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _fits(task: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(task, pattern) for pattern in patterns)


def _derive(key: bytes, use: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError:
        raise ConfigurationError(
            "sealing needs a library that is not installed: pip install rmqwork[crypto]"
        ) from None
    return HKDF(SHA256(), _KEY_BYTES, salt=b"rmqwork", info=use).derive(key)


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _short(text: str) -> str:
    return repr(text if len(text) <= 64 else f"{text[:63]}…")
