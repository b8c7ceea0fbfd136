"""What our Prefect server does otherwise: it loses no event because SQLite is locked or because it is new."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.events.schemas.events import Event
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.events.ordering import EventArrivedEarly
from prefect.server.events.schemas.events import ReceivedEvent
from sqlalchemy.exc import OperationalError

from flows.server.event_order import STARTED, CausalOrdering, is_older
from flows.server.transactions import lock_at_the_beginning


async def _read_then_write(place: Path) -> int:
    """Two transactions that read, meet, and write: the larger number that one of them has written."""
    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{place}")
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE seen (n INTEGER)"))
        await connection.execute(sa.text("INSERT INTO seen VALUES (0)"))
    both = asyncio.Barrier(2)

    async def add_one() -> None:
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            n = (await session.execute(sa.text("SELECT n FROM seen"))).scalar_one()
            with suppress(TimeoutError, asyncio.BrokenBarrierError):
                await asyncio.wait_for(both.wait(), 1.0)  # both have read, or one waits for the other
            await session.execute(sa.text("UPDATE seen SET n = :n"), {"n": n + 1})

    await asyncio.gather(add_one(), add_one())
    async with engine.connect() as connection:
        found = (await connection.execute(sa.text("SELECT n FROM seen"))).scalar_one()
    await engine.dispose()
    return int(found)


def test_transactions_that_read_before_they_write_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", AioSqliteConfiguration.begin_transaction)
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(_read_then_write(tmp_path / "prefect's own.db"))
    lock_at_the_beginning()
    assert asyncio.run(_read_then_write(tmp_path / "ours.db")) == 2


def _version_7(seconds: float) -> uuid.UUID:
    """An id that was made at this time (RFC 9562)."""
    return uuid.UUID(int=int(seconds * 1000) << 80 | 7 << 76 | 2 << 62)


@pytest.mark.parametrize(
    ("follows", "message", "waits"),
    [
        (_version_7(STARTED + 1), None, True),
        (_version_7(STARTED - 1), None, False),
        (uuid.uuid4(), None, True),
        (_version_7(STARTED + 1), "Flow run scheduled", False),
        (None, None, False),
    ],
    ids=["of this server", "of the server before", "of an unknown time", "planned by the scheduler", "none"],
)
def test_nothing_waits_for_an_event_that_does_not_come(
    follows: uuid.UUID | None, message: str | None, waits: bool
) -> None:
    event = ReceivedEvent(
        occurred=datetime.now(UTC),
        event="prefect.flow-run.Crashed",
        resource={"prefect.resource.id": "prefect.flow-run.1"},
        payload={"initial_state": {"message": message}},
        id=uuid.uuid4(),
        follows=follows,
    )

    with pytest.raises(EventArrivedEarly) if waits else nullcontext():
        asyncio.run(CausalOrdering("a test").wait_for_leader(event))


def test_an_event_of_prefect_says_when_it_was_made() -> None:
    made = Event(occurred=datetime.now(UTC), event="x", resource={"prefect.resource.id": "x"})
    now = time.time()
    assert is_older(made.id, now + 1)
    assert not is_older(made.id, now - 60)
