"""TLS to the broker: the context that an address's options come to, and its errors in one line."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from rmqwork._config.addresses import CA, CERT, KEY

_HOSTNAME_MISMATCH: Final = 62
_IP_MISMATCH: Final = 64
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_UNKNOWN_ISSUER: Final = (2, 18, 19, 20, 21)
"""OpenSSL: X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, self-signed ones, and what follows from them."""
_ALERTS: Final = {
    "CERTIFICATE_REQUIRED": "the broker wants a client certificate; name it in RMQWORK_TLS_CERT "
    "and its key in RMQWORK_TLS_KEY",
    "UNKNOWN_CA": "the broker does not know who signed our client certificate; add its CA to the "
    "broker's cacertfile, or use another certificate",
    "CERTIFICATE_EXPIRED": "the broker says that our client certificate has expired; renew it",
    "CERTIFICATE_UNKNOWN": "the broker does not accept our client certificate; has it expired, "
    "and is it meant for clients?",
    "BAD_CERTIFICATE": "the broker does not accept our client certificate; has it expired, and is "
    "it meant for clients?",
    "HANDSHAKE_FAILURE": "the broker refused the TLS handshake; does it want a client certificate "
    "(RMQWORK_TLS_CERT), or other ciphers?",
    "WRONG_VERSION_NUMBER": "what answers there speaks no TLS; use amqp:// or the broker's TLS "
    "port (mostly 5671)",
}


def make_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """The context of a connection; it always checks the broker's certificate and its name.

    Args:
        options: of an address, see `rmqwork._config.addresses`; without a CA the system's count.

    Raises:
        ValueError: a file cannot be used; the text names it.
    """
    ca = options.get(CA)
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        raise ValueError(f"the CA file {ca!r} cannot be used: {_why(error)}") from None
    if (cert := options.get(CERT)) is not None:
        key = options.get(KEY)
        try:
            # An empty password: a prompt would wait for ever where there is no terminal.
            context.load_cert_chain(cert, key, password="")
        except (OSError, ValueError) as error:
            files = f"{cert!r}" + (f" with the key {key!r}" if key else "")
            raise ValueError(
                f"the client certificate {files} cannot be used: {_why(error)}"
            ) from None
    elif KEY in options:
        raise ValueError(f"the key {options[KEY]!r} has no certificate; name it, too ({CERT})")
    return context


def explain(error: BaseException, host: str, options: Mapping[str, str]) -> str | None:
    """What a failed handshake means and what to do, in one line; None = it is no TLS matter.

    Args:
        error: what was raised.
        host: the name that the certificate must be for.
        options: of the address.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        if code in (_HOSTNAME_MISMATCH, _IP_MISMATCH):
            return (
                f"the broker's certificate is not for {host!r}; use a name that it is for, in the "
                "address or as RMQWORK_TLS_SERVER_NAME"
            )
        if code == _EXPIRED:
            return "the broker's certificate has expired; renew it on the broker"
        if code == _NOT_YET_VALID:
            return "the broker's certificate is not valid yet; are both clocks right?"
        if code in _UNKNOWN_ISSUER:
            place = repr(options[CA]) if CA in options else "the system's list"
            return (
                f"the broker's certificate is signed by no authority in {place}; name its CA in "
                "RMQWORK_TLS_CA"
            )
        return f"the broker's certificate is not accepted: {error.verify_message}"
    # With TLS 1.3 the broker's refusal comes after the handshake, and pika keeps only its text.
    told = str(error)
    if not isinstance(error, ssl.SSLError) and "[SSL" not in told:
        return None
    for alert, meaning in _ALERTS.items():
        if alert in told.upper():
            return meaning
    return f"the TLS handshake failed: {getattr(error, 'reason', None) or told}"


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"it is no PEM file, or certificate and key do not fit ({error.reason or error})"
    return getattr(error, "strerror", None) or str(error)
