"""The order of events on the Prefect server: no waiting for an event that the server never gets.

An event that names a predecessor waits until the server has seen that one, for up to 15 minutes. All that
happens to the run is held back: that it is late, that it has failed, that it has crashed. Two kinds of
predecessors never come, with Prefect 3.8.8:

- The scheduler writes planned runs into the database and sends no event of that
  (`_insert_scheduled_flow_runs`). An event that changes a run which was planned less than 5 minutes before, as
  after a deployment, names it.
- After a power cut the server has forgotten what it has seen. The event that a dead run is Crashed now names
  one that the server before it had got.
"""

from __future__ import annotations

import time
from uuid import UUID

from prefect.server.events.ordering import memory
from prefect.server.events.schemas.events import ReceivedEvent

PLANNED = "Flow run scheduled"
"""The message of a state that the scheduler has written. No other state has it."""

STARTED = time.time()
"""When this server has started: it imports this module then. Seconds since 1970."""


class CausalOrdering(memory.CausalOrdering):
    """Prefect's own order, except that nothing waits for events that do not come."""

    async def wait_for_leader(self, event: ReceivedEvent) -> None:
        """Return if an event may be handled now; otherwise raise EventArrivedEarly."""
        before = event.payload.get("initial_state") or {}
        if before.get("message") != PLANNED and not is_older(event.follows, STARTED):
            await super().wait_for_leader(event)


def is_older(event: UUID | None, than: float) -> bool:
    """Whether an event was made before a time, in seconds since 1970. False if its id does not say when.

    Prefect's ids are of version 7 (RFC 9562): their first 48 bits are the milliseconds since 1970.
    """
    return event is not None and event.version == 7 and (event.int >> 80) / 1000 < than
