"""The part of docs/benchmarks.md about overhead, from recorded figures."""

from __future__ import annotations

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import Target
from benchmarks.harness.markdown import machine, number, paragraph, promises, table, trial_warning

MOST = 0.05
"""The largest share of the flow's wall time that may not be Dask's work, with the most images."""


INTRODUCTION = """\
`make bench-overhead` scores folders of 600x450 JPEGs for the first time, with the thesis CNN on one
process per core, plain and on a Prefect server on the same machine, a run each. Dask is at work
from the first shard that is handed out to the last one that comes back. Everything else of the flow
is overhead: listing, comparing with the tables, starting the workers, the commit, the run's row,
and what Prefect does before, between and after the stages. The last two columns hardly depend on
how busy the machine is: the driver's CPU time beside Dask's work, and the share of the flow that it
would be if nobody waited: the work in Dask takes its CPU time divided by the number of cores.
"""


def section(found: Result) -> str:
    """A row for each run, and whether what was promised is kept."""
    runs: list[Result] = found["night"]["figures"]["runs"]
    most = max(run["images"] for run in runs)
    targets = [
        Target(
            f"a night over {number(most)} images, {_words(run)}: beside Dask's work",
            f"less than {MOST:.0%}".replace("%", " %"),
            f"{100 * share(run):.1f} %",
            share(run) < MOST,
        )
        for run in runs
        if run["images"] == most
    ]
    return "\n\n".join(
        [
            "## Overhead: what a night takes beside its work in Dask",
            *trial_warning(found),
            paragraph(INTRODUCTION),
            promises(found, targets),
            _runs(runs, found["night"]["machine"]["cores"]),
            machine(found),
        ]
    )


def share(run: Result) -> float:
    """The share of a flow's wall time in which Dask was not at work."""
    return 1.0 - float(run["dask_seconds"]) / float(run["flow_seconds"])


def share_of_cpu(run: Result, cores: int) -> float:
    """The share if nobody waited: CPU time on one core, beside the CPU time of Dask's work on all of them."""
    beside = float(run["flow_cpu_seconds"]) - float(run["dask_cpu_seconds"])
    work = (float(run["dask_cpu_seconds"]) + float(run["workers_cpu_seconds"])) / cores
    return beside / (beside + work)


def _words(run: Result) -> str:
    return "without Prefect" if run["way"] == "plain" else "on a Prefect server"


def _runs(runs: list[Result], cores: int) -> str:
    head = (
        *("images", "", "whole program, s", "flow, s", "Dask, s", "beside it, s", "share, %"),
        *("CPU beside it, s", "share by CPU, %"),
    )
    return table(
        head,
        [
            (
                number(run["images"]),
                _words(run),
                number(run["program_seconds"], 2),
                number(run["flow_seconds"], 2),
                number(run["dask_seconds"], 2),
                number(run["flow_seconds"] - run["dask_seconds"], 2),
                number(100 * share(run), 1),
                number(run["flow_cpu_seconds"] - run["dask_cpu_seconds"], 2),
                number(100 * share_of_cpu(run, cores), 1),
            )
            for run in runs
        ],
    )
