"""The manifest of a model version: what it is, how its pixels are made, and the hash of every file."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from skinml.errors import RequestError
from skinml.images.decode import RESIZE_FILTER
from skinml.images.preprocessing import Preprocessing
from skinml.labels import DIAGNOSES
from skinml.models.precisions import Network, Precision


class File(BaseModel):
    """A file of the bundle."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size_bytes: int


class Manifest(BaseModel):
    """`manifest.json`: written last, so a version that has one is whole. Never changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    version: str
    created_at: str
    run_id: str
    protocol: str
    class_order: tuple[str, ...]
    preprocessing: dict[str, Any]
    dataset: dict[str, Any]
    parameters: dict[str, Any]
    libraries: dict[str, str]
    files: dict[str, File]
    precisions: dict[Precision, Network] = {}  # older bundles: none, and only fp32 is there

    def pixels(self) -> Preprocessing:
        """How pixels are made for this model. Raises RequestError where this skinml makes them otherwise."""
        refusal = RequestError(f"model {self.version}: preprocessing {self.preprocessing} is not known here")
        try:
            made = Preprocessing(**self.preprocessing)
        except TypeError as error:  # a later skinml's, with more to it
            raise refusal from error
        known = made.decode in ("fast", "exact") and made.colour in ("as_stored", "srgb")
        if made.filter != RESIZE_FILTER or not known:
            raise refusal
        return made


def parse_manifest(data: bytes, version: str) -> Manifest:
    """Check the bytes of a manifest. Raises RequestError where it is none, or has classes in another order."""
    try:
        manifest = Manifest.model_validate(json.loads(data))
    except (ValueError, ValidationError) as error:
        raise RequestError(
            f"model {version}: manifest.json is not a manifest: {str(error).splitlines()[0]}"
        ) from error
    if manifest.class_order != DIAGNOSES:
        raise RequestError(
            f"model {version}: class order {', '.join(manifest.class_order)} is not {', '.join(DIAGNOSES)}"
        )
    return manifest
