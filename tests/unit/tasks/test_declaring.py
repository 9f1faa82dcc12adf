from __future__ import annotations

import pytest

from rmqwork import ConfigurationError, TaskMessage


class Resize(TaskMessage, name="images.resize", queue="high", version=2):
    width: int


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queue": ""}, "queue is the name of a queue"),
        ({"retry": 3}, "retry is a Retry"),
        ({"time_limit": 0}, "time_limit is a number of seconds above 0"),
        ({"time_limit": True}, "time_limit is a number of seconds above 0"),
        ({"hard_time_limit": "1"}, "hard_time_limit is a number of seconds above 0"),
        ({"time_limit": 5, "hard_time_limit": 5}, "must be above time_limit"),
        ({"isolated": 1}, "isolated is True or False"),
        ({"colour": "red"}, "unknown option 'colour'; there are name, queue, retry"),
        ({"name": ""}, "a task's name is a text"),
        ({"name": "a b\n"}, "no one can see"),
    ],
)
def test_wrong_task_options_are_refused(app, options, says):
    with pytest.raises(ConfigurationError, match=says):

        @app.task(**options)
        def add(x: int) -> int:
            return x


def test_the_message_class_has_the_name_and_the_queue(app):
    with pytest.raises(ConfigurationError, match=r"write queue='low' at class Resize"):

        @app.task(queue="low")
        def one(message: Resize) -> None: ...

    with pytest.raises(ConfigurationError, match=r"names it 'images.resize'; leave name= out"):

        @app.task(name="mine")
        def two(message: Resize) -> None: ...


def test_a_lambda_needs_a_name(app):
    with pytest.raises(ConfigurationError, match="give name="):
        app.task(lambda: None)

    assert app.task(name="nothing")(lambda: None).name == "nothing"


@pytest.mark.parametrize("version", [0, -1, True, "2", 1.0])
def test_a_version_is_a_number_from_1(app, version):
    with pytest.raises(ConfigurationError, match="version is a number from 1"):

        @app.task(version=version)
        def add(x: int) -> None: ...


@pytest.mark.parametrize("aliases", ["shop.plus", 3, [""], [7], ["two\nlines"], ["x" * 256]])
def test_aliases_are_names(app, aliases):
    with pytest.raises(ConfigurationError, match="aliases"):

        @app.task(aliases=aliases)
        def add(x: int) -> None: ...


def test_its_own_name_is_no_alias(app):
    with pytest.raises(ConfigurationError, match=r"'shop\.add' is its name now"):

        @app.task(aliases=["shop.add"])
        def add(x: int) -> None: ...


def test_a_message_class_has_the_version(app):
    class Sized(TaskMessage, name="images.sized"):
        width: int

    with pytest.raises(ConfigurationError, match="write version=2 at class Sized"):

        @app.task(version=2)
        def resize(message: Sized) -> None: ...
