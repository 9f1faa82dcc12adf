"""Results of tasks: what a publisher holds after a publish, and the back ends behind it."""

from rmqwork.results.group import GroupResult
from rmqwork.results.many import as_completed, wait
from rmqwork.results.record import Progress, State
from rmqwork.results.result import AsyncResult

__all__ = ["AsyncResult", "GroupResult", "Progress", "State", "as_completed", "wait"]
