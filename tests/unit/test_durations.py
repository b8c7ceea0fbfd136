"""Tests of the durations of skinml/requests/operations.py."""

from __future__ import annotations

from datetime import timedelta

import pytest

from skinml.requests.operations import StatusRequest, as_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("26h", 26 * 3600),
        ("2d", 2 * 86400),
        ("90m", 5400),
        ("1.5d", 36 * 3600),
        (" 1 w ", 7 * 86400),
        ("1m", 60),
    ],
)
def test_what_people_write(text: str, seconds: float) -> None:
    assert as_duration(text) == timedelta(seconds=seconds)
    assert StatusRequest.model_validate({"max_age": text}).max_age == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "26", "0h", "-1h", "1e3h", "h", "26 hours", "26H", "١h", "inf h", "9999999d", "1h30m"],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        as_duration(text)


def test_the_defaults_are_durations() -> None:
    request = StatusRequest()
    assert (request.max_age, request.max_run) == (timedelta(hours=26), timedelta(hours=24))
