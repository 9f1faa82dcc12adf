"""Kubernetes objects against published schemas: Kubernetes' own, and those of custom resources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

VERSIONS = ("1.31.0", "1.34.0", "1.37.0")
"""Kubernetes, from what the clouds' oldest channels run to the newest with a schema here."""
CRDS = json.loads(Path(__file__).with_name("crds.json").read_text())
# The schemas alone: the package's own function reads a megabyte anew for each object.
_SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"


def check(objects: Iterable[Mapping[str, Any]]) -> None:
    """Check each object against all versions; raises what is wrong with the first bad one."""
    for one in objects:
        plain = json.loads(json.dumps(one))
        if plain["kind"] in CRDS:
            Draft202012Validator(CRDS[plain["kind"]]).validate(plain)
            continue
        for version in VERSIONS:
            _validator(version, plain["kind"].lower(), plain["apiVersion"]).validate(plain)


@cache
def _validator(version: str, kind: str, api: str) -> Draft202012Validator:
    group, _, number = api.rpartition("/")
    name = "-".join(filter(None, (kind, group.partition(".")[0], number)))
    schema = json.loads((_folder(version) / f"{name}.json").read_text())
    return Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    content = json.loads((_folder(version) / "_definitions.json").read_text())
    return (Resource.from_contents(content) @ Registry()).crawl()


def _folder(version: str) -> Any:
    return _SCHEMAS / f"v{version}-local-strict"
