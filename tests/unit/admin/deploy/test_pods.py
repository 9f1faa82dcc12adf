"""What pods may do, and when they are replaced."""

from __future__ import annotations

from tests.unit.admin.deploy.shop import rendered


def test_pods_are_restricted():
    """The restricted profile of the Pod Security Standards, a read-only root, no token."""
    objects = rendered()
    pods = [
        one["spec"]["template"]["spec"]
        for (kind, _), one in objects.items()
        if kind in ("Deployment", "Job")
    ]

    assert len(pods) == 4
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        security = pod["containers"][0]["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
