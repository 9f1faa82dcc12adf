import asyncio
import threading

import pytest

from rmqwork._publisher.future import ConfirmFuture


def test_a_value_is_there_for_all_who_wait():
    answer: ConfirmFuture[int] = ConfirmFuture()
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(answer.result(10))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert not answer.done()
    assert answer.running()

    answer.set_result(7)
    for thread in threads:
        thread.join(10)

    assert got == [7] * 5
    assert answer.result() == answer.result(0) == 7
    assert answer.exception() is None


def test_an_error_is_raised():
    answer: ConfirmFuture[int] = ConfirmFuture()
    answer.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        answer.result(1)
    assert isinstance(answer.exception(), ValueError)


def test_no_answer_in_time():
    answer: ConfirmFuture[int] = ConfirmFuture()
    for timeout in (0.01, 0, -1):
        with pytest.raises(TimeoutError):
            answer.result(timeout)
    answer.set_result(1)
    assert answer.result(0) == 1


def test_it_cannot_be_cancelled():
    answer: ConfirmFuture[int] = ConfirmFuture()
    assert answer.set_running_or_notify_cancel()
    assert not answer.cancel()
    assert not answer.cancelled()
    answer.set_result(1)
    assert answer.result() == 1


def test_callbacks_before_and_after_are_called_once_each(caplog):
    answer: ConfirmFuture[int] = ConfirmFuture()
    called: list[object] = []
    answer.add_done_callback(lambda one: called.append(("before", one.result())))
    answer.add_done_callback(lambda one: 1 / 0)
    answer.add_done_callback(lambda one: called.append("second"))

    answer.set_result(3)
    answer.add_done_callback(lambda one: called.append("after"))

    assert called == [("before", 3), "second", "after"]
    assert "ZeroDivisionError" in caplog.text


def test_callbacks_that_race_with_the_answer_are_called_once_each():
    for _ in range(200):
        answer: ConfirmFuture[int] = ConfirmFuture()
        called: list[int] = []
        setter = threading.Thread(target=answer.set_result, args=(1,))
        setter.start()
        for _ in range(20):
            answer.add_done_callback(lambda one, called=called: called.append(one.result()))
        setter.join()
        assert called == [1] * 20


async def test_asyncio_can_wrap_it():
    answer: ConfirmFuture[int] = ConfirmFuture()
    threading.Timer(0.01, answer.set_result, (5,)).start()
    assert await asyncio.wait_for(asyncio.wrap_future(answer), 5) == 5
