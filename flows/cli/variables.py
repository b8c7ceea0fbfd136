"""The SKINML_* environment variables: their names, and the error for an unknown one.

`SKINML_<VERB>_<FIELD>` sets a field of one verb. `SKINML_<FIELD>` sets it for every verb whose field of this
name is marked as shared (`skinml.requests.base.SHARED`). The verb's own variable wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from flows.cli.verbs import REQUESTS
from skinml.errors import RequestError
from skinml.process.switches import SWITCHES
from skinml.requests.base import Request, asked_as, is_shared

PREFIX = "SKINML_"

WORKSPACE = f"{PREFIX}WORKSPACE"


def shared_names() -> tuple[str, ...]:
    """Fields that may be set once for all verbs, as the file calls them."""
    fields = [item for model in REQUESTS.values() for item in model.model_fields.items()]
    return tuple(dict.fromkeys(asked_as(*item) for item in fields if is_shared(item[1])))


def variables_of(verb: str, model: type[Request]) -> dict[str, tuple[str, ...]]:
    """The variables that give each field of a verb, the one that wins first."""
    names = {asked_as(name, field): is_shared(field) for name, field in model.model_fields.items()}
    return {
        name: (_variable(verb, name), _variable(name)) if shared else (_variable(verb, name),)
        for name, shared in names.items()
    }


def check_variables(environment: Mapping[str, str]) -> None:
    """Refuse a variable that nobody reads, such as a misspelt one. An empty one was not given.

    Raises:
        RequestError: there is one, in a line that names the variable that was meant, or the nearest.
    """
    own = [
        name
        for verb, model in REQUESTS.items()
        for names in variables_of(verb, model).values()
        for name in names
    ]
    known = {WORKSPACE, *own, *SWITCHES}
    for name in sorted(environment):
        if name.startswith(PREFIX) and environment[name] and name not in known:
            raise RequestError(
                f"{name}: skinml has no such variable; {_advice(name, sorted(known - {*SWITCHES}))}"
            )


def _advice(unknown: str, known: list[str]) -> str:
    """The variables of the verbs that have such a field; else the name that is written most like it."""
    field = unknown.removeprefix(PREFIX)
    of_verbs = [name for verb in REQUESTS if (name := _variable(verb, field)) in known]
    if of_verbs:
        return f"it is set for one verb: {' or '.join(of_verbs)}"
    # Without the prefix, which would make any two of them alike.
    meant = get_close_matches(field.upper(), [name.removeprefix(PREFIX) for name in known], 1)
    return f"did you mean {PREFIX}{meant[0]}?" if meant else "unset it"


def _variable(*parts: str) -> str:
    return PREFIX + "_".join(parts).upper()
