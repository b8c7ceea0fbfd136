"""What all decisions about the champion share: read the state, check a version, write alias and row."""

from __future__ import annotations

import getpass
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skinml.errors import RequestError
from skinml.models import promotions, registry
from skinml.models.champion import Alias, Champion, write_champion
from skinml.models.floors import Criterion
from skinml.models.manifest import Manifest
from skinml.models.network import check_network
from skinml.models.promotions import Decision, Kind
from skinml.models.verification import check_files
from skinml.process.crash_points import crash_point


@dataclass(frozen=True)
class State:
    """What the registry said before a decision."""

    workspace: str
    alias: Alias | None
    rows: list[dict[str, Any]]

    @property
    def champion(self) -> Champion | None:
        """The champion's record."""
        return None if self.alias is None else self.alias.champion

    @property
    def version(self) -> str | None:
        """The champion's version."""
        return None if self.alias is None else self.alias.champion.model_version

    def is_champion(self, manifest: Manifest) -> bool:
        """Whether this version is champion."""
        return self.champion is not None and self.champion.names(manifest.name, manifest.version)


def read_state(workspace: str, alias: Alias | None) -> State:
    """Read all decisions, after writing the row of one that was interrupted."""
    promotions.add_missing_row(workspace, None if alias is None else alias.champion)
    return State(workspace, alias, promotions.read_rows(workspace))


def check_version(state: State, manifest: Manifest) -> None:
    """Refuse a version that is not what was registered, or that cannot score."""
    known = {
        row["manifest_sha256"]
        for row in state.rows
        if (row["model_name"], row["model_version"]) == (manifest.name, manifest.version)
    } - {None}
    if known and manifest_sha256(state.workspace, manifest) not in known:
        raise RequestError(
            f"model {manifest.version}: its manifest was changed after a decision about it; restore the file"
        )
    check_files(state.workspace, manifest)
    check_network(state.workspace, manifest)


def decision_id_of(run_id: str) -> str:
    """The id of the one decision that a run may make.

    >>> decision_id_of("retrain-20260101T000000Z-abcdef")
    'decision-20260101T000000Z-abcdef'
    """
    return f"decision-{run_id.partition('-')[2]}"


def new_decision(
    state: State,
    manifest: Manifest,
    kind: Kind,
    criteria: Sequence[Criterion | Mapping[str, Any]],
    test_set: str | None,
) -> Decision:
    """Return a decision on a version, to be completed: now, after today's champion, with the count of looks."""
    return Decision(
        decision_id=promotions.new_id(),
        promoted_at=promotions.next_moment(state.rows),
        model_name=manifest.name,
        model_version=manifest.version,
        previous_version=state.version,
        decision=kind,
        reason="",
        evidence=[one.model_dump(mode="json") if isinstance(one, Criterion) else dict(one) for one in criteria],
        test_looks=promotions.looks_at(state.rows, test_set),
        decided_by="",
        run_id=None,
        manifest_sha256=manifest_sha256(state.workspace, manifest),
        test_set=test_set,
        samples_version=manifest.samples_version(),
    )


def write_decision(state: State, decision: Decision) -> bool:
    """Write the alias, then the row. False, and nothing is written, if the alias is not what was read."""
    champion = Champion(
        model_name=decision.model_name,
        model_version=decision.model_version,
        manifest_sha256=decision.manifest_sha256,
        promoted_at=decision.promoted_at.isoformat(timespec="seconds"),
        decision=decision.model_dump(mode="json"),
    )
    crash_point(21)
    if not write_champion(state.workspace, champion, state.alias):
        return False
    crash_point(22)
    promotions.add_row(state.workspace, decision)
    return True


def manifest_sha256(workspace: str, manifest: Manifest) -> str:
    """The SHA-256 of a version's manifest as it lies in the workspace."""
    data = registry.manifest_bytes(workspace, manifest.name, manifest.version)
    return hashlib.sha256(data).hexdigest()


def user_name() -> str:
    """The user of the operating system, without the machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name; KeyError until Python 3.13
        return f"user {os.getuid()}"
