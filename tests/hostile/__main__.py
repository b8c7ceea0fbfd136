"""`make hostile`: every hostile file through decoding, and most of them through `score` and `prepare`.

python -m tests.hostile [--mutants 3000] [--seed 1] [--model WORKSPACE]

Prints a table and exits 1 where a file cost more than it may or did not end as it should. Needs the extra
`dev`: buckets are SeaweedFS's. A model is trained on made-up images where no workspace with one is named.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from skinml import tables
from tests.hostile import contents
from tests.hostile.content import DECODED
from tests.hostile.cost import MODES, Cost, in_a_process, measure, measure_together, outcome, rate
from tests.hostile.heavy import FILES
from tests.hostile.metadata_tables import read_all
from tests.hostile.mutants import mutants
from tests.services import seaweedfs
from tests.services.seaweedfs import ObjectStore

RATE = 300
"""Mutants that are to be decoded or refused in one CPU second."""


SMALL: tuple[str, ...] = (
    "34 bytes.webp",
    "float.tif",
    "rgba.png",
    "cmyk.tif",
    "60 wide texts of 1 MB.png",
    "65500 x 900.jpg",
)
SMALL += ("cmyk in one strip.tif", "200 scans of 64 million pixels.jpg", "ends of lines alone.bmp", "lab.tif")
"""Heavy files of about a megabyte, which go into whole runs: all of them would make an archive of two GB."""


@dataclass(frozen=True)
class Row:
    """One line of the table: what ran, files, of these ended as expected, the dearest two figures."""

    what: str
    files: int
    expected: int
    slowest: str
    largest: str

    def line(self) -> str:
        return f"{self.what:34s} {self.files:>6,} {self.expected:>9,}  {self.slowest:42s} {self.largest}"


MOSTLY_BAD = ["--max-quarantined", "100%"]


def heavy(folder: Path) -> Iterator[Row]:
    """Every heavy file in both modes, each in a process of its own."""
    costs: dict[str, dict[str, Cost]] = {mode: {} for mode in MODES}
    for name, make in FILES.items():
        path = folder / name
        in_a_process(lambda path=path, make=make: path.write_bytes(make()))  # type: ignore[misc]
        for mode in MODES:
            cost = costs[mode][name] = measure(path, mode)
            if not cost.fits:
                print(f"{name}, {mode}: {cost}", file=sys.stderr)
        path.unlink()
    for name, found in costs.items():
        yield _row(f"heavy files, {name}", found)


def light(what: str, files: dict[str, bytes], right: dict[str, tuple[str, ...]]) -> Iterator[Row]:
    """Files that are to be cheap, all of them in one process."""
    for mode in MODES:
        found = measure_together(files, mode)
        for name, cost in found.items():
            if not cost.fits or cost.outcome not in right.get(name, (cost.outcome,)):
                print(f"{name}, {mode}: {cost}, right: {right.get(name)}", file=sys.stderr)
        wrong = sum(cost.outcome not in right.get(name, (cost.outcome,)) for name, cost in found.items())
        yield _row(f"{what}, {mode}", found, wrong)


def _row(what: str, costs: dict[str, Cost], wrong: int = 0) -> Row:
    slowest, largest = (
        max(costs, key=lambda name: getattr(costs[name], one)) for one in ("seconds", "peak_bytes")
    )
    return Row(
        what,
        len(costs),
        sum(cost.fits for cost in costs.values()) - wrong,
        f"{costs[slowest].seconds:.1f} s {slowest}"[:42],
        f"{costs[largest].peak_bytes / 1e6:.0f} MB {largest}"[:48],
    )


def small_ones() -> dict[str, bytes]:
    """Some heavy files that are small, under names of which no two have one stem."""
    return {f"{name.rpartition('.')[2]} heavy {name}": FILES[name]() for name in SMALL}


def runs(files: dict[str, bytes], model: Path, folder: Path) -> Iterator[Row]:
    """`prepare` and `score` on a folder and in a bucket: each file is in one table, once."""
    with ExitStack() as stack:
        store = stack.enter_context(seaweedfs.running(folder / "seaweedfs"))
        for place in ("folder", "bucket"):
            if place == "folder":
                root = str(folder / "archive")
                for name, data in files.items():
                    path = Path(root, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                environment = dict(os.environ)
            else:
                root = f"s3://{store.new_bucket()}/archive"
                store.files().pipe({f"{root[5:]}/{name}": data for name, data in files.items()})
                environment = os.environ | store.environment()
                os.environ.update(store.environment())
            yield _metadata(place, f"{root}-tables", store)
            metadata = folder / "metadata.csv"
            stems = sorted(Path(name).stem for name in files)
            metadata.write_text(
                "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
                + "".join(f'L{number},"{stem}",nv,histo,50,male,back\n' for number, stem in enumerate(stems))
            )
            asked = ["prepare", "--images", root, "--metadata", str(metadata), "--size", "32"]
            asked += MOSTLY_BAD
            for mode in MODES:
                workspace = str(folder / f"prepared-{place}-{mode}")
                yield _run(
                    workspace, [*asked, "--decode", mode], f"prepare, {place}, {mode}", len(files), environment
                )
            workspace = str(shutil.copytree(model, folder / f"scored-{place}"))
            asked = ["score", "--archive", root, *MOSTLY_BAD]
            yield _run(workspace, asked, f"score, {place}", len(files), environment)


def _metadata(place: str, root: str, store: ObjectStore) -> Row:
    """Tables of metadata, read or refused in one line."""

    def put(url: str, data: bytes) -> None:
        if place == "bucket":
            store.files().pipe_file(url[5:], data)
        else:
            Path(url).parent.mkdir(parents=True, exist_ok=True)
            Path(url).write_bytes(data)

    found = read_all(root, put)
    wrong = {name: said for name, (said, _) in found.items() if said}
    for name, said in wrong.items():
        print(f"metadata {name}: {said}", file=sys.stderr)
    slowest = max(found, key=lambda name: found[name][1])
    dearest = f"{found[slowest][1]:.1f} s {slowest}"
    return Row(f"metadata, {place}", len(found), len(found) - len(wrong), dearest, "")


def _run(workspace: str, asked: list[str], what: str, files: int, environment: dict[str, str]) -> Row:
    command = [sys.executable, "-m", "skinml", "--workspace", workspace, "--json", *asked]
    started = time.monotonic()
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    seconds = time.monotonic() - started
    if ended.returncode:
        print(f"{what}: exit {ended.returncode}\n{ended.stderr[-3_000:]}", file=sys.stderr)
        return Row(what, files, 0, f"exit {ended.returncode}", "")
    result = json.loads(ended.stdout.splitlines()[-1])
    done = tables.read(workspace, "scores" if asked[0] == "score" else "samples").to_pandas()
    refused = tables.read(workspace, "quarantine").to_pandas().query("flow == @asked[0]")
    uris = [*done["uri"], *refused["uri"]]
    once = len(uris) - 2 * (len(uris) - len(set(uris)))
    held = result["listed"] == result["skipped"] + result["quarantined"] + result.get(
        "scored", result.get("prepared")
    )
    lines = len(ended.stderr.splitlines())
    return Row(
        what,
        files,
        once if held else 0,
        f"{seconds:.0f} s in all, {lines} lines of log",
        json.dumps(result["reasons"])[:60],
    )


def train(folder: Path) -> Path:
    """A workspace with a model of made-up images, of one epoch."""
    labelled, workspace = folder / "labelled", folder / "model"
    verbs: list[list[str]] = [
        ["synth", "--images", "150", "--out", str(labelled)],
        ["prepare", *(f"--images={labelled}/HAM10000_images_part_{part}" for part in (1, 2))],
        ["train", "--epochs", "1"],
    ]
    verbs[1] += ["--metadata", f"{labelled}/HAM10000_metadata.csv", "--size", "32"]
    for verb in verbs:
        command = [sys.executable, "-m", "skinml", "--workspace", str(workspace), *verb]
        subprocess.run(command, check=True, capture_output=True)
    if not (workspace / "models" / "champion.json").exists():  # one epoch is rarely above the floors
        [version] = (path.parent.name for path in workspace.glob("models/*/*/manifest.json"))
        promote = ["models", "promote", version, "--force"]
        command = [sys.executable, "-m", "skinml", "--workspace", str(workspace), *promote]
        subprocess.run(command, check=True, capture_output=True)
    return workspace


def main() -> int:
    """Print the table; how the process ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, help="a workspace with a model")
    asked = parser.parse_args()
    several = dict(mutants(asked.mutants, asked.seed))
    rows: list[Row] = []

    def say(row: Row) -> None:
        rows.append(row)
        print(row.line(), flush=True)

    print(f"{'':34s} {'files':>6s} {'as expected':>9s} {'slowest (CPU s)':42s} largest (over resting)")
    count, seconds = rate(several.values())
    per_second = len(MODES) * count / seconds
    with tempfile.TemporaryDirectory(prefix="skinml-hostile-") as name:
        folder = Path(name)
        for row in light("mutants", several, {}):
            say(row)
        corpus = {content.name: content for content in contents()}
        right = {name: content.right for name, content in corpus.items()}
        for row in light("the corpus", {name: one.data for name, one in corpus.items()}, right):
            say(row)
        for row in heavy(folder):
            say(row)
        everything = several | {name: one.data for name, one in corpus.items()} | small_ones()
        for row in runs(everything, asked.model or train(folder), folder):
            say(row)
    print(f"mutants: {per_second:,.0f} files a CPU second, both modes together (at least {RATE})")
    decoded = sum(outcome(data, "fast")[0] == DECODED for data in several.values())
    print(f"mutants that are decoded: {decoded} of {count}")
    return int(per_second < RATE or any(row.files != row.expected for row in rows))


if __name__ == "__main__":
    sys.exit(main())
