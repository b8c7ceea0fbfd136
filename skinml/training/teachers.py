"""Find the versions that may teach another one: those that were fitted on none of its held-out lesions.

A student that learns from a teacher's probabilities learns all that the teacher has seen. If that was a test
lesion, the student's test figures say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from skinml.errors import RequestError
from skinml.external_validation.seen import KnownImages, known_images, left_out
from skinml.models import registry
from skinml.models.allowed import network_file
from skinml.models.manifest import Manifest
from skinml.models.zoo.base import Architecture

FLAG = "--teachers"


def find_teachers(workspace: str, versions: Sequence[str]) -> list[Manifest]:
    """The manifests of these versions, each once.

    Args:
        workspace: normalised URL.
        versions: names of versions, or `champion`.

    Raises:
        RequestError: there is no such version, it was named twice, its protocol does not hold lesions out, or
        its
            network is not the one that was registered.

    """
    found: list[Manifest] = []
    for name in versions:
        manifest = registry.find(workspace, name, FLAG)
        if any(manifest.version == other.version for other in found):
            raise RequestError(f"{FLAG} {name}: {manifest.version} is named twice; name each version once")
        if manifest.protocol != "grouped":
            raise RequestError(
                f"{FLAG} {name}: it was trained by the {manifest.protocol} protocol, which fits on test"
                " lesions, so its student's figures would say nothing; name a version of the grouped protocol"
            )
        registry.read_verified(workspace, manifest, network_file(manifest, "fp32"))
        found.append(manifest)
    return found


def check_student(shape: Architecture) -> None:
    """Refuse an architecture that soft labels cannot reach.

    Raises:
        RequestError: it is fitted in one go on labels, not in epochs on targets.

    """
    if shape.frozen:
        raise RequestError(f"{FLAG}: {shape.name} fits its last layer alone, on labels; choose another --model")


def check_teachers(workspace: str, teachers: Sequence[Manifest], samples: pd.DataFrame) -> None:
    """Refuse a teacher that knows a held-out lesion, and one whose own teachers do.

    A lesion keeps its split, so a teacher from the same workspace usually knows none. It may know one if
    lesions were joined by a duplicate image since, or if an image was relabelled as another lesion's.

    Args:
        workspace: normalised URL.
        teachers: that were asked for.
        samples: rows of `samples` with their split.

    Raises:
        RequestError: a teacher knows one, or what it was fitted on is not known.

    """
    waiting, checked = list(teachers), set[str]()
    while waiting:
        teacher = waiting.pop()
        if teacher.version in checked:
            continue
        checked.add(teacher.version)
        _check(workspace, teacher, samples)
        earlier = [str(one["version"]) for one in teacher.teachers]
        waiting += find_teachers(workspace, earlier)


def _check(workspace: str, teacher: Manifest, samples: pd.DataFrame) -> None:
    known = known_images(workspace, teacher)
    if known.version is None:
        raise RequestError(
            f"{FLAG} {teacher.version}: the samples that it was trained on are not in this workspace, so nobody"
            " knows whether it has seen test lesions; name a version that was trained here"
        )
    for split, fitted_on in (("test", ("train", "val")), ("val", ("train",))):
        held_out = samples[samples["split"] == split].reset_index(drop=True)
        rows = known.rows[known.rows["split"].isin(fitted_on)]
        if held_out.empty or rows.empty:
            continue
        seen = left_out(held_out, KnownImages(rows, known.version))
        if len(seen):
            first = seen.iloc[0]
            raise RequestError(
                f"{FLAG} {teacher.version}: it has seen {len(seen)} of {len(held_out)} {split} images in"
                f" training, such as {first['image_id']} of lesion {first['lesion_id']}; train it again on the"
                " present samples, or leave it out"
            )


def to_json(teachers: Sequence[Manifest]) -> list[dict[str, Any]]:
    """What a student's manifest records of them."""
    return [
        {
            "name": one.name,
            "version": one.version,
            "sha256": one.files[network_file(one, "fp32")].sha256,
            "views": one.views,
        }
        for one in teachers
    ]
