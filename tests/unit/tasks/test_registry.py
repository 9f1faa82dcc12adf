from __future__ import annotations

import gc

import pytest

from rmqwork import App, ConfigurationError, TaskMessage, TaskSet


class Resize(TaskMessage, name="images.resize"):
    width: int


def test_two_tasks_of_one_name_are_refused_with_both_places(app):
    @app.task
    def add(x: int) -> int:
        return x

    @app.task
    def resize(message: Resize) -> None: ...

    with pytest.raises(ConfigurationError, match=r"two tasks named 'shop\.add'.*\(line \d+\) and"):

        @app.task(name="shop.add")
        def other(x: int) -> int:
            return x

    with pytest.raises(ConfigurationError, match=r"two tasks named 'images\.resize'"):

        @app.task
        def resize_too(message: Resize) -> None: ...

    assert app.tasks["shop.add"] is add
    assert app.tasks["images.resize"] is resize


def test_a_cell_of_a_notebook_may_be_run_again(app):
    code = "def add(x: int) -> int: return x"
    cell = {"__name__": "__main__", "get_ipython": None}
    exec(code, cell)
    first = app.task(cell["add"])
    exec(code, cell)
    second = app.task(cell["add"])

    assert app.tasks == {"shop.add": second}
    assert first is not second


def test_a_task_set_publishes_through_the_app_that_it_was_added_to(app, port):
    library = TaskSet("billing")

    @library.task
    def charge(customer: int) -> None: ...

    with pytest.raises(ConfigurationError, match="belongs to no app yet"):
        charge.delay(1)
    app.add(library)

    @library.task
    def refund(customer: int) -> None: ...

    charge.delay(1)
    refund.delay(2)

    assert [one.type for one in port.sent] == ["billing.charge", "billing.refund"]
    assert {"billing.charge", "billing.refund"} <= app.tasks.keys()


def test_a_task_set_of_two_apps_does_not_guess(app, port):
    library = TaskSet("billing")

    @library.task
    def charge(customer: int) -> int:
        return customer

    app.add(library)
    second = App("second")
    second.add(library)

    with pytest.raises(ConfigurationError, match="belongs to the apps 'second', 'shop'"):
        charge.delay(1)
    app.send_task("billing.charge", {"customer": 1})
    assert charge(3) == 3
    assert len(port.sent) == 1

    del second
    gc.collect()
    charge.delay(1)
    assert len(port.sent) == 2


def test_adding_a_set_finds_duplicates_and_may_be_repeated(app):
    library = TaskSet("shop")

    @app.task
    def add(x: int) -> int:
        return x

    @library.task(name="shop.other")
    def other(x: int) -> int:
        return x

    app.add(library)
    app.add(library)
    assert app.tasks.keys() == {"shop.add", "shop.other"}

    clash = TaskSet("clash")

    @clash.task(name="shop.add")
    def add_too(x: int) -> int:
        return x

    with pytest.raises(ConfigurationError, match=r"two tasks named 'shop\.add'"):
        app.add(clash)
    with pytest.raises(ConfigurationError, match="takes a TaskSet"):
        app.add(add)
