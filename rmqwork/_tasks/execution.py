"""Running one task in an executor, from the bytes of its message to an outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from time import perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from rmqwork._messages import headers as names
from rmqwork._messages.codec import JSON, plain_body, version_of
from rmqwork._messages.headers import GATHERED
from rmqwork._results.writing import Keep, keeper_of, keeping
from rmqwork._tasks.context import NEVER, Context, Progress, Signal
from rmqwork._tasks.evidence import text_of
from rmqwork._tasks.failing import outcome_of_error
from rmqwork._tasks.leaves import leaf_of, steers
from rmqwork._tasks.map_run import plan_of_each, plan_of_gathered
from rmqwork._tasks.run_plan import NO_ARGUMENTS, Prepared, RunPlan, run_plan
from rmqwork.errors import InvalidMessage, TimeLimitExceeded, UnknownTask
from rmqwork.types import (
    Evidence,
    Failure,
    Outcome,
    Reason,
    Success,
    TimeLimitReached,
)

if TYPE_CHECKING:
    from rmqwork._config.settings import Settings
    from rmqwork._messages.sealing import Seal
    from rmqwork._tasks.middleware import Hooks
    from rmqwork._tasks.retry import Retry
    from rmqwork._tasks.task import Task


class TaskRunner:
    """Runs tasks in this process.

    Args:
        tasks: by name.
        policy: gives the retry policy of a task; None = one attempt.
        hooks: of the middleware.
        seal: opens messages that are signed or encrypted.
        settings: of the app.
        state: what the app's lifespan has yielded.
        stopping: set when the worker shuts down.
        progress: told how far a task is: the delivery's number, current, total.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[..., Any]],
        policy: Callable[[Task[..., Any]], Retry | None],
        *,
        hooks: Hooks,
        seal: Seal | None,
        settings: Settings,
        state: object = None,
        stopping: Signal = NEVER,
        progress: Callable[[int, float, float | None], None] | None = None,
    ) -> None:
        self._state = state
        self._stopping = stopping
        self._progress = progress
        self._hooks = hooks
        self._seal = seal
        watched = bool(hooks.before_execute or hooks.after_execute)
        self._keeper = keeper_of(settings, stopping.wait)
        self._plans = plans = {
            name: run_plan(
                task,
                policy(task),
                watched=watched,
                kept=self._keeper is not None,
                tracked=settings.track_started and settings.results is not None,
                max_size=settings.max_message_size,
            )
            for name, task in tasks.items()
        }
        for task in tasks.values():
            plans.update(dict.fromkeys(task.aliases, plans[task.name]))
        self._each: dict[str, RunPlan] = {}
        self.keep: Keep | None = None
        if self._keeper is not None:
            self.keep = keeping(self._keeper, lambda name: name not in plans or plans[name].kept)

    def close(self) -> None:
        """Close the store of results, if there is one; a later result opens it again."""
        if self._keeper is not None:
            self._keeper.close()

    def prepare(self, message: tuple[Any, ...]) -> Prepared | Failure:
        """Decode and validate a delivery.

        Args:
            message: ``("d", number, queue, task, body, attempt, redelivered, task_id, headers or
                None, content_type, extras or None)``, see docs/explanation/architecture.md;
                ``extras`` may have ``content_encoding``, ``timestamp``, ``priority``, ``workflow``
                (its id), and ``reply`` or ``value`` (somebody, or what comes next, wants the
                result).

        Returns:
            what `run` or `arun` takes; or why the message cannot be run.
        """
        _, number, queue, task, body, attempt, again, task_id, headers, kind, extras = message
        plan = self._plans.get(task)
        if plan is None:
            text = f"no task {task!r} is known here"
            return Failure(0.0, Reason.UNKNOWN_TASK, Evidence("UnknownTask", text))
        try:
            if self._seal is not None:
                body, kind = self._seal.open(
                    task, task_id, body, kind, headers or NO_ARGUMENTS, name_now=plan.name
                )
            if kind != JSON or extras:
                body = plain_body(body, kind, extras and extras.get("content_encoding"))
            version = version_of(headers and headers.get(names.VERSION))
            if headers and names.EACH in headers:
                plan = self._plan_of_each(plan, headers[names.EACH])
            value = plan.load(body, version)
        except InvalidMessage as error:
            evidence = Evidence("InvalidMessage", text_of(error))
            return Failure(0.0, Reason.INVALID_MESSAGE, evidence)
        except UnknownTask as error:
            return Failure(0.0, Reason.UNKNOWN_TASK, Evidence("UnknownTask", text_of(error)))
        ctx = None
        if not plan.direct:
            workflow = extras and extras.get("workflow")
            ctx = self._context(plan, number, queue, attempt, again, task_id, headers, workflow)
        if not extras:
            return Prepared(plan, value, ctx, attempt, None, plan.kept, headers)
        wanted = plan.kept or "reply" in extras or "value" in extras
        prepared = Prepared(plan, value, ctx, attempt, extras.get("timestamp"), wanted, headers)
        prepared.priority = extras.get("priority")
        return prepared

    def run(self, prepared: Prepared) -> Outcome:
        """Run a sync task in this thread.

        Raises:
            TimeLimitReached: raised from outside; `timed_out` says what becomes of the run.
        """
        plan, ctx = prepared.plan, prepared.ctx
        start = perf_counter()
        outcome: Outcome
        try:
            if ctx is None:
                result = plan.function(*prepared.args, **prepared.kwargs)
            else:
                self._executing(ctx, prepared)
                result = plan.invoke.run(ctx, prepared.args, prepared.kwargs)
            if type(result) is CoroutineType:
                result.close()
                raise TypeError("a sync task returned a coroutine; declare it with `async def`")
            outcome = _succeeded(prepared, result, start)
        except BaseException as error:
            if leaf_of(error, TimeLimitReached):  # in a group if it came inside of `asyncio.run`
                raise TimeLimitReached from None
            outcome = outcome_of_error(prepared, error, perf_counter() - start)
        if ctx is not None:
            self._hooks.executed(ctx, outcome)
        return outcome

    async def arun(
        self, prepared: Prepared, ended: Callable[[], bool] = lambda: True
    ) -> Outcome | None:
        """Run an async task; None when the worker has cancelled it: to be handed back.

        Args:
            prepared: what to run.
            ended: whether it was the worker that cancelled it. A task that is cancelled by itself,
                or by a library, has failed: handed back, it would come again at once, for ever.
        """
        plan, ctx = prepared.plan, prepared.ctx
        start = perf_counter()
        outcome: Outcome
        scope = asyncio.timeout(plan.time_limit)
        try:
            async with scope:
                if ctx is None:
                    result = await plan.function(*prepared.args, **prepared.kwargs)
                else:
                    self._executing(ctx, prepared)
                    result = await plan.invoke.arun(ctx, prepared.args, prepared.kwargs)
            outcome = _succeeded(prepared, result, start)
        except BaseException as error:
            task = None if steers(error) else asyncio.current_task()
            if task is not None and task.cancelling() and ended():
                return None  # whatever it raised then, it was not its own fault
            error = _exit_of_child(error) or error
            if isinstance(error, TimeoutError) and scope.expired():
                return self.timed_out(prepared, plan.time_limit or 0.0)
            outcome = outcome_of_error(prepared, error, perf_counter() - start)
        if ctx is not None:
            self._hooks.executed(ctx, outcome)
        return outcome

    def _plan_of_each(self, plan: RunPlan, what: object) -> RunPlan:
        """The plan of ``map`` and ``starmap``: one message, a list of calls; or of its end."""
        if what == GATHERED:
            return plan_of_gathered(plan)
        each = self._each.get(plan.name)
        if each is None:
            each = self._each[plan.name] = plan_of_each(plan)
        return each

    def _executing(self, ctx: Context, prepared: Prepared) -> None:
        """What is to be done just before the task runs."""
        if prepared.plan.tracked and prepared.answer is not None:
            ctx.progress(0)
        self._hooks.executing(ctx, prepared.value)

    def timed_out(self, prepared: Prepared, seconds: float) -> Outcome:
        """The outcome of a run that was stopped at its time limit of so many seconds."""
        error = TimeLimitExceeded(f"it ran for its time limit of {seconds:g} s")
        outcome = outcome_of_error(prepared, error, seconds)
        if prepared.ctx is not None:
            self._hooks.executed(prepared.ctx, outcome)
        return outcome

    def _context(
        self,
        plan: RunPlan,
        number: int,
        queue: str,
        attempt: int,
        redelivered: bool,
        task_id: str,
        headers: Mapping[str, Any] | None,
        workflow: str | None,
    ) -> Context:
        options: dict[str, Any] = {}
        if plan.time_limit is not None:
            options["deadline"] = time.time() + plan.time_limit
        if self._progress is not None:
            run = headers and headers.get(names.RUN)
            options["progress"] = self._progress_of(number, task_id if plan.kept else None, run)
        if workflow:
            options["workflow"] = workflow
        return Context(
            task_id,
            plan.name,
            self._state,
            attempt=attempt,
            max_attempts=plan.max_attempts,
            queue=queue,
            headers=_users_headers(headers) if headers else None,
            redelivered=redelivered,
            stopping=self._stopping,
            **options,
        )

    def _progress_of(self, number: int, kept_as: str | None, run: object) -> Progress:
        tell, keeper = self._progress, self._keeper
        assert tell is not None
        if keeper is None or kept_as is None:
            return lambda current, total: tell(number, current, total)

        def both(current: float, total: float | None) -> None:
            keeper.progress(kept_as, current, total, run)
            tell(number, current, total)

        return both


def _exit_of_child(error: BaseException) -> BaseException | None:
    """The `SystemExit` or `KeyboardInterrupt` of a child task, because of which a run has been
    cancelled."""
    why = error.args[0] if isinstance(error, asyncio.CancelledError) and error.args else None
    return why if isinstance(why, BaseException) else None


def _succeeded(prepared: Prepared, value: object, start: float) -> Success:
    """The outcome of a run that returned a value."""
    duration = perf_counter() - start
    answer = prepared.answer
    return Success(duration) if answer is None else Success(duration, answer(value))


def _users_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {key: val for key, val in headers.items() if not key.startswith(("rmqwork-", "x-"))}
