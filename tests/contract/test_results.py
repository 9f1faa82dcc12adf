"""The contract of the result back ends: one suite, every back end."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from rmqwork import App, AsyncResult, ResultsDisabled, ResultTimeout, TaskFailed, TaskRejected
from rmqwork._config.result_addresses import is_store
from rmqwork._results import record
from rmqwork._results.backends import open_store
from rmqwork._results.client import ResultClient
from rmqwork._results.migrations import LAYOUT, layout_of, marker_row
from rmqwork._results.sql import TABLE, SqlStore
from rmqwork._results.waiting import as_completed, wait
from rmqwork._results.writing import ResultWriter
from rmqwork.testing.broker import vhost
from rmqwork.types import Evidence, Failure, Publication, Reason, RetryOutcome, Success
from tests.stores import store
from tests.waiting import until

BACKENDS = ["memory", "rabbitmq", "sqlite", "redis", "postgresql", "mariadb"]
MARKS = {
    "rabbitmq": [pytest.mark.broker],
    "redis": [pytest.mark.store],
    "postgresql": [pytest.mark.store],
    "mariadb": [pytest.mark.store],
}


class ResultsHarness:
    """A client and a worker of one back end, without tasks: outcomes are made by hand."""

    def __init__(self, url: str, broker: str) -> None:
        self.app = App("desk", broker=broker, results=url, results_ttl=60)

        @self.app.task(name="double")
        def double(x: int) -> int:
            return 2 * x

        self.double = double
        self.url = url
        self._keeper = ResultWriter(url, 60.0, lambda seconds: time.sleep(seconds) or False)

    @property
    def asking(self) -> ResultClient:
        """How the app asks for results."""
        return self.app.asking

    def close(self) -> None:
        """Let go of all connections."""
        self._keeper.close()
        self.app.close(5)

    def ask(self, task: str = "double") -> tuple[AsyncResult[int], Publication]:
        """What a publisher gets, and what it would send."""
        self.asking.begin(20)
        publication = Publication(
            "", "q", b"{}", os.urandom(8).hex(), task, reply_to=self.asking.reply_to(task)
        )
        return self.asking.result(publication), publication

    def answer(self, asked: Publication, body: bytes) -> None:
        """The worker's final word, by the way that this back end goes."""
        if is_store(self.url):
            self._keeper.put(asked.message_id, body)
        else:
            self._reply(asked, body)

    def tell(self, asked: Publication, outcome: RetryOutcome | tuple[float, float]) -> None:
        """The worker's word that is not final."""
        if isinstance(outcome, RetryOutcome):
            if is_store(self.url):
                self._keeper.keep(asked.message_id, outcome)
            else:
                self._reply(asked, record.retry(outcome.evidence))
        elif is_store(self.url):
            self._keeper.progress(asked.message_id, *outcome)
        else:
            self._reply(asked, record.started(*outcome))

    def _reply(self, asked: Publication, body: bytes) -> None:
        assert asked.reply_to is not None
        reply = Publication(
            "", asked.reply_to, body, "r", record.REPLY, correlation_id=asked.message_id
        )
        self.app._sender.send(reply, 20)


@pytest.fixture(scope="module", params=[pytest.param(b, marks=MARKS.get(b, ())) for b in BACKENDS])
def address(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[tuple[str, str]]:
    """The addresses of a back end and of a broker."""
    match request.param:
        case "memory":
            yield "rpc://", "memory://results"
        case "rabbitmq":
            with vhost(request.getfixturevalue("broker")) as url:
                yield "rpc://", url
        case "sqlite":
            yield f"sqlite:///{tmp_path_factory.mktemp('results') / 'db'}", "memory://results"
        case kind:
            with store(kind) as (url, _):
                yield url, "memory://results"


@pytest.fixture
def desk(address: tuple[str, str]) -> Iterator[ResultsHarness]:
    """A client and a worker."""
    desk = ResultsHarness(*address)
    yield desk
    desk.close()


def value(number: int) -> bytes:
    return record.success(b'{"result":%d}' % number)


def failure(reason: Reason = Reason.FAILED) -> bytes:
    return record.failure(reason, Evidence("ValueError", "no", "Traceback: here"))


def test_a_value_arrives_before_and_after_it_is_waited_for(desk: ResultsHarness):
    # Given an answer that comes while somebody waits, and one that is there before
    result, asked = desk.ask()
    threading.Timer(0.1, desk.answer, (asked, value(4))).start()

    # Then the one who waits has it
    assert result.get(timeout=10) == 4
    assert (result.ready(), result.successful(), result.failed()) == (True, True, False)
    assert result.get(timeout=0) == 4


def test_nothing_known_is_pending_and_get_ends_in_time(desk: ResultsHarness):
    result, _ = desk.ask()

    assert (result.state, result.progress, result.ready()) == ("PENDING", None, False)
    began = time.monotonic()
    with pytest.raises(ResultTimeout, match=f"task 'double' .{result.id}. had no result within"):
        result.get(timeout=0.1)
    assert time.monotonic() - began < 5


def test_a_failure_is_raised_with_what_the_task_said(desk: ResultsHarness):
    result, asked = desk.ask()
    desk.answer(asked, failure())

    with pytest.raises(TaskFailed, match="ValueError: no") as caught:
        result.get(timeout=10)
    assert caught.value.remote_type == "ValueError"
    assert caught.value.remote_traceback == result.traceback == "Traceback: here"
    assert caught.value.task_id == result.id
    assert (result.state, result.failed()) == ("FAILURE", True)


def test_reasons_have_their_errors(desk: ResultsHarness):
    result, asked = desk.ask()
    desk.answer(asked, failure(Reason.REJECTED))
    with pytest.raises(TaskRejected):
        result.get(timeout=10)

    result, asked = desk.ask()
    desk.answer(asked, failure(Reason.REVOKED))
    until(result.ready)
    assert result.state == "REVOKED"


def test_progress_and_retries_are_seen_and_the_final_word_goes_over_them(desk: ResultsHarness):
    result, asked = desk.ask()
    desk.tell(asked, (3.0, 10.0))
    until(lambda: result.progress == (3.0, 10.0))
    assert result.state == "STARTED"

    desk.tell(asked, RetryOutcome(0.1, 1.0, True, Evidence("OSError", "away", "tb")))
    until(lambda: result.state == "RETRY")
    assert result.traceback == "tb"

    desk.answer(asked, value(6))
    assert result.get(timeout=10) == 6
    desk.tell(asked, (9.0, 10.0))
    assert result.state == "SUCCESS"


def test_the_first_final_word_holds_for_who_has_heard_it(desk: ResultsHarness):
    result, asked = desk.ask()
    desk.answer(asked, value(1))
    assert result.get(timeout=10) == 1
    desk.answer(asked, value(2))
    assert result.get(timeout=10) == 1


async def test_many_wait_on_a_loop(desk: ResultsHarness):
    await desk.asking.abegin(20)
    asked = [desk.ask() for _ in range(20)]
    waiting = asyncio.gather(*(result.aget(timeout=20) for result, _ in asked))

    def answer() -> None:
        for number, (_, publication) in enumerate(asked):
            desk.answer(publication, value(number))

    await asyncio.to_thread(answer)
    assert await waiting == list(range(20))
    assert await asked[0][0].astate() == "SUCCESS"
    assert await asked[0][0].aready()
    with pytest.raises(ResultTimeout):
        await desk.ask()[0].aget(timeout=0.05)


def test_a_hundred_threads_wait(desk: ResultsHarness):
    asked = [desk.ask() for _ in range(100)]
    values: list[int] = []
    threads = [
        threading.Thread(target=lambda r=result: values.append(r.get(timeout=30)))
        for result, _ in asked
    ]
    for thread in threads:
        thread.start()
    for number, (_, publication) in enumerate(asked):
        desk.answer(publication, value(number))
    for thread in threads:
        thread.join()
    assert sorted(values) == list(range(100))


def test_results_come_in_the_order_of_their_ends_or_of_the_question(desk: ResultsHarness):
    asked = [desk.ask() for _ in range(3)]
    results = [result for result, _ in asked]
    ended = as_completed(results, timeout=20)
    for at in (2, 0, 1):
        desk.answer(asked[at][1], failure() if at == 0 else value(at))
        assert next(ended) is results[at]
    assert wait(results, timeout=1) == results
    with pytest.raises(ResultTimeout, match="1 tasks had no result"):
        wait([*results, desk.ask()[0]], timeout=0.05)


def test_what_is_forgotten_is_gone(desk: ResultsHarness):
    result, asked = desk.ask()
    desk.answer(asked, value(1))
    assert result.get(timeout=10) == 1
    result.forget()
    if is_store(desk.url):
        assert result.state == "PENDING"
    else:
        with pytest.raises(ResultsDisabled):
            desk.app.result(result.id)


def test_another_process_asks(desk: ResultsHarness, address: tuple[str, str]):
    # Given a result, and an app that has not published the task (as another process would have)
    result, asked = desk.ask()
    desk.answer(asked, value(8))
    assert result.get(timeout=10) == 8
    other = ResultsHarness(*address)

    # Then a store gives it, typed if the task is named, and rpc:// says why it cannot
    if is_store(desk.url):
        assert other.app.result(result.id, "double").get(timeout=10) == 8
        assert other.app.result(result.id).get(timeout=10) == 8
    else:
        with pytest.raises(ResultsDisabled, match="the process that has published the task"):
            other.app.result(result.id)
    other.close()


def test_large_and_odd_values(desk: ResultsHarness):
    result, asked = desk.ask("unknown.here")
    text = "snöw ☃ " * 100_000
    body = record.success(b'{"result":' + ('"' + text + '"').encode() + b"}")
    desk.answer(asked, body)
    assert result.get(timeout=20) == text


def test_a_store_keeps_a_record_for_its_time(address: tuple[str, str]):
    if not is_store(address[0]):
        pytest.skip("no store")
    opened = open_store(address[0])
    key = os.urandom(8).hex()
    opened.put(key, b"long", 60)
    opened.put(key, b"again", 60)
    opened.put(key + "s", b"short", 0.2)
    assert opened.fetch([key, key + "s", "none"]).get(key) == b"again"
    until(lambda: key + "s" not in opened.fetch([key + "s"]))
    opened.delete([key])
    assert opened.fetch([key]) == {}
    opened.close()


def test_a_table_of_an_older_layout_gets_what_is_missing(address: tuple[str, str]):
    if not is_store(address[0]) or address[0].startswith("redis"):
        pytest.skip("no database")
    # Given a table of the first layout, with a record
    old, columns = SqlStore(address[0]), ("id", "record")
    table = sqlalchemy.Table(
        TABLE,
        sqlalchemy.MetaData(),
        *(sqlalchemy.Column(n, old._table.c[n].type, primary_key=n == "id") for n in columns),
    )
    with old._engine.begin() as connection:
        old._table.drop(connection, checkfirst=True)
        table.create(connection)
        connection.execute(table.insert().values(id="before", record=b"kept"))

    # When processes of this version begin with it at once
    errors: list[Exception] = []

    def write(number: int) -> None:
        opened = open_store(address[0])
        try:
            opened.put(f"k{number}", b"x", 60)
            assert opened.fetch(["before"]) == {"before": b"kept"}
        except Exception as error:
            errors.append(error)
        finally:
            opened.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Then it is of the newest layout, says so, and has lost nothing
    assert errors == []
    look = sqlalchemy.inspect(old._engine)
    assert {one["name"] for one in look.get_columns(TABLE)} == {"id", "record", "expires_at"}
    assert [one["column_names"] for one in look.get_indexes(TABLE)] == [["expires_at"]]
    assert layout_of(sqlalchemy, old._engine, old._table) == LAYOUT
    found = old.fetch(["before", *(f"k{n}" for n in range(4))])
    assert len(found) == 5
    old.close()


def test_a_table_of_a_newer_layout_is_used_as_it_is(tmp_path: Path):
    first, second = (SqlStore(f"sqlite:///{tmp_path / 'db'}") for _ in range(2))
    first.put("a", b"1", 60)
    with first._engine.begin() as connection:
        connection.execute(first._upsert({**marker_row(), "record": b"99"}))
    assert second.fetch(["a"]) == {"a": b"1"}
    assert layout_of(sqlalchemy, second._engine, second._table) == 99
    first.close()
    second.close()


def test_two_open_the_same_empty_database_at_once(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'db'}"
    errors: list[Exception] = []

    def write(number: int) -> None:
        try:
            opened = open_store(url)
            opened.put(f"k{number}", b"x", 60)
            opened.close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.store
def test_a_store_that_is_away_for_a_while_loses_nothing():
    # Given a store that is stopped
    with store("redis") as (url, server):
        desk = ResultsHarness(url, "memory://results")
        result, asked = desk.ask()
        server.stop()

        # When a worker has a result, and the store comes back
        threading.Timer(1.5, server.start).start()
        desk.answer(asked, value(3))

        # Then it is there
        assert result.get(timeout=20) == 3
        desk.close()


def test_a_store_that_stays_away_costs_the_result_not_the_task(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr("rmqwork._results.writing.STORE_TIMEOUT", 0.2)
    keeper = ResultWriter(
        f"sqlite:///{tmp_path}/no/such/folder/db", 60, lambda s: time.sleep(s) or False
    )

    keeper.keep("id-1", Success(0.1, value(1)))
    keeper.keep("id-1", Failure(0.1, Reason.FAILED, Evidence("E", "m")))

    assert "the result of id-1 is lost, its task is not" in caplog.text


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_asks_by_itself(desk: ResultsHarness):
    # Given a client that has had a result, and forks
    result, asked = desk.ask()
    desk.answer(asked, value(1))
    assert result.get(timeout=10) == 1
    waiting, later = desk.ask()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            said = str(waiting.get(timeout=20))
        except ResultsDisabled as error:
            said = str(error)
        except BaseException as error:
            said = repr(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)

    # When the answer comes, then the parent has it, and the child where that can be
    desk.answer(later, value(2))
    assert waiting.get(timeout=20) == 2
    with os.fdopen(reader) as file:
        said = file.read()
    assert said == "2" if is_store(desk.url) else "its result goes to the parent" in said
    os.waitpid(child, 0)
    assert desk.ask()[0].state == "PENDING"
