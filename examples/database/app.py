"""A database: one engine for each executor process, one session for each task.

In the folder `examples/`:

    rmqwork worker database.app:app -Q orders -p 2
    python -m database.publish 20

DATABASE_URL names another database than the SQLite file `orders.db` in the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from pydantic import Field
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from rmqwork import App, Context, Depends, Queue, Retry, TaskMessage

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///orders.db")

app = App("database", queues=[Queue("orders")], default_queue="orders")


class Base(DeclarativeBase):
    """The tables."""


class Order(Base):
    """One row an order; the id of its task's message tells a second run from a second order."""

    __tablename__ = "orders"
    task_id: Mapped[str] = mapped_column(primary_key=True)
    customer: Mapped[str]
    total: Mapped[int]
    stored_by: Mapped[int]


class StoreOrder(TaskMessage, name="orders.store", queue="orders"):
    """Store one order; ``total`` is in cents."""

    customer: str
    total: int = Field(ge=0)


def create_tables() -> None:
    """Not in the lifespan: two processes would do it at once. (A real app has migrations.)"""
    engine = create_engine(DATABASE_URL)
    Base.metadata.create_all(engine)
    engine.dispose()


@app.lifespan
def database() -> Iterator[Engine]:
    """The engine, with its pool of connections. It is made after the fork, and shared by the
    threads of the process: never share connections between processes."""
    engine = create_engine(DATABASE_URL)
    try:
        yield engine
    finally:
        engine.dispose()


def get_session(ctx: Context[Engine]) -> Iterator[Session]:
    """A session for one run of a task: committed if it ends well, rolled back if it raises."""
    with Session(ctx.state) as session, session.begin():
        yield session


@app.task(retry=Retry(max_attempts=10, on=OperationalError))
def store_order(
    message: StoreOrder, ctx: Context[Engine], session: Session = Depends(get_session)
) -> None:
    """Store it once, even if the message comes twice (at least once)."""
    if session.get(Order, ctx.task_id) is None:
        session.add(
            Order(
                task_id=ctx.task_id,
                customer=message.customer,
                total=message.total,
                stored_by=os.getpid(),
            )
        )
