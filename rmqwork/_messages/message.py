"""`TaskMessage`: what a task is asked to do, as a pydantic model that names its task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, get_args, get_origin

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    Secret,
    SecretBytes,
    SecretStr,
    WrapSerializer,
)
from pydantic.fields import FieldInfo

from rmqwork._topology.partitions import check_field, check_key
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Unpack

Fields = dict[str, Any]
"""The fields of a body as they came, before validation."""
Upcaster = Callable[[Fields], Fields]
"""Turns the fields of a body of version n into those of version n + 1."""

_NAME_BYTES: Final = 255


@dataclass(frozen=True, slots=True)
class MessageInfo:
    """What the class keywords of a `TaskMessage`, or the options of a function-style task, say.

    Args:
        name: the task's name.
        queue: the queue of its messages, unless the call or the app's routes say otherwise.
        version: of its fields.
        upcasters: by the version that they start from.
        partition_key: the field that chooses among the partitions of the queue.
    """

    name: str
    queue: str | None = None
    version: int = 1
    upcasters: dict[int, Upcaster] = field(default_factory=dict)
    partition_key: str | None = None


class TaskMessage(BaseModel):
    """What a task is asked to do; the class names the task::

        class ResizeImage(TaskMessage, name="images.resize", queue="high_priority", version=1):
            url: HttpUrl
            width: int = Field(gt=0)

    Class keywords: ``name`` (required; each subclass has its own, a parametrised generic has that
    of its origin), ``queue``, ``version``, ``partition_key`` (the field that chooses a partition
    of the queue), and those of pydantic's ``ConfigDict``. Messages are
    frozen. A body with a field that the class does not have is invalid, unless the class sets
    ``extra``. Bytes travel as base64 (JSON has none), ``nan`` and ``inf`` as strings (pydantic
    would make null of them). Fields may be called ``name``, ``queue`` or ``version``.

    Raises:
        ConfigurationError: when the class is made, if a keyword is missing, wrong or unknown, or
            if a field could not be read back from the body that it is written to.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        ser_json_inf_nan="strings",
    )
    __rmqwork__: ClassVar[MessageInfo]

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            name: str = ...,
            queue: str | None = ...,
            version: int = ...,
            partition_key: str | None = ...,
            **config: Unpack[ConfigDict],
        ) -> None: ...

    else:

        def __init_subclass__(cls, **keywords: object) -> None:
            super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(cls, **keywords: Any) -> None:
        """Check the class keywords and keep them."""
        super().__pydantic_init_subclass__()
        if cls.__pydantic_generic_metadata__["origin"] is not None:
            return  # a parametrised generic: the same task, the same upcasters
        cls.__rmqwork__ = _info_of(cls.__qualname__, keywords)
        for name, info in cls.model_fields.items():
            _check_field(cls, name, info)
        check_field(cls.__rmqwork__.partition_key, cls.model_fields, f"class {cls.__qualname__}")

    @classmethod
    def upcast(cls, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Register what turns the fields of one version into those of the next::

            @ResizeImage.upcast(1)
            def _(fields: dict[str, Any]) -> dict[str, Any]:
                return {"width": fields.pop("size"), **fields}

        A version without an upcaster is taken as it is; pydantic decides.

        Args:
            from_version: from 1 to the class's version - 1.

        Raises:
            ConfigurationError: no such version, or it has one already.
        """
        return upcaster_of(cls.__rmqwork__, from_version, cls.__qualname__, "the class")


def upcaster_of(
    info: MessageInfo, from_version: int, where: str, what: str
) -> Callable[[Upcaster], Upcaster]:
    """The decorator that registers an upcaster.

    Args:
        info: of a message class, or of a function-style task.
        from_version: from 1 to its version - 1.
        where: its name in Python, for errors.
        what: what has the version, for errors.

    Raises:
        ConfigurationError: no such version, or it has one already.
    """
    if not 1 <= from_version < info.version:
        such = (
            f"an upcaster starts from 1 to {info.version - 1}"
            if info.version > 1
            else ("give it version=2 where its fields change")
        )
        raise ConfigurationError(
            f"{where}.upcast({from_version}): {what} has version {info.version}; {such}"
        )
    if from_version in info.upcasters:
        raise ConfigurationError(
            f"{where}.upcast({from_version}): that version has an upcaster already"
        )

    def register(upcaster: Upcaster) -> Upcaster:
        info.upcasters[from_version] = upcaster
        return upcaster

    return register


def check_version(version: object, where: str) -> int:
    """The version, if messages can have it.

    Raises:
        ConfigurationError: it is no number from 1.
    """
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ConfigurationError(f"{where}: version is a number from 1, not {version!r}")
    return version


def message_info(message: TaskMessage | type[TaskMessage]) -> MessageInfo:
    """What a message's class says of its task.

    Raises:
        ConfigurationError: for `TaskMessage` itself, which names none.
    """
    try:
        return message.__rmqwork__
    except AttributeError:
        raise ConfigurationError(
            "TaskMessage itself names no task; make a class: class X(TaskMessage, name='…')"
        ) from None


def check_task_name(name: object, where: str) -> str:
    """The name, if a task can be called so.

    Raises:
        ConfigurationError: not text, empty, longer than 255 bytes, or not printable.
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{where}: a task's name is a text, not {name!r}")
    if not name.isprintable() or name != name.strip():
        raise ConfigurationError(f"{where}: the name {name!r} has characters that no one can see")
    if len(name.encode()) > _NAME_BYTES:
        raise ConfigurationError(f"{where}: the name {name[:40]!r}… is longer than 255 bytes")
    return name


def _info_of(where: str, keywords: dict[str, Any]) -> MessageInfo:
    unknown = sorted(set(keywords) - {"name", "queue", "version", "partition_key"})
    if unknown:
        raise ConfigurationError(
            f"class {where}: unknown keyword {', '.join(map(repr, unknown))}; "
            "a TaskMessage takes name, queue, version and partition_key, and pydantic's "
            "configuration"
        )
    if "name" not in keywords:
        raise ConfigurationError(
            f"class {where}: a TaskMessage names its task: class {where}(TaskMessage, name='…'); "
            "a subclass of a message names one of its own (share fields through a plain BaseModel)"
        )
    queue, version = keywords.get("queue"), keywords.get("version", 1)
    if queue is not None and (not isinstance(queue, str) or not queue):
        raise ConfigurationError(f"class {where}: queue is the name of a queue, not {queue!r}")
    version = check_version(version, f"class {where}")
    key = keywords.get("partition_key")
    check_key(key, f"class {where}")
    name = check_task_name(keywords["name"], f"class {where}")
    return MessageInfo(name, queue, version, partition_key=key)


def _check_field(cls: type[TaskMessage], name: str, info: FieldInfo) -> None:
    """Refuse what would be published in one shape and expected in another."""
    where = f"class {cls.__qualname__}: field {name!r}"
    if info.exclude and info.is_required():
        raise ConfigurationError(f"{where} is required and excluded from the body")
    secret = hidden_in(info.annotation)
    serialized = {
        field
        for decorator in cls.__pydantic_decorators__.field_serializers.values()
        for field in decorator.info.fields
    }
    if secret and not serialized & {name, "*"} and not any(map(_is_serializer, info.metadata)):
        raise ConfigurationError(
            f"{where} is a {secret}, of which only asterisks would be published; send a reference, "
            "or give it a field_serializer that reveals it"
        )
    accepted = _accepted_names(cls, name, info)
    written = info.serialization_alias or name
    if accepted and written not in accepted:
        read = " or ".join(map(repr, sorted(accepted)))
        raise ConfigurationError(
            f"{where} is written as {written!r} and read as {read}; use alias= for both ways"
        )


def hidden_in(annotation: object) -> str | None:
    """The name of a secret type in an annotation, whose value pydantic writes as asterisks."""
    origin = get_origin(annotation)
    if origin is Annotated and any(map(_is_serializer, get_args(annotation)[1:])):
        return None
    found = origin or annotation
    if isinstance(found, type) and issubclass(found, (SecretStr, SecretBytes, Secret)):
        return found.__name__
    return next(filter(None, map(hidden_in, get_args(annotation))), None)


def _is_serializer(metadata: object) -> bool:
    return isinstance(metadata, (PlainSerializer, WrapSerializer))


def _accepted_names(cls: type[TaskMessage], name: str, info: FieldInfo) -> set[str]:
    """The keys of a body that a field is read from; empty when nobody can tell."""
    alias = info.validation_alias
    if alias is None:
        return {name}
    accepted: set[str] = set()
    if isinstance(alias, str):
        accepted = {alias}
    elif isinstance(alias, AliasChoices):
        accepted = {choice for choice in alias.choices if isinstance(choice, str)}
    else:
        return set()
    config = cls.model_config
    if config.get("populate_by_name") or config.get("validate_by_name"):
        accepted.add(name)
    return accepted
