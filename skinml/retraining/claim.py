"""Let one retraining at a time work in a workspace. A second one is told which run is at work.

The claim is a file that names the run. It is replaced by compare and swap, and never deleted. It holds while
its run has a record in `under_way/`. That record goes when the run ends, and when another run finds it dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter

from skinml.errors import RunError
from skinml.layout import retraining_url
from skinml.records.under_way import is_known
from skinml.storage.objects import create_bytes, exists, read_bytes
from skinml.storage.swap import swap_bytes
from skinml.strict_json import parse_json

MOST_BYTES = 64 * 2**10
"""The file has less than a kilobyte."""

EARLIER = 8
"""How many earlier runs it names."""

ATTEMPTS = 5
"""How often another run may be first before this one gives up."""


@dataclass(frozen=True)
class Claim:
    """The run that retrains, since when, and the runs before it, the latest first."""

    run_id: str
    claimed_at: datetime
    earlier: tuple[str, ...] = ()


_JSON = TypeAdapter(Claim)


def claim(workspace: str, run_id: str) -> Claim | str:
    """Claim the workspace's retraining for a run that has its record in `under_way/`.

    Returns:
        The claim, with the runs before it: one of these may have died after it had trained a challenger. If
        another run is at work, its run_id. A repeated call of the same run returns its claim.

    Raises:
        RunError: the file is not a claim, or other runs were first ATTEMPTS times.
        StorageError: storage failed.
    """
    url = retraining_url(workspace)
    for _ in range(ATTEMPTS):
        if not exists(url):
            mine = Claim(run_id, datetime.now(UTC))
            if create_bytes(url, _JSON.dump_json(mine)):
                return mine
            continue
        data = read_bytes(url, MOST_BYTES)
        before = _parse(url, data)
        if before.run_id == run_id:
            return before
        if is_known(workspace, before.run_id):
            return before.run_id
        mine = Claim(run_id, datetime.now(UTC), (before.run_id, *before.earlier)[:EARLIER])
        if swap_bytes(url, data, _JSON.dump_json(mine)):
            return mine
    raise RunError(f"{url}: other runs were first {ATTEMPTS} times in a row; run again")


def check_claim(workspace: str, run_id: str) -> None:
    """Raise RunError if another run has taken this run for dead, and retrains in its place."""
    url = retraining_url(workspace)
    now = _parse(url, read_bytes(url, MOST_BYTES))
    if now.run_id != run_id:
        raise RunError(
            f"run {now.run_id} has taken this run for dead and retrains in its place; nothing was decided here"
        )


def _parse(url: str, data: bytes) -> Claim:
    try:
        return parse_json(_JSON, data)
    except ValueError as error:
        raise RunError(f"{url}: does not name a run: {error}; delete it, and run again") from error
