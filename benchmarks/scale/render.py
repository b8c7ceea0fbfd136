"""The measured part of docs/scale.md, from recorded figures."""

from __future__ import annotations

from benchmarks.harness.bench import Result
from benchmarks.harness.markdown import number, paragraph, table, trial_warning


def section(found: Result) -> str:
    """What grows with an archive: the ledger, the table of scores, what a scheduler hands out."""
    figures = {name: part["figures"] for name, part in found.items()}
    parts = [*trial_warning(found)]
    if "ledger" in figures:
        parts.append(_ledgers(figures["ledger"]["ledgers"]))
    if "ledger" in figures and "table" in figures:
        parts.append(_names_and_rows(figures["ledger"]["hashing"], figures["table"]["rows"]))
    if "table" in figures:
        parts.append(_files(figures["table"]["files"]))
    dispatched = [_dispatch(figures["dispatch"])] if "dispatch" in figures else []
    parts.append(paragraph(" ".join([*dispatched, *_machines(found)])))
    return "\n\n".join(parts)


def _ledgers(ledgers: list[Result]) -> str:
    head = ("known images", "make the ledger, s", "look a million up, s", "ledger, MB", "process's peak, MB")
    rows = [
        (
            number(one["rows"]),
            number(one["make_seconds"], 1),
            number(one["look_up_a_million_seconds"], 2),
            number(one["ledger_mb"]),
            number(one["peak_mb"]),
        )
        for one in ledgers
    ]
    return table(head, rows)


def _names_and_rows(hashing: Result, rows: Result) -> str:
    return paragraph(
        f"""Hashing a million names takes {hashing["hash_a_million_seconds"]:.2f} s, reading and hashing the
        keys of {number(rows["rows"])} rows of `scores` ({rows["files"]} files)
        {rows["read_keys_seconds"]:.1f} s. A row of `scores` takes {rows["bytes_a_row"]:.0f} bytes."""
    )


def _files(files: list[Result]) -> str:
    rows = [
        (
            number(one["files"]),
            number(one["rows"]),
            number(one["open_seconds"], 3),
            number(one["commit_seconds"], 2),
            number(one["log_mb"], 1),
        )
        for one in files
    ]
    return table(("files", "rows at 4,096 each", "open, s", "commit 250 more, s", "log, MB"), rows)


def _dispatch(shards: Result) -> str:
    return f"""One scheduler handed {shards["shards_a_second"]:.0f} shards a second to two workers that did
        nothing with them ({shards["megabytes_a_shard"]:.2f} MB each): {number(shards["images_a_second"])}
        images a second."""


def _machines(found: Result) -> list[str]:
    """What it all ran on: once if that is the same for all sections."""
    sections: dict[str, list[str]] = {}
    for name, part in found.items():
        one = part["machine"]
        text = f"{one['date']}: {one['processor']}, {one['cores']} cores, {one['memory_gb']} GB."
        sections.setdefault(text, []).append(name)
    if len(sections) == 1:
        return list(sections)
    return [f"The {' and the '.join(names)}, {text}" for text, names in sections.items()]
