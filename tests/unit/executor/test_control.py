"""The control thread is a `threading.Thread`, which has private names of its own."""

from __future__ import annotations

import threading

from rmqwork._executor.control import ControlThread

# Of newer Pythons than this one, maybe: in 3.13 a method `_handle` here was an attribute there,
# and the thread died of its first message.
OF_THREAD = {"_handle", "_os_thread_handle", "_context", "_is_stopped", "_tstate_lock", "_args"}


def test_no_name_is_that_of_a_thread() -> None:
    theirs = OF_THREAD | set(vars(threading.Thread())) | set(vars(threading.Thread))
    ours = {name for name in vars(ControlThread) if not name.startswith("__")}

    assert ours & theirs == {"run"}
