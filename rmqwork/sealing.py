"""Messages that only those with a key can write, or read: signed, or encrypted.

Signed: HMAC-SHA256 (RFC 2104) over the task's name, the id, the version and the body, in the header
``rmqwork-signature``. Encrypted: AES-256-GCM (NIST SP 800-38D) with the same words as additional
data, so that it is authentic, too; the key's id is in ``rmqwork-encrypted``. Each use has a key of
its own, derived from yours (HKDF, RFC 5869). Publishers and executors do it; the worker process has
no key, and moves bytes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rmqwork import headers as names
from rmqwork.errors import ConfigurationError, InvalidMessage
from rmqwork.types import Publication

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCRYPTED_TYPE: Final = "application/vnd.rmqwork.encrypted"
"""The content type of a body that is encrypted."""
_JSON: Final = "application/json"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


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
        if current is None and len(keys) == 1:
            current = next(iter(keys))
        if current is None or current not in keys:
            raise ConfigurationError(
                f"Keys: current={current!r} is none of {', '.join(keys) or 'no keys at all'}"
            )
        for key_id, key in keys.items():
            if not _ID.fullmatch(key_id):
                raise ConfigurationError(f"Keys: {key_id!r} is no id; use letters, digits, . _ -")
            if len(key) < _KEY_BYTES:
                raise ConfigurationError(
                    f"Keys: key {key_id!r} must be {_KEY_BYTES} random bytes at least "
                    "(secrets.token_bytes(32))"
                )
        self.current = current
        self._keys = dict(keys)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Keys:
        """The keys of a file: ``{"current": "id", "keys": {"id": "base64"}}``.

        Raises:
            ConfigurationError: it cannot be read.
        """
        try:
            told = json.loads(Path(path).read_bytes())
            keys = {
                name: base64.b64decode(text, validate=True) for name, text in told["keys"].items()
            }
            current = told.get("current")
        except OSError as error:
            raise ConfigurationError(f"the keys in {path}: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            raise ConfigurationError(
                f'the keys in {path}: it must hold {{"current": "id", "keys": {{"id": "base64"}}}}'
            ) from None
        return cls(keys, current)

    def derived(self, key_id: str, use: bytes) -> bytes | None:
        """The key of a use; None = no such id."""
        key = self._keys.get(key_id)
        if key is None:
            return None
        extracted = hmac.digest(b"rmqwork", key, sha256)
        return hmac.digest(extracted, use + b"\x01", sha256)

    def __repr__(self) -> str:
        return f"Keys({', '.join(self._keys)}; current {self.current})"


class Seal:
    """Which tasks' messages are signed or encrypted: ``App(seal=Seal(keys, encrypt=["pay.*"]))``.

    Args:
        keys: the secret keys.
        sign: patterns of task names (as in `fnmatch`).
        encrypt: likewise; what is encrypted needs no signature besides.
        required: whether messages of these tasks that are not sealed are refused; False while
            publishers are rolled out.

    Raises:
        ConfigurationError: encryption without the library (``pip install rmqwork[crypto]``).
    """

    def __init__(
        self,
        keys: Keys,
        *,
        sign: Iterable[str] = (),
        encrypt: Iterable[str] = (),
        required: bool = True,
    ) -> None:
        self._keys = keys
        self._sign = (sign,) if isinstance(sign, str) else tuple(sign)
        self._encrypt = (encrypt,) if isinstance(encrypt, str) else tuple(encrypt)
        self._required = required
        if self._encrypt:
            _cipher(b"\0" * _KEY_BYTES)

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
        """The publication, signed or encrypted if its task's is to be."""
        task = publication.type or ""
        key_id = self._keys.current
        if _fits(task, self._encrypt):
            nonce = os.urandom(_NONCE_BYTES)
            words = _words(task, publication.message_id, publication.headers, key_id)
            cipher = _cipher(self._key(key_id, b"encrypt"))
            return replace(
                publication,
                body=nonce + cipher.encrypt(nonce, publication.body, words),
                headers={**publication.headers, names.ENCRYPTED: key_id},
                content_type=ENCRYPTED_TYPE,
            )
        if _fits(task, self._sign):
            signature = self._signature(
                task, publication.message_id, publication.headers, key_id, publication.body
            )
            return replace(
                publication,
                headers={**publication.headers, names.SIGNATURE: f"{key_id}:{signature}"},
            )
        return publication

    def open(
        self,
        task: str,
        task_id: str,
        body: bytes,
        content_type: str | None,
        headers: Mapping[str, object],
    ) -> tuple[bytes, str | None]:
        """The body of a delivery, and its content type, if the seal is as it should be.

        Raises:
            InvalidMessage: it is not.
        """
        encrypted = headers.get(names.ENCRYPTED)
        if encrypted is not None:
            return self._decrypted(task, task_id, body, headers, str(encrypted)), _JSON
        if self._required and _fits(task, self._encrypt):
            raise InvalidMessage(f"messages of {task!r} are encrypted, and this one is not")
        signature = headers.get(names.SIGNATURE)
        if signature is not None:
            key_id, _, given = str(signature).partition(":")
            expected = self._signature(task, task_id, headers, key_id, body)
            if not hmac.compare_digest(given.encode(), expected.encode()):
                raise InvalidMessage(
                    f"its signature (key {_short(key_id)}) is wrong: somebody without the key has "
                    "written or changed it"
                )
        elif self._required and _fits(task, self._sign):
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

    def _signature(
        self, task: str, task_id: str, headers: Mapping[str, object], key_id: str, body: bytes
    ) -> str:
        words = _words(task, task_id, headers, key_id)
        digest = hmac.digest(self._key(key_id, b"sign"), words + body, sha256)
        return base64.b64encode(digest).decode()

    def _key(self, key_id: str, use: bytes) -> bytes:
        key = self._keys.derived(key_id, use)
        if key is None:
            raise InvalidMessage(
                f"it is sealed with key {_short(key_id)}, which is not known here; give this "
                "worker the key"
            )
        return key


def _words(task: str, task_id: str, headers: Mapping[str, object], key_id: str) -> bytes:
    """What is sealed beside the body; each with its length, so that no two say the same."""
    version = headers.get(names.VERSION, 1)
    parts = (task, task_id, str(int(version)) if isinstance(version, int) else "", key_id)
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"rmqwork 1" + b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _fits(task: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(task, pattern) for pattern in patterns)


def _cipher(key: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise ConfigurationError(
            "encryption needs a library that is not installed: pip install rmqwork[crypto]"
        ) from None
    return AESGCM(key)


def _short(text: str) -> str:
    return repr(text if len(text) <= 64 else f"{text[:63]}…")
