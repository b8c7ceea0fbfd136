"""Wall and CPU seconds of whole programs that have nothing or little to do, plain and on a Prefect server."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.bundle import Bundle, make_bundle
from benchmarks.start.inputs import NEW_IMAGES, NOW, Tree, scored_workspace, trees
from flows.server import free_port, prefect_server

PLAIN, SERVER = "plain", "Prefect"


def measure(bench: Bench) -> Result:
    """Every verb in every way, from each tree in turn."""
    bundle = make_bundle(bench)
    with prefect_server(bench.fresh("prefect server"), free_port()) as server:
        server.wait_until_ready()
        return {"runs": runs(bench, bundle, server.url)}


def runs(bench: Bench, bundle: Bundle, api_url: str) -> list[Result]:
    """One row for each verb, way and tree, with the seconds of each repetition."""
    compared = trees(bench)
    archive = bench.input("q75", NEW_IMAGES).images
    known = scored_workspace(bench, bundle, compared[NOW], archive)
    found: dict[tuple[str, str, str], Result] = {}
    for repetition in range(bench.repetitions):
        for verb, arguments, ways in (
            ("--version", ["--version"], (PLAIN,)),
            ("status", ["status", "--max-age", "10000h"], (PLAIN,)),
            ("score, nothing new", ["score", "--archive", archive], (PLAIN, SERVER)),
            (f"score, {NEW_IMAGES} new images", ["score", "--archive", archive], (PLAIN, SERVER)),
        ):
            for way in ways:
                for name, tree in compared.items():
                    say(f"{repetition + 1} of {bench.repetitions}: {verb}, {way}, {name} ...")
                    workspace = bundle.copy_to(bench.fresh("new")) if "new images" in verb else known
                    wall, cpu = _run(bench, tree, workspace, arguments, api_url if way == SERVER else None)
                    row = found.setdefault(
                        (verb, way, name),
                        {"verb": verb, "way": way, "tree": name, "seconds": [], "cpu_seconds": []},
                    )
                    row["seconds"].append(round(wall, 3))
                    row["cpu_seconds"].append(round(cpu, 3))
    return list(found.values())


def _run(
    bench: Bench, tree: Tree, workspace: Path, arguments: Sequence[object], api_url: str | None
) -> tuple[float, float]:
    """Wall seconds of one program, and CPU seconds with its workers'."""
    server = {} if api_url is None else {"PREFECT_API_URL": api_url}
    before = _cpu_of_children()
    measured = bench.run(tree.skinml(workspace, *arguments), {**tree.environment, **server})
    return measured.seconds, _cpu_of_children() - before


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
