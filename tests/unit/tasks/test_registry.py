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


def test_messages_of_a_former_name_find_the_task(app):
    @app.task(name="pictures.resize", aliases=["shop.resize", "images.shrink"])
    def resize(width: int) -> None: ...

    assert app.tasks["shop.resize"] is app.tasks["images.shrink"] is resize
    assert list(app.tasks) == ["pictures.resize"]


def test_a_message_class_may_be_renamed_too(app):
    @app.task(aliases=["images.shrink"])
    def resize(message: Resize) -> None: ...

    assert app.tasks["images.shrink"] is resize


@pytest.mark.parametrize(
    ("name", "aliases", "told"),
    [
        ("shop.add", ["b"], "'shop.add' is an alias of .*first.* and the name of .*second"),
        ("b", ["shop.first"], "'shop.first' is the name of .*first.* and an alias of .*second"),
        ("b", ["c", "shop.add"], "'shop.add' is an alias of .*first.* and an alias of .*second"),
    ],
)
def test_a_name_that_another_task_has_or_had_is_refused(app, name, aliases, told):
    @app.task(aliases=["shop.add"])
    def first() -> None: ...

    with pytest.raises(ConfigurationError, match=told):

        @app.task(name=name, aliases=aliases)
        def second() -> None: ...

    assert list(app.tasks) == ["shop.first"]
    assert app.tasks["shop.add"] is first


def test_a_set_of_tasks_brings_its_former_names(app):
    tasks = TaskSet("billing")

    @tasks.task(aliases=["shop.charge"])
    def charge() -> None: ...

    app.add(tasks)
    assert app.tasks["shop.charge"] is charge

    with pytest.raises(ConfigurationError, match=r"'shop\.charge' is an alias of"):

        @app.task(name="shop.charge")
        def other() -> None: ...


def test_a_cell_may_drop_an_alias(app):
    cell = {"__name__": "__main__", "get_ipython": None}
    exec("def add(x: int) -> int: return x", cell)
    app.task(aliases=["shop.plus"])(cell["add"])
    exec("def add(x: int) -> int: return x", cell)
    app.task(cell["add"])

    assert "shop.plus" not in app.tasks
