"""``rmqwork deploy render``: from the command line to YAML."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.kubernetes.validation import check

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

APP = """
from rmqwork import App, Queue
app = App("shop", queues=[Queue("high"), Queue("low")], default_queue="low")
@app.task(time_limit=100)
def slow() -> None: ...
"""
RENDER = ("deploy", "render", "deploy_shop:app", "--image", "shop:1")


@pytest.fixture
def shop(project: Path) -> Path:
    (project / "deploy_shop.py").write_text(APP)
    return project


def test_yaml_or_json_of_the_same_objects(run: Run, shop: Path) -> None:
    code, out, err = run(*RENDER, "--most", "low=7")
    _, as_json, _ = run(*RENDER, "--most", "low=7", "--json")

    objects = list(yaml.safe_load_all(out))
    assert (code, err) == (0, "")
    assert objects == json.loads(as_json)["items"]
    check(objects)
    most = [one["spec"]["maxReplicaCount"] for one in objects if one["kind"] == "ScaledObject"]
    assert most == [20, 7]


def test_without_the_library_it_is_json_and_says_so(
    run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "rmqwork._admin.deploy.document", raising=False)

    code, out, err = run(*RENDER)
    _, as_json, _ = run(*RENDER, "--json")

    assert (code, err.count("\n")) == (0, 1)
    assert "JSON" in err
    assert "pip install 'rmqwork[deploy]'" in err
    assert json.loads(out) == json.loads(as_json)
    assert out.count("\n") > 100  # for people, too


def test_a_file(run: Run, shop: Path) -> None:
    code, out, _ = run(*RENDER, "--scaler", "none", "--output", "all.yaml")

    assert (code, out) == (0, "")
    assert "Deployment" in (shop / "all.yaml").read_text()


def test_what_is_wrong_is_said_in_a_line(run: Run, shop: Path) -> None:
    code, out, err = run(*RENDER, "--grace", "low=30")

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "shop.slow may run 100 s" in err
    code, _, err = run(*RENDER, "--latency", "middle=1")
    assert (code, "its queues are: high, low" in err) == (2, True)
