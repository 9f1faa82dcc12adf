"""What is known of a task's result, as a value and as the JSON that travels or is stored.

    {"state":"SUCCESS","result":4}
    {"state":"SUCCESS","each":true,"result":[4,5]}        of map and starmap: the task's values
    {"state":"FAILURE","reason":"failed","type":"ValueError","message":"…","traceback":"…"}
    {"state":"RETRY","type":"ConnectionError","message":"…","traceback":"…"}
    {"state":"STARTED","progress":[3,10]}
    {…,"run":"0193…"}                                     last, of a task whose id was chosen

No pydantic: the worker process writes records, too. The value of a success stays as it is until
somebody asks for it: `rmqwork._results.values` reads it by the task's return annotation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from rmqwork.errors import (
    TaskFailed,
    TaskRejected,
    TaskRevoked,
    TimeLimitExceeded,
    WorkerCrashed,
)
from rmqwork.types import Evidence, Reason

_SUCCESS: Final = b'{"state":"SUCCESS",'
_EACH: Final = b'"each":true,'
_RESULT: Final = b'"result":'
_RUN: Final = re.compile(rb',"run":"([0-9a-f-]{36})"}\Z')
_RUN_MOST: Final = 64
REPLY: Final = "rmqwork.reply"
"""The ``type`` of a message that carries a record to a client, and is no task."""
LOST: Final = "result-lost"
"""The reason of a task that succeeded, and whose value could not be kept."""
_NOTHING: Final = Evidence("", "")
_ERRORS: Final[dict[str, type[TaskFailed]]] = {
    Reason.TIME_LIMIT: TimeLimitExceeded,
    Reason.WORKER_CRASHED: WorkerCrashed,
    Reason.REVOKED: TaskRevoked,
    Reason.REJECTED: TaskRejected,
}


class State(StrEnum):
    """What is known of a task."""

    PENDING = "PENDING"
    """Nothing: it waits, or there is no such task, or its result has expired."""
    STARTED = "STARTED"
    """It runs; known of tasks that tell their progress."""
    RETRY = "RETRY"
    """It has failed, and will run again."""
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"


FINAL: Final = frozenset({State.SUCCESS, State.FAILURE, State.REVOKED})


class Progress(NamedTuple):
    """How far a task says that it is."""

    current: float
    total: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """The last word about a task.

    Args:
        state: of the task.
        body: the record as JSON; of a success, the value is in it.
        reason: of a failure: a `rmqwork.types.Reason`, or ``result-lost``.
        evidence: of a failure or a retry.
        progress: of a task that has started.
        run: which run of a chosen id it is about; empty: it does not say.
    """

    state: State
    body: bytes
    reason: str = ""
    evidence: Evidence = _NOTHING
    progress: Progress | None = None
    run: str = ""

    @property
    def each(self) -> bool:
        """Whether it is a success whose value is a list of the task's values."""
        return self.body.startswith(_SUCCESS + _EACH)

    @property
    def final(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.state in FINAL

    def error(self, task: str, task_id: str) -> TaskFailed:
        """The error that a failure is for whoever waits for the result."""
        kind = _ERRORS.get(self.reason, TaskFailed)
        evidence = self.evidence
        return kind(
            f"task {task!r} ({task_id}): {evidence.type}: {evidence.message}",
            remote_type=evidence.type,
            remote_traceback=evidence.traceback,
            task_id=task_id,
            reason=self.reason,
        )


def success(result: bytes, *, each: bool = False) -> bytes:
    """The record of a success.

    Args:
        result: ``{"result":…}``, from `rmqwork._results.values.Values.dump`.
        each: whether it is a list of the task's values, so that who knows only the task reads it.
    """
    return b"".join((_SUCCESS, _EACH if each else b"", result[1:]))


def value_of(body: bytes) -> bytes | None:
    """The JSON of the value in the record of a success; None: it is another record."""
    for head in (_SUCCESS + _RESULT, _SUCCESS + _EACH + _RESULT):
        if body.startswith(head):
            return body[len(head) : -1]
    return None


def failure(reason: str, evidence: Evidence) -> bytes:
    """The record of a final failure."""
    state = State.REVOKED if reason == Reason.REVOKED else State.FAILURE
    return _dump({"state": state.value, "reason": str(reason), **_plain(evidence)})


def retry(evidence: Evidence) -> bytes:
    """The record of a run that failed and is to be repeated."""
    return _dump({"state": State.RETRY.value, **_plain(evidence)})


def started(current: float, total: float | None) -> bytes:
    """The record of a task that runs."""
    return _dump({"state": State.STARTED.value, "progress": [current, total]})


def read(body: bytes) -> Record:
    """The record of its JSON; what cannot be read is a failure that says so."""
    if body.startswith(_SUCCESS):
        return Record(State.SUCCESS, body, run=_run_of(body))
    try:
        values = json.loads(body)
        state = State(values["state"])
        progress = values.get("progress")
        return Record(
            state,
            body,
            str(values.get("reason", "")),
            Evidence(*(str(values.get(name, "")) for name in ("type", "message", "traceback"))),
            None if progress is None else Progress(*progress),
            str(values.get("run", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"its answer cannot be read: {error}"
        return Record(State.FAILURE, body, LOST, Evidence("InvalidMessage", text))


def of_run(body: bytes, run: object) -> bytes:
    """The record of a run of a chosen id (`rmqwork._messages.headers.RUN`); None: of no such."""
    return body if not isinstance(run, str) else b'%b,"run":"%b"}' % (body[:-1], run.encode())


def _run_of(body: bytes) -> str:
    """The run in the record of a success. Nothing in a value ends like that."""
    if not body.endswith(b'"}'):
        return ""
    found = _RUN.search(body, max(0, len(body) - _RUN_MOST))
    return "" if found is None else found[1].decode()


def _plain(evidence: Evidence) -> dict[str, str]:
    return {
        "type": evidence.type,
        "message": evidence.message,
        "traceback": evidence.traceback,
    }


def _dump(values: dict[str, object]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()
