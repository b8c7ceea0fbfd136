"""Summarise a drill: kills by kind and point, and what was wrong, as numbers, lines and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from skinml.lab.drill.compare import Wrong
from skinml.lab.drill.rounds import Outcome


def summarise(outcomes: Sequence[Outcome], asked: int) -> dict[str, Any]:
    """Count the kills that happened, and the findings by kind.

    Args:
        outcomes: the outcomes of the rounds.
        asked: number of requested kills; fewer count as a problem.
    """
    kills = _kills(outcomes)
    wrong = Counter[str]()
    for finding in (finding for outcome in outcomes for finding in outcome.findings):
        wrong[finding.wrong] += finding.number
    by_kind = Counter[str]()
    for (kind, _), number in kills.items():
        by_kind[kind] += number
    said = [line for outcome in outcomes for line in problems(outcome)]
    if kills.total() < asked:
        said.append(
            f"{Wrong.UNEXPLAINED}: only {kills.total()} of {asked} kills happened, the others came too late"
        )
        wrong[Wrong.UNEXPLAINED] += 1
    return {
        "kills": kills.total(),
        **{kind.value: wrong[kind] for kind in Wrong},
        "by_kind": dict(sorted(by_kind.items())),
        "by_point": {f"{kind} at {when}": kills[kind, when] for kind, when in sorted(kills, key=_order)},
        "two_at_once": sum(outcome.round.at_once for outcome in outcomes),
        "rounds": len(outcomes),
        "starts": sum(outcome.starts for outcome in outcomes),
        "too_late": sum(outcome.too_late for outcome in outcomes),
        "read_errors": sum(outcome.read_errors for outcome in outcomes),
        "resumed": sum(outcome.resumed for outcome in outcomes),
        "problems": said,
    }


def problems(outcome: Outcome) -> list[str]:
    """Return the findings of a round, one line each, with the path of the kept workspace."""
    return [f"{finding.wrong}: {finding.text} (kept: {outcome.kept})" for finding in outcome.findings]


def in_a_line(outcome: Outcome) -> str:
    """Describe a round in one line."""
    this = outcome.round
    done = [f"{kind} at {when}" for kind, when in outcome.kills.elements()]
    said = ", ".join(done) or ("two at once" if this.at_once else "no kill")
    return f"round {this.number} on a {this.site}, {outcome.seconds:.0f} s: {said}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Kills by kind (rows) and point (columns)."""
    kills = _kills(outcomes)
    columns = sorted({when for _, when in kills}, key=_place)
    kinds = sorted({kind for kind, _ in kills})
    rows = [["killed at", *columns, "all"]]
    for kind in kinds:
        numbers = [kills[kind, when] for when in columns]
        rows.append([kind, *(str(number or "") for number in numbers), str(sum(numbers))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    )


def _kills(outcomes: Sequence[Outcome]) -> Counter[tuple[str, str]]:
    return sum((outcome.kills for outcome in outcomes), Counter[tuple[str, str]]())


def _order(kill: tuple[str, str]) -> tuple[str, int]:
    return kill[0], _place(kill[1])


def _place(when: str) -> int:
    """Return the sort key of a point; random moments come last."""
    return int(when) if when.isdigit() else 1000
