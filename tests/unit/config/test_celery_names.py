"""Who tries an option of Celery is told what it is called here."""

from __future__ import annotations

import pytest

from rmqwork import App, ConfigurationError


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("bind", "bind: take a rmqwork.Context as the first parameter"),
        ("autoretry_for", "autoretry_for: write retry=Retry("),
        ("rate_limit", "rate_limit: there are no rate limits"),
        ("acks_late", "acks_late: leave it out: a message is always acked after its run"),
    ],
)
def test_options_of_tasks(option: str, said: str) -> None:
    app = App("shop")

    def without_annotations(self, x):  # which would be the next mistake
        return x

    with pytest.raises(ConfigurationError) as caught:
        app.task(**{option: True})(without_annotations)  # type: ignore[call-overload]

    assert said in str(caught.value)


def test_options_of_one_meaning_are_told_once() -> None:
    app = App("shop")

    with pytest.raises(ConfigurationError, match="max_retries, retry_backoff: write retry=Retry"):
        app.task(retry_backoff=True, max_retries=3)(print)  # type: ignore[call-overload]


def test_options_of_calls() -> None:
    app = App("shop")

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    with pytest.raises(ConfigurationError, match=r"ignore_result: it belongs to the task"):
        add.apply_async((1, 2), ignore_result=True)  # type: ignore[call-arg]


def test_settings_of_apps() -> None:
    with pytest.raises(ConfigurationError, match="backend: write results="):
        App("shop", backend="rpc://")  # type: ignore[call-arg]


def test_a_name_that_celery_does_not_have_gets_no_hint() -> None:
    with pytest.raises(ConfigurationError, match=r"username_file$"):
        App("shop", bogus=True)  # type: ignore[call-arg]
