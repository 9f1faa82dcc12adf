"""Find out the facts: over AMQP, from the management API, and by a look at the certificates."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from rmqwork._admin.doctor.facts import Denied, Facts, Node
from rmqwork._admin.management import Management, ManagementError, find_management
from rmqwork._admin.provision.found import Found, read_found
from rmqwork._admin.provision.looking import HOW_TO_REACH, plan_of, whole_plan
from rmqwork._admin.provision.planning import make_plan
from rmqwork._config.addresses import CERT, SERVER_NAME, current, vhost_of
from rmqwork._config.manifest import Manifest
from rmqwork._topology.delays import level_name
from rmqwork._topology.topology import RETURN_EXCHANGE, DeclareExchange, due_exchange
from rmqwork._transport import tls
from rmqwork._transport.amqp import permissions
from rmqwork._transport.amqp.link import AmqpLink

if TYPE_CHECKING:
    from rmqwork._config.settings import Settings
    from rmqwork._tasks.app import App
    from rmqwork._transport.port import Link

_TIMEOUT: Final = 5.0
_MONITORING: Final = "give the user the tag 'monitoring'"


@dataclass(slots=True)
class _Told:
    """What the management API has told; what it did not is among the unknown."""

    found: Found | None = None
    nodes: list[Node] | None = None
    flags: dict[str, bool] | None = None
    critical: list[str] | None = None
    skew: float | None = None
    unknown: list[str] = field(default_factory=list)


async def gather(app: App, link: Link) -> Facts:
    """Find out all that can be found out.

    Args:
        app: whose broker it is.
        link: a connection to it.
    """
    settings = app.settings
    declarations = whole_plan(app)
    told = await asyncio.to_thread(_ask, settings)
    if told.found is not None:
        plan = make_plan(declarations, told.found)
    else:
        plan = await plan_of(settings, declarations, link)
    manifest = Manifest.from_dict(app.manifest())
    denied = await _denied(app, link) if isinstance(link, AmqpLink) else None
    url, options = current(settings.broker)[0]
    parts = urlsplit(url)
    certificates, unknown = await asyncio.to_thread(_certificates, url, options)
    return Facts(
        manifest=manifest,
        server=link.server,
        host=parts.hostname or "",
        user=unquote(parts.username or "guest"),
        encrypted=parts.scheme == "amqps",
        default_login=(parts.username or "guest", parts.password or "guest") == ("guest", "guest"),
        found=told.found,
        plan=plan,
        denied=denied,
        nodes=told.nodes,
        flags=told.flags,
        critical=told.critical,
        skew=told.skew,
        certificates=certificates,
        unknown=[*told.unknown, *unknown],
    )


# ── AMQP ──────────────────────────────────────────────────────────────────────────────────────


async def _denied(app: App, link: AmqpLink) -> list[Denied]:
    """What a worker with this user could not do."""
    exchanges = [one.name for one in app.topology() if isinstance(one, DeclareExchange)]
    twins = {due_exchange(name) for name in exchanges}
    ways = [name for name in exchanges if name not in twins and name != "rmqwork.unroutable"]
    writes = dict.fromkeys([*ways, RETURN_EXCHANGE, level_name(0), ""])
    queues = [name for queue in app.queues.values() for name in queue.consumed()]
    found: list[Denied] = []
    for name, allowed in (await permissions.may_read(link.connection, queues)).items():
        if not allowed:
            found.append(Denied("read", "queue", name))
    for name, allowed in (await permissions.may_write(link.connection, writes)).items():
        if not allowed:
            found.append(Denied("write", "exchange", name or "amq.default"))
    if app.settings.declare:
        there = [one for one in exchanges if await _exists(link, one)]
        for name, allowed in (await permissions.may_configure(link.connection, there)).items():
            if not allowed:
                found.append(Denied("configure", "exchange", name))
    return found


async def _exists(link: Link, exchange: str) -> bool:
    return not await link.missing([DeclareExchange(exchange, "topic")])


# ── the management API ────────────────────────────────────────────────────────────────────────


def _ask(settings: Settings) -> _Told:
    told = _Told()
    try:
        management = find_management(settings.broker[0], settings.management_url)
        told.found = read_found(management, vhost_of(settings.broker))
        told.skew = _skew(management)
    except ManagementError as error:
        told.unknown.append(
            "queues' arguments, policies, alarms, nodes, clocks: the management API does not "
            f"answer ({error}); {HOW_TO_REACH}"
        )
        return told
    try:
        told.nodes = [Node.of(one) for one in _get(management, "nodes")]
    except ManagementError as error:
        told.unknown.append(f"alarms and nodes: {error}; {_MONITORING}")
    try:
        flags = _get(management, "feature-flags")
        told.flags = {one["name"]: one.get("state") == "enabled" for one in flags}
    except ManagementError as error:
        told.unknown.append(f"feature flags: {error}; {_MONITORING}")
    try:
        told.critical = _critical(management)
    except ManagementError as error:
        told.unknown.append(f"majorities of quorum queues: {error}; {_MONITORING}")
    return told


def _get(management: Management, path: str) -> list[dict[str, Any]]:
    found = json.loads(management.call("GET", path, timeout=_TIMEOUT))
    return list(found)


def _critical(management: Management) -> list[str]:
    """Queues that lose their majority with one node more; the API's answer is then 503."""
    try:
        management.call("GET", "health/checks/node-is-quorum-critical", timeout=_TIMEOUT)
    except ManagementError as error:
        if error.status != 503:
            raise
        return [str(error)]
    return []


def _skew(management: Management) -> float | None:
    """Seconds that the broker's clock is ahead, to a second."""
    before = time()
    text = management.date()
    if text is None:
        return None
    theirs = parsedate_to_datetime(text).timestamp() + 0.5
    return theirs - (before + time()) / 2


# ── certificates ──────────────────────────────────────────────────────────────────────────────


def _certificates(url: str, options: Mapping[str, str]) -> tuple[dict[str, float], Sequence[str]]:
    """Seconds until the broker's certificate and ours end."""
    parts = urlsplit(url)
    if parts.scheme != "amqps":
        return {}, ()
    found: dict[str, float] = {}
    unknown: list[str] = []
    context = tls.make_context(options)
    name = options.get(SERVER_NAME) or parts.hostname
    try:
        address = (parts.hostname or "localhost", parts.port or 5671)
        with (
            socket.create_connection(address, _TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            told = secure.getpeercert() or {}
        ends = ssl.cert_time_to_seconds(str(told["notAfter"]))
        found[f"the broker's certificate ({name})"] = ends - time()
    except (OSError, KeyError) as error:
        unknown.append(f"when the broker's certificate ends: {error}")
    if (cert := options.get(CERT)) is not None:
        left = _left_of(cert)
        if left is None:
            unknown.append(f"when {cert} ends: install rmqwork[crypto]")
        else:
            found[f"our client certificate ({cert})"] = left
    return found, unknown


def _left_of(path: str) -> float | None:
    with suppress(ImportError):
        from cryptography import x509

        with open(path, "rb") as file:
            ends = x509.load_pem_x509_certificate(file.read()).not_valid_after_utc
        return (ends - datetime.now(UTC)).total_seconds()
    return None
