"""One row of the table of verbs, and how the function that it names is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skinml.process.interrupts import deferred
from skinml.requests.base import Request


def _always(_: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Verb:
    """One row: a verb of the command line, or one action of it.

    Attributes:
        name: the verb on the command line, also its table in the configuration file.
        request: what can be asked of it.
        entry: "module:function", imported when the verb is called. The function takes `request`, and
            `workspace` if the verb needs one, and returns what is printed.
        prints: the keys that its result always has, in the order of the contract. There may be more.
        action: the value of the request's field `action` that this row is for; None if the verb has no actions.
        check: "module:function", called with the same arguments before `entry` is imported. It raises
            RequestError for what can be refused without Prefect, within a second.
        needs_workspace: whether it takes a workspace, which must be named.
        workspace_optional: whether it can do without: its function then gets "".
        as_flow: whether `entry` is a Prefect flow, to be run by flows.engine; if not, it is called plainly.
        went_well: whether a result means exit code 0; a verb may print a result and still end with 1.
    """

    name: str
    request: type[Request]
    entry: str
    prints: tuple[str, ...]
    action: str | None = None
    check: str | None = None
    needs_workspace: bool = True
    workspace_optional: bool = False
    as_flow: bool = True
    went_well: Callable[[Mapping[str, Any]], bool] = _always


def imported(place: str) -> Any:
    """The function at "module:function"."""
    module, _, name = place.partition(":")
    # A signal waits until it is imported: Prefect's import swallows exceptions, so that the run would go on.
    with deferred():
        return getattr(importlib.import_module(module), name)
