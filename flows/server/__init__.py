"""A Prefect server on this machine: start it, and what ours does otherwise than Prefect's."""

from __future__ import annotations

from flows.server.start import START_SECONDS, Server, free_port, prefect_server, server_environment

__all__ = ["START_SECONDS", "Server", "free_port", "prefect_server", "server_environment"]
