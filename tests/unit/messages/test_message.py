from __future__ import annotations

from typing import Any, Generic, TypeVar

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    field_serializer,
)

from rmqwork import ConfigurationError, TaskMessage
from rmqwork._messages.codec import dump_message
from rmqwork._messages.message import message_info

T = TypeVar("T")


class Resize(TaskMessage, name="images.resize", queue="high", version=3):
    name: str
    version: int = 1
    queue: str = ""


class Wrapped(TaskMessage, Generic[T], name="wrapped", version=2):
    value: T


def test_the_keywords_are_kept_and_fields_may_be_called_like_them():
    message = Resize(name="n", version=9, queue="q")

    info = message_info(message)

    assert (info.name, info.queue, info.version) == ("images.resize", "high", 3)
    assert (message.name, message.version, message.queue) == ("n", 9, "q")


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({}, "names its task"),
        ({"name": ""}, "a task's name is a text"),
        ({"name": 3}, "a task's name is a text"),
        ({"name": "a\nb"}, "no one can see"),
        ({"name": "x" * 256}, "longer than 255 bytes"),
        ({"name": "x", "queue": ""}, "queue is the name of a queue"),
        ({"name": "x", "version": 0}, "version is a number from 1"),
        ({"name": "x", "version": True}, "version is a number from 1"),
        ({"name": "x", "nmae": "y", "quue": "z"}, "unknown keyword 'nmae', 'quue'"),
    ],
)
def test_a_wrong_keyword_is_refused_when_the_class_is_made(keywords, says):
    with pytest.raises(ConfigurationError, match=says):

        class Message(TaskMessage, **keywords):
            pass


def test_a_subclass_must_name_itself():
    with pytest.raises(ConfigurationError, match=r"class .*Sub: a TaskMessage names its task"):

        class Sub(Resize):
            pass

    class Other(Resize, name="other"):
        pass

    assert message_info(Other).name == "other"
    assert message_info(Other).queue is None


def test_fields_can_be_shared_through_a_plain_model():
    class Sized(BaseModel):
        width: int

    class Crop(Sized, TaskMessage, name="images.crop"):
        pass

    assert Crop(width=3).model_dump() == {"width": 3}


def test_a_parametrised_generic_is_the_same_task():
    assert message_info(Wrapped[int]) is message_info(Wrapped)
    with pytest.raises(ValidationError):
        Wrapped[int](value="x")


def test_task_message_itself_names_no_task():
    with pytest.raises(ConfigurationError, match="names no task"):
        message_info(TaskMessage)


def test_messages_are_frozen_and_refuse_unknown_fields():
    message = Resize(name="n")

    with pytest.raises(ValidationError, match="frozen"):
        message.name = "m"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Resize(name="n", other=1)  # type: ignore[call-arg]


def test_a_class_may_allow_unknown_fields():
    class Loose(TaskMessage, name="loose", extra="ignore"):
        x: int

    assert Loose.model_validate({"x": 1, "y": 2}) == Loose(x=1)


def test_a_field_that_could_not_be_read_back_is_refused():
    with pytest.raises(ConfigurationError, match="written as 'b' and read as 'a'"):

        class OneWay(TaskMessage, name="x"):
            field: int = Field(validation_alias="a", serialization_alias="b")

    with pytest.raises(ConfigurationError, match="required and excluded"):

        class Excluded(TaskMessage, name="x"):
            field: int = Field(exclude=True)

    class Choices(TaskMessage, name="x"):
        field: int = Field(validation_alias=AliasChoices("a", "b"), serialization_alias="b")

    assert message_info(Choices).name == "x"


def test_a_secret_that_would_travel_as_asterisks_is_refused():
    with pytest.raises(ConfigurationError, match=r"'password' is a SecretStr, of which only aster"):

        class Login(TaskMessage, name="login"):
            password: SecretStr | None

    class Revealed(TaskMessage, name="revealed"):
        password: SecretStr

        @field_serializer("password")
        def reveal(self, value: SecretStr) -> str:
            return value.get_secret_value()

    assert dump_message(Revealed(password=SecretStr("x"))) == b'{"password":"x"}'


def test_upcasters_are_kept_by_the_version_that_they_start_from():
    class Grown(TaskMessage, name="grown", version=3):
        width: int

    @Grown.upcast(1)
    def from_1(fields: dict[str, Any]) -> dict[str, Any]:
        return fields

    assert message_info(Grown).upcasters == {1: from_1}
    with pytest.raises(ConfigurationError, match="has an upcaster already"):
        Grown.upcast(1)
    for wrong in (0, 3):
        with pytest.raises(ConfigurationError, match="starts from 1 to 2"):
            Grown.upcast(wrong)
