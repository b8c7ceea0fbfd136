"""Numbers with their nouns, and times, as people say them."""

from __future__ import annotations

from collections.abc import Mapping


def several(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    Example:
        >>> several(1, "image"), several(1024, "image"), several(2, "entry", "entries")
        ('1 image', '1,024 images', '2 entries')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def in_time(seconds: float) -> str:
    """Return a time with the precision that people use.

    Example:
        >>> in_time(0.234), in_time(12.4), in_time(200), in_time(7500)
        ('0.2 s', '12 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


_REASONS = {
    "not_an_image": ("not an image", "not images"),
    "unsupported_format": ("in an unsupported format",) * 2,
    "decode_error": ("not decodable",) * 2,
    "read_error": ("not readable",) * 2,
    "no_metadata": ("without metadata",) * 2,
    "duplicate_id": ("with a duplicate id",) * 2,
}
"""Reasons of the quarantine that are not words yet, for one image and for several."""


def in_reasons(reasons: Mapping[str, int]) -> str:
    """Return how many images cannot be used for which reason, the most frequent first.

    Example:
        >>> in_reasons({"not_an_image": 1, "truncated": 2})
        '2 truncated, 1 not an image'
    """
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(
        f"{count:,} {_REASONS.get(reason, (reason.replace('_', ' '),) * 2)[count != 1]}"
        for reason, count in ordered
        if count
    )
