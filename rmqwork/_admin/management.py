"""RabbitMQ's management API, as far as rmqwork needs it (``/api/index.html`` on any broker).

``rabbitmqctl`` starts an Erlang machine for each call, over a second of CPU; this takes some
milliseconds.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from rmqwork._config.addresses import CA, CERT, current
from rmqwork._transport import tls
from rmqwork.errors import ConfigurationError

TIMEOUT = 60.0  # seconds; deleting a virtual host with many quorum queues takes some


_NOT_FOUND = 404
_NO_ANSWER = (OSError, ValueError, http.client.HTTPException)


class ManagementError(Exception):
    """The management API did not do it; the text says why.

    Args:
        message: why.
        status: of its answer; 0 = there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Management:
    """The management API of one broker.

    Args:
        url: ``http://user:password@host:port``; without a user, ``guest:guest``.
        context: for ``https://``; None = the system's authorities.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        user = unquote(parts.username or "guest")
        password = unquote(parts.password or "guest")
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        host = parts.netloc.rpartition("@")[2]
        self.address = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        # No proxy: the brokers of tests are near, and a proxy's error page is no answer.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, method: str, path: str, body: object = None, timeout: float = TIMEOUT) -> bytes:
        """One request; raises :class:`ManagementError` for anything but a success."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.address}/api/{path}", data=data, headers=self._headers, method=method
        )
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(300).decode(errors="replace")
            raise ManagementError(f"{self.address}: {error.code} {text}", error.code) from None
        except _NO_ANSWER as error:
            raise ManagementError(f"{self.address}: {_why(error)}") from None
        return content

    def date(self) -> str | None:
        """The broker's clock, as HTTP says it (RFC 9110), in whole seconds."""
        request = urllib.request.Request(f"{self.address}/api/whoami", headers=self._headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                told: str | None = answer.headers.get("Date")
        except _NO_ANSWER as error:
            raise ManagementError(f"{self.address}: {_why(error)}") from None
        return told

    def answers(self) -> bool:
        """Whether the API is there and lets us in."""
        try:
            self.call("GET", "whoami", timeout=3.0)
        except ManagementError:
            return False
        return True

    def create_vhost(self, name: str, user: str) -> None:
        """Create a virtual host on which ``user`` may do everything."""
        place = quote(name, safe="")
        self.call("PUT", f"vhosts/{place}", {})
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.call("PUT", f"permissions/{place}/{quote(user, safe='')}", everything)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with all that is in it; the connections to it are closed."""
        self.call("DELETE", f"vhosts/{quote(name, safe='')}")

    def unbind(self, vhost: str, queue: str) -> None:
        """Remove all bindings that lead into a queue, but for that of the default exchange."""
        place, name = quote(vhost, safe=""), quote(queue, safe="")
        for binding in json.loads(self.call("GET", f"queues/{place}/{name}/bindings")):
            if not binding["source"]:
                continue
            source, key = quote(binding["source"], safe=""), quote(binding["properties_key"])
            try:
                self.call("DELETE", f"bindings/{place}/e/{source}/q/{name}/{key}")
            except ManagementError as error:
                if error.status != _NOT_FOUND:
                    raise


def _why(error: Exception) -> str:
    if isinstance(error, http.client.HTTPException):
        return "what answers there does not speak HTTP"
    return str(getattr(error, "reason", error))


def find_management(amqp_url: str, url: str | None = None, timeout: float = 3.0) -> Management:
    """The management API of a broker.

    Args:
        amqp_url: the broker's address; its user and password count.
        url: where the API is; None = where it mostly is.
        timeout: seconds for each place.

    Raises:
        ManagementError: it does not answer, or does not let this user in; with the reasons.
    """
    reasons = []
    try:
        address, options = current([amqp_url])[0]
        context = tls.make_context(options) if CA in options or CERT in options else None
    except (OSError, ValueError, ConfigurationError) as error:
        raise ManagementError(str(error)) from None
    for candidate in [_with_user(url, address)] if url else likely_urls(address):
        management = Management(candidate, context)
        try:
            management.call("GET", "whoami", timeout=timeout)
        except ManagementError as error:
            reasons.append(str(error))
        else:
            return management
    raise ManagementError("; ".join(reasons) or "nobody knows where it is")


def _with_user(url: str, amqp_url: str) -> str:
    """The API's address, with the broker's user if it names none."""
    parts, broker = urlsplit(url), urlsplit(amqp_url)
    user = broker.netloc.rpartition("@")[0]
    if parts.username is not None or not user:
        return url
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))


def likely_urls(amqp_url: str) -> Iterator[str]:
    """Where the management API of a broker mostly is: port 15672, or the AMQP port + 10000."""
    parts = urlsplit(amqp_url)
    user, _, host = parts.netloc.rpartition("@")
    name = host.rpartition(":")[0] if parts.port else host
    prefix = f"{user}@" if user else ""
    scheme = "https" if parts.scheme == "amqps" else "http"
    port = parts.port or (5671 if scheme == "https" else 5672)
    usual = 15671 if scheme == "https" else 15672
    for candidate in dict.fromkeys((port + 10000, usual)):
        if candidate < 65536:
            yield f"{scheme}://{prefix}{name or 'localhost'}:{candidate}"
