"""Who tries an option of Celery is told what it is called here."""

from __future__ import annotations

import copy
import pickle
from unittest import mock

import pytest

import rmqwork
from rmqwork import App, AsyncResult, ConfigurationError, Context, Partial
from rmqwork._cli.failing import one_line
from rmqwork._cli.program import program
from rmqwork._config import celery_names
from rmqwork._config.celery_names import NamesCeleryWords
from rmqwork._tasks.task import Task


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


# ── attributes ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def things() -> dict[str, object]:
    app = App("shop", broker="memory://words")

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    return {
        "app": app,
        "task": add,
        "signature": add.s(1),
        "result": AsyncResult("id", "shop.add"),
        "context": Context("id", "shop.add", None),
        "module": rmqwork,
    }


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("app", "conf", "settings are arguments"),
        ("app", "control", "app.revoke"),
        ("app", "AsyncResult", "app.result"),
        ("task", "apply", "call it"),
        ("task", "subtask", r"task\.s\("),
        ("task", "request", "rmqwork.Context"),
        ("task", "retry", "ctx.retry"),
        ("signature", "clone", "never change"),
        ("signature", "on_error", "link_error"),
        ("result", "join", "get"),
        ("result", "status", "state"),
        ("result", "root_id", "workflow"),
        ("context", "request", "ctx.task_id"),
        ("context", "retries", "ctx.attempt - 1"),
        ("module", "shared_task", "TaskSet"),
        ("module", "signature", r"task\.s\("),
    ],
)
def test_an_attribute_of_celerys_names_the_word_of_here(
    things: dict[str, object], kind: str, name: str, said: str
) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; .*{said}"):
        getattr(things[kind], name)


def test_no_word_of_celerys_is_an_attribute(things: dict[str, object]) -> None:
    """Nor does anything that looks at attributes find more or less than before."""
    for kind, thing in things.items():
        words = celery_names._ATTRIBUTES[kind]
        assert not words.keys() & set(dir(thing))
        assert not [name for name in words if hasattr(thing, name)]
        with pytest.raises(AttributeError) as caught:
            _ = thing.bogus  # type: ignore[attr-defined]
        assert ";" not in str(caught.value)
    for cls in (App, Task, Partial, AsyncResult, Context):
        double = mock.create_autospec(cls, instance=True)
        assert not hasattr(double, "conf")
        assert not hasattr(double, "request")
    signature = things["signature"]
    assert copy.deepcopy(signature) == copy.copy(signature) == signature
    assert copy.copy(things["context"]).task_id == "id"  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(things["result"])) == things["result"]


def test_the_error_of_a_property_is_its_own() -> None:
    class Thing(NamesCeleryWords):
        _celery_kind = "app"

        @property
        def broken(self) -> int:
            raise AttributeError("inside")

    with pytest.raises(AttributeError, match=r"^inside$"):
        _ = Thing().broken


async def test_arguments_of_get() -> None:
    result = AsyncResult[int]("id", "shop.add")
    with pytest.raises(TypeError, match="'propagate'; propagate: a failure raises TaskFailed"):
        result.get(propagate=False)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"argument 'bogus'$"):
        await result.aget(bogus=1)  # type: ignore[arg-type]


# ── the command line ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("-A shop worker", "APP is an argument"),
        ("worker -A shop", "APP is an argument"),
        ("worker shop:app -l info", "write --log-level"),
        ("worker shop:app --loglevel=info", "write --log-level"),
        ("worker shop:app -B", "no periodic tasks"),
        ("worker shop:app -P gevent", "--async-concurrency"),
        ("worker shop:app -n one", "write --name"),
        ("beat", "no periodic tasks"),
        ("inspect -d one", "name as an argument"),
        ("control shutdown", "rmqwork revoke"),
        ("call shop.add", "rmqwork publish"),
    ],
)
def test_options_and_commands(arguments: str, said: str) -> None:
    with pytest.raises(Exception, match="No such") as caught:
        program.main(arguments.split(), prog_name="rmqwork", standalone_mode=False)
    assert said in one_line(caught.value)
    assert one_line(caught.value).count("; see rmqwork") == 1


def test_an_option_that_celery_does_not_have_gets_no_hint() -> None:
    with pytest.raises(Exception, match="No such") as caught:
        program.main(["worker", "--bogus"], prog_name="rmqwork", standalone_mode=False)
    assert one_line(caught.value) == "No such option '--bogus'; see rmqwork worker --help"
