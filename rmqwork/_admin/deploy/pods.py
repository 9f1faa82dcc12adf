"""What all pods of an app share: labels, the environment, the restricted security profile."""

from __future__ import annotations

from typing import Final

from rmqwork._admin.deploy.names import fingerprint
from rmqwork._admin.deploy.objects import Object
from rmqwork._admin.deploy.options import HEALTH_PORT
from rmqwork._admin.deploy.workload import Deployment

_HEARTBEAT: Final = 10
"""Seconds, unless the app says otherwise: a node of the cluster that is gone without a word is
noticed within 15 s; with the brokers' own 60 s it takes up to 90. No task can hold up a worker's
heartbeats: its connections are in a process of their own."""
_USER: Final = 10001
"""Of deploy/docker/Dockerfile."""


FIRST: Final = {"argocd.argoproj.io/sync-wave": "-2"}
"""Annotations of what others need: Argo CD applies it before the Job of the topology."""


def metadata(estate: Deployment, name: str, annotations: Object | None = None) -> Object:
    """The metadata of an object."""
    found: dict[str, object] = {"name": name}
    if estate.options.namespace is not None:
        found["namespace"] = estate.options.namespace
    found["labels"] = estate.labels
    if annotations:
        found["annotations"] = annotations
    return found


def config_map(estate: Deployment) -> Object:
    """The settings of all pods; nothing secret."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(estate, f"{estate.name}-config", FIRST),
        "data": _settings(estate),
    }


def _settings(estate: Deployment) -> Object:
    heartbeat = estate.manifest.settings.heartbeat
    return {
        "RMQWORK_APP": estate.options.app,
        "RMQWORK_HEARTBEAT": str(_HEARTBEAT if heartbeat is None else heartbeat),
        "RMQWORK_HEALTH_PORT": str(HEALTH_PORT),
        "RMQWORK_LOG_FORMAT": "json",
        "RMQWORK_UNKNOWN_TASK_GRACE": f"{estate.manifest.settings.unknown_task_grace:g}",
    }


def config_fingerprint(estate: Deployment) -> str:
    """Changes with the ConfigMap: pods that carry it are replaced then."""
    return fingerprint(repr(sorted(_settings(estate).items())))


def service_account(estate: Deployment) -> Object:
    """An identity without a token: workers never talk to Kubernetes."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(estate, estate.name, FIRST),
        "automountServiceAccountToken": False,
    }


def environment(estate: Deployment) -> list[Object]:
    """The variables that are not in the ConfigMap: the broker's address."""
    return [{"name": "RMQWORK_BROKER", "valueFrom": {"secretKeyRef": estate.secret}}]


def container(
    estate: Deployment, name: str, args: list[str], env: list[Object]
) -> dict[str, object]:
    """A container of the app's image in the restricted profile (Pod Security Standards)."""
    return {
        "name": name,
        "image": estate.options.image,
        "args": args,
        "envFrom": [{"configMapRef": {"name": f"{estate.name}-config"}}],
        "env": env,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def pod_spec(estate: Deployment, one: Object) -> dict[str, object]:
    """The spec of a pod with one container."""
    return {
        "serviceAccountName": estate.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [one],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
    }
