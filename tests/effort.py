"""How many examples a property is tried with: a quarter by default, all of them by `make drill-more`."""

from __future__ import annotations

import hypothesis

USUAL, THOROUGH = "tests", "thorough"
"""Names of hypothesis profiles: `pytest --hypothesis-profile thorough`."""


def register() -> None:
    """Tell hypothesis of both profiles. It fails an example that takes 200 ms, as any may on a busy machine."""
    for name, count in {USUAL: 30, THOROUGH: 100}.items():
        hypothesis.settings.register_profile(
            name, deadline=None, max_examples=count, suppress_health_check=[hypothesis.HealthCheck.too_slow]
        )


def examples(number: int) -> int:
    """So many examples for a thorough run, fewer for any other."""
    thorough = hypothesis.settings.get_current_profile_name() == THOROUGH
    return number if thorough else max(25, number // 4)
