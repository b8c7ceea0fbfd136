"""The manifest of a model version: its recipe, its preprocessing, and the hash of every file."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, TypeAdapter, ValidationError

from skinml.errors import RequestError
from skinml.images.choices import RESIZE_FILTER
from skinml.images.preprocessing import Preprocessing
from skinml.labels import DIAGNOSES
from skinml.models.names import BundleFile, Name
from skinml.models.precisions import Network, Precision
from skinml.strict_json import first_problem, parse_json, printable

MOST_BYTES = 4 * 2**20
"""A manifest has 3 kB."""

LARGEST_SIZE = 1024
"""Edge in px. Networks for these images read 32 to 512; a batch of 16 at 1,024 px is 200 MB in float32."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return text


class File(BaseModel):
    """A file of the bundle."""

    model_config = ConfigDict(frozen=True)

    sha256: Sha256
    size_bytes: Annotated[StrictInt, Field(ge=0)]


class Manifest(BaseModel):
    """`manifest.json`: written last, so a version that has one is whole. Never changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Name
    version: Name
    created_at: Annotated[str, AfterValidator(_moment)]
    run_id: str
    protocol: str
    class_order: tuple[str, ...]
    preprocessing: dict[str, Any]
    dataset: dict[str, Any]
    parameters: dict[str, Any]
    libraries: dict[str, str]
    files: dict[BundleFile, File]
    precisions: dict[Precision, Network] = {}  # older bundles: none, and only fp32 is there
    teachers: list[dict[str, Any]] = []  # versions that it was distilled from (`training.teachers.to_json`)
    views: Annotated[StrictInt, Field(ge=1)] = 1  # of each image that its networks average over
    architecture: dict[str, Any] = {}  # `zoo.base.Architecture.to_json`; older bundles do not say

    def temperature(self, precision: Precision) -> float:
        """The temperature in the network of this precision; 1 in bundles from before there was one."""
        network = self.precisions.get(precision)
        return 1.0 if network is None or network.calibration is None else network.calibration.temperature

    def samples_version(self) -> int | None:
        """The version of `samples` that it was trained on; None if the bundle does not say."""
        version = self.dataset.get("version")
        return version if isinstance(version, int) and not isinstance(version, bool) and version >= 0 else None

    def pixels(self) -> Preprocessing:
        """How pixels are made for this model. Raises RequestError if this skinml does not make them so."""
        more = sorted(self.preprocessing.keys() - {field.name for field in fields(Preprocessing)})
        try:
            if more:  # a later skinml's
                raise ValueError(f"{more[0]!r} is new")
            # From JSON, because strict checking of Python values takes no dict for a dataclass.
            made = _PREPROCESSING.validate_json(json.dumps(self.preprocessing), strict=True)
            if not 1 <= made.size <= LARGEST_SIZE:
                raise ValueError(f"size is not within 1 to {LARGEST_SIZE}")
            if made.filter != RESIZE_FILTER:
                raise ValueError(f"filter is not {RESIZE_FILTER}")
        except ValueError as error:
            problem = first_problem(error) if isinstance(error, ValidationError) else printable(error)
            raise RequestError(
                f"model {self.version}: preprocessing {printable(self.preprocessing)} is not known here"
                f" ({problem}); choose another --model, or upgrade skinml"
            ) from error
        return made


_PREPROCESSING = TypeAdapter(Preprocessing)
_MANIFEST = TypeAdapter(Manifest)


def parse_manifest(data: bytes, version: str) -> Manifest:
    """Check the bytes of a manifest.

    Raises:
        RequestError: it is none, has classes in another order, or its pixels are made in a way that is not
            known here; in one line.

    """
    try:
        manifest = parse_json(_MANIFEST, data)
    except ValueError as error:
        raise RequestError(
            f"model {version}: manifest.json is not a manifest: {error};"
            " restore the file, or choose another --model"
        ) from error
    if manifest.class_order != DIAGNOSES:
        raise RequestError(
            f"model {version}: class order {printable(', '.join(manifest.class_order))} is not"
            f" {', '.join(DIAGNOSES)}"
        )
    manifest.pixels()
    return manifest
