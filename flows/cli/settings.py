"""Build a verb's request from a TOML file, SKINML_* variables and flags, merged by pydantic-settings.

The later source wins: defaults, file, environment, flags. In the file a verb's values stand in the table
of its name (`[score]`). Fields that mean the same in every verb (`workspace`, `archive`, `cluster`) may also
stand at the top, for all verbs. flows/cli/variables.py names the variables. Flags of the command line are made
from the requests too (field name, type, description): one list of what can be asked.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import AliasChoices, Field, ValidationError, create_model

from flows.cli.suggest import did_you_mean
from flows.cli.variables import WORKSPACE, shared_names, variables_of
from flows.cli.verbs import REQUESTS
from skinml.errors import RequestError
from skinml.requests.base import Request, asked_as, is_positional, is_shared

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

RequestType = TypeVar("RequestType", bound=Request)


def read_file(path: Path | None) -> dict[str, Any]:
    """The configuration file as a dictionary; empty when there is none."""
    if path is None:
        return {}
    try:
        file = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"--config {path}: {error.strerror or error}; name a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"--config {path}: not TOML: {error}") from error
    known = ("workspace", *shared_names(), *REQUESTS)
    for name in file:
        if name not in known:
            advice = did_you_mean(name, known)
            raise RequestError(f"--config {path}: {advice}{name!r} is none of {', '.join(known)}")
    return file


def choose_workspace(flag: str | None, file: Mapping[str, Any], needed: bool = True) -> str:
    """The workspace's URL from the flag, SKINML_WORKSPACE or the file, in this order; "" if none is needed."""
    flags = {"workspace": flag} if flag else {}
    workspace = _merged({"workspace": (WORKSPACE,)}, flags, file).get("workspace")
    if not workspace and needed:
        raise RequestError(
            "no workspace: give --workspace URL (a folder or s3://bucket/prefix) or SKINML_WORKSPACE"
        )
    return str(workspace or "")


def load(model: type[RequestType], verb: str, flags: Mapping[str, Any], file: Mapping[str, Any]) -> RequestType:
    """The request for one verb: file, then environment, then flags, checked.

    Args:
        model: the verb's model.
        verb: its name on the command line, also its table in the file.
        flags: what the command line gave; absent names were not given.
        file: what `read_file` returned.

    Raises:
        RequestError: a value that the model refuses, in one line that names it.
    """
    section = file.get(verb, {})
    if not isinstance(section, Mapping):
        raise RequestError(f"config: {verb} = {section!r} should be a table, [{verb}]")
    shared = {asked_as(*item) for item in model.model_fields.items() if is_shared(item[1])}
    for_all = {name: value for name, value in file.items() if name in shared}
    values = _merged(variables_of(verb, model), flags, {**for_all, **section})
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RequestError(_one_line(verb, model, error)) from error


def _merged(
    variables: Mapping[str, Sequence[str]], flags: Mapping[str, Any], file: Mapping[str, Any]
) -> dict[str, Any]:
    """What flags, the environment and the file give, by name; what none of them gives is not in it.

    Nothing is checked here: errors name a flag, and only the request knows what its values may be.

    Args:
        variables: the variables of each name, the one that wins first. An empty variable was not given.
        flags: what the command line gave.
        file: what the file gave; names that nobody knows stay, for the request to refuse.
    """
    from pydantic_settings import (  # for verbs, not for --help
        BaseSettings,
        InitSettingsSource,
        SettingsConfigDict,
    )

    class Sources(BaseSettings):
        model_config = SettingsConfigDict(
            case_sensitive=True, env_ignore_empty=True, extra="allow", populate_by_name=True
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, dict(file))

    fields: dict[str, Any] = {
        name: (Any, Field(None, validation_alias=AliasChoices(*names))) for name, names in variables.items()
    }
    return create_model("Sources", __base__=Sources, **fields)(**flags).model_dump(exclude_unset=True)


def names_of(model: type[Request]) -> list[str]:
    """What the command line, the file and the environment call the fields of a request."""
    return [asked_as(name, field) for name, field in model.model_fields.items()]


def _one_line(verb: str, model: type[Request], error: ValidationError) -> str:
    """The first thing that a model refused, as one line that names flag and value."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    flag = "--" + name.replace("_", "-")
    if name in model.model_fields and is_positional(model.model_fields[name]):
        flag = name
    if first["type"] == "missing":
        return f"{verb}: {flag} is needed"
    if first["type"] == "extra_forbidden":
        return f"{verb}: {flag[2:]} is not something {verb} knows"
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"{verb}: {message}"
    message = message[0].lower() + message[1:]
    known = re.findall(r"'([^']+)'", first.get("ctx", {}).get("expected", ""))  # of a field that has choices
    return f"{verb}: {flag} {first['input']!r}: {did_you_mean(str(first['input']), known)}{message}"
