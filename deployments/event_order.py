"""The order of events on the Prefect server: no waiting for an event that the server never sends.

Prefect 3.8.8's scheduler writes planned runs into the database and sends no event of that
(`_insert_scheduled_flow_runs`). If a run was planned less than 5 minutes before its state changes, as after a
deployment, the event of the change names the missing one as its predecessor. All that happens to the run is
then held back for 15 minutes: that it is late, that it has failed. A server whose setting
PREFECT_SERVER_EVENTS_CAUSAL_ORDERING names this module does not wait. Prefect imports it, nothing else does.
"""

from __future__ import annotations

from prefect.server.events.ordering import memory
from prefect.server.events.schemas.events import ReceivedEvent

PLANNED = "Flow run scheduled"
"""The message of a state that the scheduler has written. No other state has it."""


class CausalOrdering(memory.CausalOrdering):
    """Prefect's own order, except that nothing waits for the event of a planned run."""

    async def wait_for_leader(self, event: ReceivedEvent) -> None:
        """Return if an event may be handled now; otherwise raise EventArrivedEarly."""
        before = event.payload.get("initial_state") or {}
        if before.get("message") != PLANNED:
            await super().wait_for_leader(event)
