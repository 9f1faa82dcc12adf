"""What kustomize builds of the overlays is valid, and has nothing that its cluster lacks."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import ROOT
from tests.kubernetes.validation import CRDS, check


def built(overlay: str) -> list[dict[str, Any]]:
    ended = subprocess.run(
        [ROOT / "tools" / "kustomize", "build", f"deploy/kubernetes/overlays/{overlay}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return list(yaml.safe_load_all(ended.stdout))


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_an_overlay_is_valid(overlay: str) -> None:
    objects = built(overlay)

    check(objects)
    assert len(objects) >= 12
    assert len({one["metadata"].get("namespace") for one in objects}) == 2  # the namespace: none


def test_development_needs_no_operators() -> None:
    objects = built("development")

    assert not [one["kind"] for one in objects if one["kind"] in CRDS]
    workers = [
        one for one in objects if one["kind"] == "Deployment" and "labels" in one["metadata"]
    ]
    assert [one["spec"]["replicas"] for one in workers] == [1, 1]
    (secret,) = [one for one in objects if one["kind"] == "Secret"]
    for one in workers:
        (container,) = one["spec"]["template"]["spec"]["containers"]
        named = container["env"][0]["valueFrom"]["secretKeyRef"]["name"]
        assert named == secret["metadata"]["name"]


def test_production_uses_the_broker_of_the_operator() -> None:
    text = yaml.safe_dump(built("production"))

    assert text.count("thumbnails-rabbitmq-default-user") == 4  # two queues, the Job, and KEDA
    assert "thumbnails-broker" not in text
    assert "image: registry.example/thumbnails:1.0.0" in text
