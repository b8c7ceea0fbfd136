"""Plan which images of a labelled set to evaluate, in the way of `prepare`."""

from __future__ import annotations

import pandas as pd

from skinml.dataset.metadata import Metadata
from skinml.dataset.plan import LABELS, Plan, make_plan
from skinml.evaluation.judgement import refuse_contradictions


def plan_images(listing: pd.DataFrame, metadata: Metadata) -> Plan:
    """Decide for every listed image whether to skip, reject or evaluate it, in the way of `prepare`.

    No earlier run matters: each evaluation is whole.

    Args:
        listing: columns uri, etag, size_bytes, in the order of the image roots.
        metadata: the labels.

    Raises:
        RequestError: two images of one lesion have different diagnoses.
    """
    samples = pd.DataFrame(
        {name: pd.Series(dtype="str") for name in ("uri", "etag", "image_id", "split_group")}
    )
    samples = samples.assign(**{name: pd.Series(dtype="str") for name in LABELS})
    nothing = pd.DataFrame({name: pd.Series(dtype="str") for name in ("uri", "etag", "reason")})
    plan = make_plan(listing, metadata, samples, nothing, nothing)
    if metadata.group != "patient_id":  # a patient may have lesions of several diagnoses
        refuse_contradictions(plan.work)
    return plan
