"""What a worker tells Prometheus."""

from __future__ import annotations

from typing import Any

from rmqwork._worker.health.metrics import exposition


def detail(**changed: Any) -> dict[str, Any]:
    return {
        "app": "shop",
        "worker": "me",
        "consuming": True,
        "publishing": False,
        "stopping": False,
        "running": 3,
        "waiting": 2,
        "settling": 1,
        "executors": [{"state": "ready"}, {"state": "ready"}, {"state": "starting"}],
        "queues": ["high", "low"],
        "paused": {"low": ["kill switch"]},
        "kill_switches": {"low": {"state": "probing"}},
        "dropped_replies": 7,
        **changed,
    }


def values(text: str) -> dict[str, str]:
    """The samples of a scrape, without the labels that all have."""
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    common = 'app="shop",worker="me"'
    return dict(
        line.replace(common + ",", "").replace("{" + common + "}", "").rsplit(" ", 1)
        for line in samples
    )


def test_each_number_has_its_metric() -> None:
    assert values(exposition(detail(), live=True)) == {
        "rmqwork_live": "1",
        "rmqwork_consuming": "1",
        "rmqwork_publishing": "0",
        "rmqwork_stopping": "0",
        "rmqwork_running": "3",
        "rmqwork_waiting": "2",
        "rmqwork_settling": "1",
        'rmqwork_executors{state="starting"}': "1",
        'rmqwork_executors{state="ready"}': "2",
        'rmqwork_executors{state="stopping"}': "0",
        'rmqwork_queue_paused{queue="high",by="operator"}': "0",
        'rmqwork_queue_paused{queue="high",by="kill switch"}': "0",
        'rmqwork_queue_paused{queue="low",by="operator"}': "0",
        'rmqwork_queue_paused{queue="low",by="kill switch"}': "1",
        'rmqwork_kill_switch{queue="high"}': "0",
        'rmqwork_kill_switch{queue="low"}': "1",
        "rmqwork_dropped_replies_total": "7",
    }


def test_each_metric_is_explained_once_and_before_its_samples() -> None:
    seen: list[str] = []
    for line in exposition(detail(), live=False).splitlines():
        if line.startswith("# HELP"):
            seen.append(line.split()[2])
        elif not line.startswith("#"):
            assert line.partition("{")[0] == seen[-1]
    assert len(seen) == len(set(seen)) == 11


def test_names_are_escaped_as_the_format_wants() -> None:
    text = exposition(detail(worker='a"b\\c\nd'), live=True)

    assert 'worker="a\\"b\\\\c\\nd"' in text
    assert all(line.startswith(("#", "rmqwork_")) for line in text.splitlines())
