"""Signed and encrypted task messages: keys and seals."""

from rmqwork._messages.sealing import Keys, Seal
from rmqwork._messages.signatures import SigningKeys, VerifyKeys

__all__ = ["Keys", "Seal", "SigningKeys", "VerifyKeys"]
