"""Which split a lesion belongs to: train, val or test, a function of its lesion_id alone.

Nothing is drawn, so a lesion does not move: not when images arrive, not when another machine prepares them, not
when the table is rebuilt. All images of one lesion share its split.
(scikit-learn's GroupShuffleSplit draws: one lesion more moves 1,606 of the 7,470 of HAM10000 into or out of the
test set.)

Lesions linked by duplicates (`skinml.dataset.duplicates`) are a group, named after its member with the smallest
split fraction, and all of it takes the split of that member: `split_of(group)`. A group that grows can only
move towards train: from test to val or train, from val to train, never back. So an image that a model was
fitted on is in no later test set.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal

Split = Literal["train", "val", "test"]

# The person string keys the hash to this use. Another string is another split of every archive.
_PERSON = b"skinml-split"
_TRAIN_BELOW = 0.70
_VAL_BELOW = 0.85


def split_fraction(lesion_id: str) -> float:
    """Where a lesion lies between 0 and 1, evenly spread: the lower, the nearer to train.

    The first 8 bytes of keyed BLAKE2b (RFC 7693) of the UTF-8 bytes of `lesion_id`, big-endian, divided by
    2**64.
    """
    digest = blake2b(lesion_id.encode("utf-8"), digest_size=8, person=_PERSON).digest()
    return int.from_bytes(digest, "big") / 2**64


def split_of(lesion_id: str) -> Split:
    """The split of one lesion: about 70 % train, 15 % val, 15 % test.

    A split fraction below 0.70 is train, below 0.85 val, else test.
    """
    fraction = split_fraction(lesion_id)
    if fraction < _TRAIN_BELOW:
        return "train"
    return "val" if fraction < _VAL_BELOW else "test"


def assign(lesion_ids: Iterable[str]) -> list[Split]:
    """The split of each lesion, in the order given."""
    return [split_of(lesion_id) for lesion_id in lesion_ids]
