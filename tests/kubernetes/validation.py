"""Kubernetes objects against published schemas: Kubernetes' own, and those of custom resources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

VERSIONS = ("1.31", "1.34", "1.37")
"""Kubernetes, from what the clouds' oldest channels run to the newest with a schema here."""
CRDS = json.loads(Path(__file__).with_name("crds.json").read_text())


def check(objects: Iterable[Mapping[str, Any]]) -> None:
    """Check each object against all versions; raises what is wrong with the first bad one."""
    for one in map(_plain, objects):
        if one["kind"] in CRDS:
            _validator(one["kind"]).validate(one)
        else:
            for version in VERSIONS:
                kubernetes_validate.validate(one, version, strict=True)


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(CRDS[kind])


def _plain(one: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(one)))
