"""What may reach the workers, and what they may reach."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from rmqwork._admin.deploy.objects import Object
from rmqwork._admin.deploy.options import HEALTH_PORT
from rmqwork._admin.deploy.pods import FIRST, metadata
from rmqwork._admin.deploy.workload import Deployment

_BROKER: Final = (5671, 5672)
_METADATA: Final = ("169.254.169.254/32", "fd00:ec2::254/128")
"""The clouds' metadata services: whoever reaches them has the node's rights."""
_STORES: Final = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "mysql": 3306}


def network_policy(estate: Deployment) -> Object:
    """In: probes and metrics. Out: names, the broker, the store of results, and the web."""
    egress: list[Object] = [
        {
            "to": [{"namespaceSelector": {}}],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        },
        {"ports": [_tcp(port) for port in (*_BROKER, *_stores(estate))]},
    ]
    if estate.options.web:
        anywhere = [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": [_METADATA[0]]}},
            {"ipBlock": {"cidr": "::/0", "except": [_METADATA[1]]}},
        ]
        egress.append({"to": anywhere, "ports": [_tcp(80), _tcp(443)]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(estate, estate.name, FIRST),
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": estate.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [_tcp(HEALTH_PORT)]}],
            "egress": egress,
        },
    }


def _tcp(port: int) -> Object:
    return {"protocol": "TCP", "port": port}


def _stores(estate: Deployment) -> list[int]:
    results = estate.manifest.settings.results
    if results is None:
        return []
    address = urlsplit(results)
    scheme = address.scheme.partition("+")[0]
    return [address.port or _STORES[scheme]] if scheme in _STORES else []
