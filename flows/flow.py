"""Declare a flow. Prefect is loaded when it is used as one: a run without a server never waits for it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from prefect import Flow

FlowFunction = Callable[..., dict[str, Any]]


def flow(**options: Any) -> Callable[[FlowFunction], Flow[..., dict[str, Any]]]:
    """Make a function a flow, as `prefect.flow` does, without loading Prefect.

    Args:
        options: those of `prefect.flow`, such as name, flow_run_name and retries.
    """

    def decorate(function: FlowFunction) -> Flow[..., dict[str, Any]]:
        return cast("Flow[..., dict[str, Any]]", LazyFlow(function, options))

    return decorate


class LazyFlow:
    """A function that is a Prefect flow once Prefect is loaded.

    It is a class because Prefect finds a deployment's flow by its name, such as `flows.score.score`, and
    refuses what is not an instance of its own. flows/engine.py calls `fn` if there is no server.

    Attributes:
        fn: the function.
    """

    def __init__(self, function: FlowFunction, options: dict[str, Any]) -> None:
        self.fn = function
        self._options = options
        functools.update_wrapper(self, function)

    @functools.cached_property
    def _flow(self) -> Flow[..., Any]:
        import prefect

        made: Flow[..., Any] = prefect.flow(self.fn, **self._options)
        return made

    @property
    def __class__(self) -> type:
        """What isinstance() goes by. Who asks for Prefect's class has loaded Prefect."""
        return type(self) if "prefect.flows" not in sys.modules else type(self._flow)

    @__class__.setter
    def __class__(self, _: type) -> None:
        raise TypeError("a flow stays a flow")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it as Prefect does: as a flow run."""
        return self._flow(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python itself looks for, such as __deepcopy__
            raise AttributeError(name)
        return getattr(self._flow, name)
