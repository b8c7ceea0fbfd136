"""Assign each lesion to train, val or test, as a function of its lesion_id alone.

The split is not random. So a lesion keeps its split when images arrive, on another machine, and when the table
is rebuilt. All images of a lesion share its split. (scikit-learn's GroupShuffleSplit is random: one more lesion
moves 1,606 of HAM10000's 7,470 lesions into or out of the test set.)

Lesions linked by duplicates (`skinml.dataset.duplicates`) form a group. It is named after its member with the
smallest split fraction, and all of it has the split of that member: `split_of(group)`. If a group grows, it can
only move towards train: from test to val or train, from val to train, never back. So an image that a model was
trained on is in no later test set.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal

Split = Literal["train", "val", "test"]

# BLAKE2b's personalisation for this use. Another string would change the split of every archive.
_PERSON = b"skinml-split"
_TRAIN_BELOW = 0.70
_VAL_BELOW = 0.85


def split_fraction(lesion_id: str) -> float:
    """Map a lesion to a number from 0 to 1, uniformly distributed; low numbers are train.

    The first 8 bytes of keyed BLAKE2b (RFC 7693) of the UTF-8 bytes of `lesion_id`, big-endian, divided by
    2**64.
    """
    digest = blake2b(lesion_id.encode("utf-8"), digest_size=8, person=_PERSON).digest()
    return int.from_bytes(digest, "big") / 2**64


def split_of(lesion_id: str) -> Split:
    """Return the split of one lesion: about 70 % train, 15 % val, 15 % test.

    A split fraction below 0.70 is train, below 0.85 val, else test.

    Example:
        >>> split_of("HAM_0000001"), split_of("HAM_0000002"), split_of("HAM_0000004")
        ('test', 'train', 'val')
    """
    fraction = split_fraction(lesion_id)
    if fraction < _TRAIN_BELOW:
        return "train"
    return "val" if fraction < _VAL_BELOW else "test"


def assign(lesion_ids: Iterable[str]) -> list[Split]:
    """Return the split of each lesion, in the given order."""
    return [split_of(lesion_id) for lesion_id in lesion_ids]
