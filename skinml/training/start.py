"""What a fit starts from: random weights, ImageNet weights, or a file that was named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from skinml.errors import RequestError, RunError, StorageError
from skinml.models.pretrained.download import fetch
from skinml.models.pretrained.loading import FORMS, put
from skinml.models.zoo import architecture
from skinml.models.zoo.base import Architecture, Weights, read_weights
from skinml.storage.objects import exists, read_bytes, write_bytes
from skinml.storage.urls import normalise
from skinml.training.jobs import Start
from skinml.training.process import run_in_process

if TYPE_CHECKING:
    import keras

MOST_BYTES = 1 << 30
"""Of a file of weights: the largest network here has 24 MB."""


def choose_start(model: str, asked: str | None, sha256: str | None = None) -> tuple[Start, bytes | None]:
    """What a fit of an architecture starts from, and the file if it has to be passed on to the fit.

    Args:
        model: the architecture's name.
        asked: imagenet, none, or a file (a path or s3://bucket/key); None: imagenet if the architecture has
            pre-trained weights, otherwise none.
        sha256: what the file must have; None: any.

    Raises:
        RequestError: the file is not there or has another hash, the architecture has no pre-trained weights or
            their package is not installed, or `none` for an architecture that fits its last layer alone.

    """
    shape = architecture(model)
    asked = asked or ("none" if shape.weights is None else "imagenet")
    if sha256 is not None and asked in ("none", "imagenet"):
        raise RequestError(f"--weights-sha256 {sha256[:12]}… belongs to --weights PATH, not to {asked}")
    if asked == "none":
        if shape.frozen:
            raise RequestError(
                f"--weights none: {model} fits its last layer alone, so it needs weights for all others: give"
                " imagenet or PATH"
            )
        return Start(), None
    if asked == "imagenet":
        return _imagenet(shape)
    data = _read(asked)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise RequestError(
            f"--weights {asked}: has SHA-256 {found[:12]}…, not the {str(sha256)[:12]}… of --weights-sha256;"
            " give the file that was meant"
        )
    return Start("file", asked, found), data


def _imagenet(shape: Architecture) -> tuple[Start, bytes | None]:
    weights = shape.weights
    if weights is None:
        raise RequestError(f"--weights imagenet: {shape.name} has no such weights: give PATH or none")
    if isinstance(weights, Weights):
        read_weights(weights)  # it is installed here, and is what the zoo pins
        return Start("package", weights.source, weights.sha256, weights.licence), None
    data = fetch(weights)
    return Start("file", weights.source, hashlib.sha256(data).hexdigest(), weights.licence), data


def _read(asked: str) -> bytes:
    url = normalise(asked)
    try:
        return read_bytes(url, MOST_BYTES)
    except StorageError as error:
        if exists(url):
            raise
        raise RequestError(
            f"--weights {asked}: is not there; give imagenet, none, or a file: {FORMS}"
        ) from error


def check_start(model: str, start: Start, data: bytes | None) -> None:
    """Refuse a file of another architecture before a run begins, in a process of its own that loads Keras.

    Raises:
        RequestError: it does not fit; the first layer that does not is named.

    """
    if data is not None:
        run_in_process(_try, (model, f"--weights {start.source}", data), _nothing)


def _try(job: tuple[str, str, bytes], emit: Callable[[], None]) -> None:
    model, name, data = job
    put(architecture(model).build(), architecture(model), data, name)


def _nothing() -> None:
    """No messages are expected."""


def placed(start: Start, data: bytes | None, url: str) -> Start:
    """The start with its file at a URL that every machine can read; without a file as it is."""
    if data is None:
        return start
    write_bytes(url, data)
    return replace(start, url=url)


def build_model(shape: Architecture, start: Start) -> keras.Model:
    """A model of the architecture with the weights that a fit starts from.

    Raises:
        RequestError: the package is not installed where this runs, or its file is another one.
        RunError: the file is not the one that the job names.

    """
    model = shape.build()
    if start.kind == "package" and isinstance(shape.weights, Weights):
        put(model, shape, read_weights(shape.weights), start.source)
    elif start.kind == "file":
        data = read_bytes(str(start.url))
        found = hashlib.sha256(data).hexdigest()
        if found != start.sha256:
            raise RunError(f"{start.url}: SHA-256 {found[:12]}… is not what the job names; train again")
        put(model, shape, data, f"--weights {start.source}")
    return model


def to_json(start: Start) -> dict[str, Any] | None:
    """What a manifest says of it: source, hash and licence; None for random weights."""
    if start.kind == "random":
        return None
    return {"source": start.source, "sha256": start.sha256, "licence": start.licence}
