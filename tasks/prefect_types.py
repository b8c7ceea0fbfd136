"""Our own kinds of Prefect's types. Importing them loads Prefect: only Prefect runs do."""

from __future__ import annotations

from typing import Any

from prefect import State
from prefect.exceptions import Abort
from pydantic import PrivateAttr


class NotReported(Abort):
    """Makes Prefect leave a run without reporting to a server that is gone."""


class Trouble(State[Any]):
    """A state of type FAILED of a flow that has a result.

    Prefect would raise an error in its place, and a worker would log it with its traceback in the run's page.
    """

    _kept: Any = PrivateAttr(None)

    def result(self, *args: Any, **kwargs: Any) -> Any:
        """Return the flow's result, whatever Prefect asks for."""
        return self._kept
