"""What grows with an archive, measured: `make bench-scale` writes the tables of docs/scale.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine
from benchmarks.bench import Result, say
from benchmarks.inputs import REPOSITORY
from benchmarks.markdown import number, paragraph, put_between, table
from benchmarks.sections import dispatch, ledger
from benchmarks.sections import table as scores_table

RESULTS = Path("benchmarks/results/scale.json")
DOCUMENT = Path("docs/scale.md")
LEDGERS = [1_000_000, 10_000_000, 100_000_000]
FILES = [250, 2_500, 25_000]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write. With --scale below 1 it is a trial, which only prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all numbers")
    scale = parser.parse_args(arguments).scale
    with TemporaryDirectory(prefix="skinml-scale-") as folder:
        found: Result = {
            "machine": machine.describe(),
            "ledger": ledger.measure([round(rows * scale) for rows in LEDGERS]),
            "table": scores_table.measure(
                Path(folder), round(1_000_000 * scale), [max(1, round(files * scale)) for files in FILES]
            ),
            "dispatch": dispatch.measure(max(8, round(500 * scale))),
        }
    if scale != 1:
        print(json.dumps(found, indent=1))
        return 0
    (REPOSITORY / RESULTS).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    document = REPOSITORY / DOCUMENT
    document.write_text(
        put_between(document.read_text(encoding="utf-8"), "growth", section(found)), encoding="utf-8"
    )
    say(f"written: {RESULTS}, {DOCUMENT}")
    return 0


def section(found: Result) -> str:
    """The measured part of the document."""
    rows, shards = found["table"]["rows"], found["dispatch"]
    ledgers = table(
        ("known images", "make the ledger, s", "look a million up, s", "ledger, MB", "process's peak, MB"),
        [
            (
                number(one["rows"]),
                number(one["make_seconds"], 1),
                number(one["look_up_a_million_seconds"], 2),
                number(one["ledger_mb"]),
                number(one["peak_mb"]),
            )
            for one in found["ledger"]["ledgers"]
        ],
    )
    files = table(
        ("files", "rows at 4,096 each", "open, s", "commit 250 more, s", "log, MB"),
        [
            (
                number(one["files"]),
                number(one["rows"]),
                number(one["open_seconds"], 3),
                number(one["commit_seconds"], 2),
                number(one["log_mb"], 1),
            )
            for one in found["table"]["files"]
        ],
    )
    one = found["machine"]
    return "\n\n".join(
        (
            ledgers,
            paragraph(
                f"""Hashing a million names takes {found["ledger"]["hashing"]["hash_a_million_seconds"]:.2f} s,
                reading and hashing the keys of {number(rows["rows"])} rows of `scores` ({rows["files"]} files)
                {rows["read_keys_seconds"]:.1f} s. A row of `scores` takes {rows["bytes_a_row"]:.0f} bytes."""
            ),
            files,
            paragraph(
                f"""One scheduler handed {shards["shards_a_second"]:.0f} shards a second to two workers that did
                nothing with them ({shards["megabytes_a_shard"]:.2f} MB each):
                {number(shards["images_a_second"])} images a second. {one["date"]}: {one["processor"]},
                {one["cores"]} cores, {one["memory_gb"]} GB."""
            ),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
