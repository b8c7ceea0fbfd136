"""Tests of skinml/monitoring/flags.py."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skinml.monitoring.flags import MEASURED_FLAGS, count_flags, flag_images, flag_profiles
from skinml.monitoring.reference import Measured, Thresholds

LIMITS = Thresholds(blurred=20, dark=0.3, overexposed=0.9, low_confidence=0.4, unlike_training=25)


def _measured(rows: list[tuple[float, float, float, float]]) -> Measured:
    sharpness, brightness, confidence, unlike = np.array(rows, dtype=float).reshape(-1, 4).T
    none = np.zeros(len(rows))
    return Measured(brightness, sharpness, none, confidence, unlike, none.astype(np.int64))


def test_each_flag_and_their_order() -> None:
    rows = [
        (50, 0.6, 0.8, 5),
        (19, 0.6, 0.8, 5),
        (50, 0.2, 0.8, 5),
        (50, 0.95, 0.8, 5),
        (50, 0.6, 0.39, 5),
        (50, 0.6, 0.8, 25.1),
        (1, 0.1, 0.3, 99),
        (20, 0.3, 0.4, 25),  # at a threshold is not beyond it
        (np.nan, np.nan, np.nan, np.nan),
    ]
    assert flag_images(_measured(rows), LIMITS).tolist() == [
        "",
        "blurred",
        "dark",
        "overexposed",
        "low_confidence",
        "unlike_training",
        "blurred,dark,low_confidence,unlike_training",
        "",
        ",".join(MEASURED_FLAGS),
    ]


def test_no_image_has_no_flags() -> None:
    flags = flag_images(_measured([]), LIMITS)
    assert (len(flags), count_flags(flags)) == (0, {})


number = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(number, number, number, number), max_size=40))
def test_the_vectorised_flags_are_those_of_one_image_at_a_time(
    rows: list[tuple[float, float, float, float]],
) -> None:
    expected = []
    for sharpness, brightness, confidence, unlike in rows:
        holds = (
            not sharpness >= 20,
            not brightness >= 0.3,
            not brightness <= 0.9,
            not confidence >= 0.4,
            not unlike <= 25,
        )
        expected.append([name for name, beyond in zip(MEASURED_FLAGS, holds, strict=True) if beyond])
    found = flag_images(_measured(rows), LIMITS)
    assert found.tolist() == [",".join(names) for names in expected]
    assert count_flags(found) == {
        name: total for name in MEASURED_FLAGS if (total := sum(name in names for names in expected))
    }


def test_a_colour_profile_comes_after_what_was_measured() -> None:
    flags = np.array(["", "dark", "blurred,dark", ""], dtype=object)
    found = flag_profiles(flags, np.array([True, True, False, False]))
    assert found.tolist() == ["colour_profile", "dark,colour_profile", "blurred,dark", ""]
    assert flags.tolist() == ["", "dark", "blurred,dark", ""]
    assert flag_profiles(flags, np.zeros(4, dtype=bool)).tolist() == flags.tolist()
    assert count_flags(found) == {"dark": 2, "blurred": 1, "colour_profile": 2}
