"""Keys for signatures that workers can check and cannot make: Ed25519 (RFC 8032).

Publishers have a private key, workers the public one: who takes over a worker, or reads its
secrets, still cannot write a message. `rmqwork.sealing.Seal` uses them.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

from rmqwork.errors import ConfigurationError

KEY_BYTES: Final = 32
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class VerifyKeys:
    """Public keys by id: all are accepted, and nothing can be signed with them.

    Args:
        keys: 32 bytes each (`SigningKeys.public` makes them), by an id of letters, digits, dots,
            dashes.

    Raises:
        ConfigurationError: no key, or one that is none; or the library is not installed
            (``pip install rmqwork[crypto]``).
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        public = _library().Ed25519PublicKey
        _check(keys, "VerifyKeys")
        self._raw = dict(keys)
        self._public = {
            key_id: public.from_public_bytes(bytes(key)) for key_id, key in keys.items()
        }

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> VerifyKeys:
        """The keys of a file: ``{"keys": {"id": "base64"}}``.

        Raises:
            ConfigurationError: it cannot be read.
        """
        return cls(read_keys(path)[0])

    def knows(self, key_id: str) -> bool:
        """Whether there is a key with this id."""
        return key_id in self._public

    def fits(self, key_id: str, signature: bytes, data: bytes) -> bool:
        """Whether a signature is that of some data by a key."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._public[key_id].verify(signature, data)
        except (InvalidSignature, KeyError):
            return False
        return True

    def to_json(self) -> str:
        """The text of a file for `read`."""
        keys = {key_id: base64.b64encode(key).decode() for key_id, key in self._raw.items()}
        return json.dumps({"keys": keys}, indent=1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._raw)})"


class SigningKeys(VerifyKeys):
    """Private keys by id: one signs; messages of all of them are accepted here.

    To change a key: give all workers the new public one; make the private one ``current`` where
    messages are published; take the old public one away when no message of it waits any more.

    Args:
        keys: 32 random bytes each (``secrets.token_bytes(32)``), by an id.
        current: the id of the one that signs; default: the only one.

    Raises:
        ConfigurationError: as `VerifyKeys`; or none is current.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str | None = None) -> None:
        private = _library().Ed25519PrivateKey
        _check(keys, "SigningKeys")
        self.current = one_of(keys, current, "SigningKeys")
        made = {key_id: private.from_private_bytes(bytes(key)) for key_id, key in keys.items()}
        super().__init__(
            {key_id: key.public_key().public_bytes_raw() for key_id, key in made.items()}
        )
        self._private = made[self.current]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SigningKeys:
        """The keys of a file: ``{"current": "id", "keys": {"id": "base64"}}``.

        Raises:
            ConfigurationError: it cannot be read.
        """
        return cls(*read_keys(path))

    def sign(self, data: bytes) -> bytes:
        """The signature of some data by the current key."""
        signature: bytes = self._private.sign(data)
        return signature

    def public(self) -> VerifyKeys:
        """The public keys, for those who only check."""
        return VerifyKeys(self._raw)


def read_keys(path: str | os.PathLike[str]) -> tuple[dict[str, bytes], str | None]:
    """The keys of a JSON file by their ids, and the current one's id.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        told = json.loads(Path(path).read_bytes())
        keys = {name: base64.b64decode(text, validate=True) for name, text in told["keys"].items()}
        return keys, told.get("current")
    except OSError as error:
        raise ConfigurationError(f"the keys in {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise ConfigurationError(
            f'the keys in {path}: it must hold {{"current": "id", "keys": {{"id": "base64"}}}}'
        ) from None


def one_of(keys: Mapping[str, bytes], current: str | None, what: str) -> str:
    """The id of the current key.

    Raises:
        ConfigurationError: there is none.
    """
    if current is None and len(keys) == 1:
        current = next(iter(keys))
    if current is None or current not in keys:
        raise ConfigurationError(
            f"{what}: current={current!r} is none of {', '.join(keys) or 'no keys at all'}"
        )
    return current


def check_id(key_id: str, what: str) -> None:
    """Refuse what is no id of a key.

    Raises:
        ConfigurationError: see above.
    """
    if not _ID.fullmatch(key_id):
        raise ConfigurationError(f"{what}: {key_id!r} is no id; use letters, digits, . _ -")


def _check(keys: Mapping[str, bytes], what: str) -> None:
    if not keys:
        raise ConfigurationError(f"{what}: no keys at all")
    for key_id, key in keys.items():
        check_id(key_id, what)
        if len(key) != KEY_BYTES:
            raise ConfigurationError(
                f"{what}: key {key_id!r} has {len(key)} bytes; an Ed25519 key has {KEY_BYTES}"
            )


def _library() -> ModuleType:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise ConfigurationError(
            "Ed25519 signatures need a library that is not installed: pip install rmqwork[crypto]"
        ) from None
    return ed25519
