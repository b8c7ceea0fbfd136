"""Take over rows of an interrupted run, in a worker: read them and write them again under this run's id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from skinml.monitoring.reference import Usual, gather_measures
from skinml.monitoring.tally import Tally, tally
from skinml.process.crash_points import crash_point
from skinml.records.unpublished import Record, write_record
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.scoring.predict import ScoreJob, ScoringModel, ShardScored, score_shard
from skinml.scoring.resume import Adoption
from skinml.storage.spelling import resolve_rows
from skinml.tables import attempt, read_parts, write_part


@dataclass(frozen=True)
class AdoptJob:
    """The job for one part: which of its rows to take over, and for which run."""

    number: int
    adoption: Adoption
    workspace: str
    model: ScoringModel
    run_id: str
    run_date: date


def adopt_jobs(
    adoptions: Iterable[Adoption], workspace: str, model: ScoringModel, run_id: str, run_date: date
) -> Iterator[AdoptJob]:
    """Yield one numbered job for each part to take rows from."""
    for number, adoption in enumerate(adoptions):
        yield AdoptJob(number, adoption, workspace, model, run_id, run_date)


def run_job(job: ScoreJob | AdoptJob) -> ShardScored:
    """Run a job of either kind: score a shard, or take over rows."""
    return adopt_rows(job) if isinstance(job, AdoptJob) else score_shard(job)


def adopt_rows(job: AdoptJob) -> ShardScored:
    """Write the rows into a part of this run, and a record of the part.

    If this run dies too, the next one takes the rows over from this record. `scored_at` keeps its value.
    """
    record = job.adoption.record
    rows = read_parts(job.workspace, record.table, [record.part]).filter(pa.array(job.adoption.kept))
    rows = resolve_rows(rows)  # to the uri that today's listing gives the image
    rows = rows.set_column(
        rows.schema.get_field_index("run_id"), "run_id", pa.repeat(job.run_id, rows.num_rows)
    )
    partition = {"run_date": job.run_date.isoformat()} if record.table == "scores" else None
    name = attempt(f"{job.run_id}-adopted-{job.number:05d}")
    part = write_part(job.workspace, record.table, rows, name, partition)
    crash_point(13)
    write_record(job.workspace, job.run_id, Record(record.table, part, record.origin))
    crash_point(12)
    if record.table == "quarantine":
        rejected = Counter(rows["reason"].to_pylist())
        return ShardScored(0, 0, rejected, None, part, resumed=rows.num_rows)
    return ShardScored(
        rows.num_rows, 0, Counter(), part, None, count_again(rows, job.model.usual), rows.num_rows
    )


def count_again(rows: pa.Table, usual: Usual | None) -> Tally:
    """Count images from rows of `scores` in the bins of the model's reference, as when they were scored."""
    if usual is None or rows["unlike_training"].null_count == rows.num_rows:  # the network of an older bundle
        return Tally()
    names = ("brightness", "sharpness", "width", "height", "unlike_training")
    columns = {name: rows[name].to_numpy() for name in names}
    probabilities = np.stack([rows[name].to_numpy() for name in PROBABILITY_COLUMNS], axis=1)
    return tally(usual, gather_measures(probabilities=probabilities, **columns), rows["flags"].to_pylist())
