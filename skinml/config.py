"""What can be asked: one frozen model per verb, read from a TOML file, SKINML_* variables and flags.

The later source wins: defaults, file, environment, flags. In the file a verb's values stand in the table
of its name (`[score]`), and values at the top (`workspace`, `cluster`, `cluster_wait`, `workers`) serve every
verb; in the environment `SKINML_SCORE_ARCHIVE` is for one verb and `SKINML_WORKSPACE` for all. Flags of the
command line are made from these models too (field name, type, description): one list of what can be asked.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from skinml.errors import Reason, RequestError
from skinml.requests.base import MAX_QUARANTINED, ClusterRequest, Fraction, Request, asked_as
from skinml.requests.dataset import PrepareRequest

ENVIRONMENT_PREFIX = "SKINML_"

POSITIONAL = "positional"
"""Marks a field that stands on the command line without its name, such as `list` in `quarantine list`."""


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is meant in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]


class TrainRequest(ClusterRequest):
    """A model fitted on what was prepared, and registered as an immutable version."""

    protocol: Literal["grouped", "thesis"] = Field(
        "grouped",
        description="grouped: whole lesions held out; thesis: as the thesis did, with an honest refit",
    )
    model: str = Field("thesis-cnn", description="architecture to fit")
    epochs: int | None = Field(
        None, ge=1, le=10_000, description="passes (default: 50 for thesis, 20 for grouped)"
    )
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="images a step (default: 16 for thesis, 64)"
    )
    seed: int = Field(42, ge=0, lt=2**32, description="seed of weights, order and dropout")


class ScoreRequest(ClusterRequest):
    """Everything new in an archive, scored once by one model version."""

    archive: str = Field(description="folder or bucket prefix to score")
    model: str = Field("champion", description="model version, or champion")
    precision: Literal["fp32", "int8"] = Field(
        "fp32", description="int8: faster, where the model's measured balanced accuracy allows it"
    )
    since: Moment | None = Field(
        None, description="only images last modified at this time (UTC) or later, such as 2026-11-01"
    )
    until: Moment | None = Field(None, description="only images last modified before this time (UTC)")
    limit: int | None = Field(None, ge=1, description="at most so many images; the rest waits for the next run")
    recheck: bool = Field(False, description="read known images too, score those whose bytes have changed")
    max_quarantined: Fraction = Field(
        MAX_QUARANTINED,
        description="fraction of tonight's images that may be unusable; with more, nothing is committed",
    )

    @model_validator(mode="after")
    def _window_is_open(self) -> ScoreRequest:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f"--since {self.since:%Y-%m-%dT%H:%M:%SZ} is not before --until")
        return self


class QuarantineRequest(ClusterRequest):
    """What could not be used and why (list), tried again after a fix (replay)."""

    action: Annotated[Literal["list", "replay"], POSITIONAL] = Field(
        "list", description="list: what is in quarantine now; replay: score it again"
    )
    reason: Reason | None = Field(None, description="only what is in quarantine for this reason")
    flow: Literal["prepare", "score"] | None = Field(None, description="only what this flow could not use")
    run: str | None = Field(None, description="only what this run could not use, by its run_id")
    images: bool = Field(False, description="list every image instead of the counts by reason")
    model: str = Field("champion", description="replay: model version that scores, or champion")
    precision: Literal["fp32", "int8"] = Field("fp32", description="replay: as in score")


class ExportRequest(Request):
    """The scores of one run as a file for other programs."""

    run: str = Field(description="run_id of a run that scored")
    out: str = Field(description="new file, .csv or .parquet, in a folder that is there or in a bucket")


class CompactRequest(Request):
    """Small files of the tables put together, files that nobody can need any more deleted."""

    retention_hours: int = Field(
        168, ge=168, le=87_600, description="how long files that were replaced or never published stay"
    )
    dry_run: bool = Field(False, description="only say what would be done")


class SynthRequest(Request):
    """A made-up archive in HAM10000's layout."""

    images: int = Field(ge=1, le=10_000_000, description="how many images")
    out: str = Field(description="folder to write to")
    corrupt: float = Field(0.0, ge=0.0, le=1.0, description="fraction of the images that is broken")
    seed: int = Field(42, ge=0, lt=2**32, description="same seed, same bytes")


class DemoRequest(Request):
    """The whole story on made-up images, in a folder of its own."""

    out: str = Field("skinml-demo", description="folder for the demo's archive, workspace and server")
    images: int = Field(600, ge=100, le=100_000, description="labelled images to make up")


class DrillRequest(Request):
    """Runs are killed at every crash point and at random moments, and what they leave is compared."""

    kills: int = Field(30, ge=1, le=100_000, description="how many kills")
    images: int = Field(300, ge=100, le=100_000, description="images in the made-up archive, one in 20 broken")
    place: Literal["both", "folder", "bucket"] = Field(
        "both", description="where workspace and archive lie; a bucket's S3 server is killed, too"
    )
    lanes: int | None = Field(None, ge=1, le=64, description="rounds at once (default: one more than cores)")
    seed: int = Field(42, ge=0, lt=2**32, description="same seed, same archive and same plan")
    out: str | None = Field(
        None, description="new or empty folder for what goes wrong (default: a temporary one)"
    )


RequestType = TypeVar("RequestType", bound=Request)

REQUESTS: dict[str, type[Request]] = {
    "prepare": PrepareRequest,
    "train": TrainRequest,
    "score": ScoreRequest,
    "quarantine": QuarantineRequest,
    "export": ExportRequest,
    "compact": CompactRequest,
    "synth": SynthRequest,
    "demo": DemoRequest,
    "drill": DrillRequest,
}
"""What can be asked, by verb."""

SHARED = tuple(ClusterRequest.model_fields)
"""What may be set once for all verbs, at the top of the file and as SKINML_CLUSTER and so on."""


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
    known = ("workspace", *SHARED, *REQUESTS)
    for name in file:
        if name not in known:
            raise RequestError(f"--config {path}: {name!r} is none of {', '.join(known)}")
    return file


def choose_workspace(flag: str | None, file: Mapping[str, Any]) -> str:
    """The workspace's URL from the flag, SKINML_WORKSPACE or the file, in this order."""
    workspace = flag or os.environ.get(f"{ENVIRONMENT_PREFIX}WORKSPACE") or file.get("workspace")
    if not workspace:
        raise RequestError(
            "no workspace: give --workspace URL (a folder or s3://bucket/prefix) or SKINML_WORKSPACE"
        )
    return str(workspace)


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
    values: dict[str, Any] = {}
    section = file.get(verb, {})
    if not isinstance(section, Mapping):
        raise RequestError(f"config: {verb} = {section!r} should be a table, [{verb}]")
    values.update({name: file[name] for name in SHARED if name in file and name in model.model_fields})
    values.update(section)
    for name in names_of(model):
        for variable in (*([name] if name in SHARED else []), f"{verb}_{name}"):  # the verb's own wins
            given = os.environ.get(ENVIRONMENT_PREFIX + variable.upper())
            if given:
                values[name] = given
    values.update(flags)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RequestError(_one_line(verb, model, error)) from error


def names_of(model: type[Request]) -> list[str]:
    """What the command line, the file and the environment call the fields of a request."""
    return [asked_as(name, field) for name, field in model.model_fields.items()]


def is_positional(field: FieldInfo) -> bool:
    """Whether a field stands on the command line without its name."""
    return POSITIONAL in field.metadata


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
    return f"{verb}: {flag} {first['input']!r}: {message}"
