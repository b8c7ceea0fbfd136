"""What Prefect's server does otherwise when PREFECT_SERVER_EVENTS_CAUSAL_ORDERING names this module.

Prefect imports it when the server starts, since it looks here for the order of events. That is the only door
that Prefect has for code in its server process, so the other change comes through it, too.
"""

from __future__ import annotations

from flows.server.event_order import CausalOrdering
from flows.server.transactions import lock_at_the_beginning

__all__ = ["CausalOrdering"]

lock_at_the_beginning()
