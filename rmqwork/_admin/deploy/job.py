"""The Job that declares an app's topology before its workers roll."""

from __future__ import annotations

from typing import Final

from rmqwork._admin.deploy.names import fingerprint
from rmqwork._admin.deploy.objects import Object
from rmqwork._admin.deploy.pods import container, environment, metadata, pod_spec
from rmqwork._admin.deploy.workload import Deployment

_KEPT: Final = 3600
_DEADLINE: Final = 300


def topology_job(estate: Deployment) -> Object:
    """``rmqwork topology apply`` once for each image and topology: a Job cannot be changed, so its
    name has a fingerprint. Workers declare what is missing, too, so none waits for it; Argo CD
    runs it before them (sync waves).
    """
    args = ["topology", "apply", estate.options.app]
    what = fingerprint(f"{estate.options.image} {list(estate.manifest.declarations)!r}")
    one = container(estate, "topology", args, environment(estate))
    one["resources"] = {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"memory": "256Mi"},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(
            estate,
            f"{estate.name}-topology-{what}",
            {
                "argocd.argoproj.io/hook": "Sync",
                "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
                "argocd.argoproj.io/sync-wave": "-1",
            },
        ),
        "spec": {
            "backoffLimit": 6,
            "activeDeadlineSeconds": _DEADLINE,
            "ttlSecondsAfterFinished": _KEPT,
            "template": {
                "metadata": {"labels": estate.labels},
                "spec": {"restartPolicy": "Never", **pod_spec(estate, one)},
            },
        },
    }
