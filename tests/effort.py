"""How many examples a property is tried with: a quarter by default, all of them by `make drill-more`."""

from __future__ import annotations

import hypothesis

USUAL, THOROUGH = "tests", "thorough"
"""Names of hypothesis profiles: `pytest --hypothesis-profile thorough`."""

EXAMPLES = {USUAL: 30, THOROUGH: 100}
"""Of each profile. The number says which one is chosen: hypothesis 6.120 does not."""


def register() -> None:
    """Tell hypothesis of both profiles. It fails an example that takes 200 ms, as any may on a busy machine."""
    for name, count in EXAMPLES.items():
        hypothesis.settings.register_profile(
            name, deadline=None, max_examples=count, suppress_health_check=[hypothesis.HealthCheck.too_slow]
        )


def examples(number: int) -> int:
    """So many examples for a thorough run, fewer for any other."""
    chosen = hypothesis.settings.default
    thorough = chosen is not None and chosen.max_examples == EXAMPLES[THOROUGH]
    return number if thorough else max(25, number // 4)
