"""Writes docs/benchmarks.md and its plot from recorded figures: `python -m benchmarks.render`."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.agreement import EQUAL_DB, LEAST_DB
from benchmarks.bench import Result
from benchmarks.figures import Speed, beyond_listing, growth, peak, ratio, speed, speeds, spread_of, targets
from benchmarks.inputs import REPOSITORY
from benchmarks.measure import median
from benchmarks.systems import LIMIT, US

RESULTS = Path("benchmarks/results/prepare.json")
DOCUMENT = Path("docs/benchmarks.md")
PLOT = Path("docs/benchmarks/prepare.png")

SKELETON = """# Benchmarks

Every figure here is written by a program that is in the repository, from figures that are recorded in
`benchmarks/results/`: run it on your machine and the page is yours.

<!-- prepare -->
<!-- /prepare -->

<!-- accuracy -->
<!-- /accuracy -->
"""


def write(into: Path = REPOSITORY) -> None:
    """Render what is recorded below `into` to the document and the plot there."""
    from benchmarks.plot import draw

    found: Result = json.loads((into / RESULTS).read_text(encoding="utf-8"))
    document = into / DOCUMENT
    document.parent.mkdir(parents=True, exist_ok=True)
    before = document.read_text(encoding="utf-8") if document.exists() else SKELETON
    document.write_text(put_between(before, "prepare", section(found)), encoding="utf-8")
    if "peers" in found:
        (into / PLOT).parent.mkdir(parents=True, exist_ok=True)
        draw(found["peers"]["figures"], into / PLOT)


def put_between(text: str, name: str, content: str) -> str:
    """The text with what stands between a name's two markers replaced; the rest is left alone."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise ValueError(f"the document has no {start} ... {end}")
    before, _, rest = text.partition(start)
    after = rest.partition(end)[2]
    return f"{before}{start}\n{content.strip()}\n{end}{after}"


def section(found: Result) -> str:
    """The prepare section of the document."""
    parts = [
        *_introduction(found),
        _targets(found),
        *([_peers(found["peers"])] if "peers" in found else []),
        *([_startup(found)] if "startup" in found or "known" in found else []),
        *([_scaling(found["scaling"]["figures"])] if "scaling" in found else []),
        *([_bucket(found["bucket"]["figures"])] if "bucket" in found else []),
        *([_fidelity(found["fidelity"]["figures"])] if "fidelity" in found else []),
        _machine(found),
    ]
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def paragraph(text: str) -> str:
    """Prose in lines as wide as the code's."""
    return textwrap.fill(" ".join(text.split()), 112, break_long_words=False, break_on_hyphens=False)


def _introduction(found: Result) -> list[str]:
    shrunken = _trials(found)
    trial = f"**A trial, not a measurement**: {', '.join(shrunken)} ran on a fraction of the images."
    repetitions = sorted({part["repetitions"] for part in found.values()})
    text = f"""`make bench-prepare` runs the same job by skinml and by what else people use, each as a whole
        program on all cores, in turn, in one run. Each runs on few and on many images, and images/s is the
        slope between the two: what one more image costs. Start-up is where that line meets no images, and
        stands apart. Shown are medians of {" or ".join(map(str, repetitions))}. Whoever leaves out an image, or
        makes pixels below {LEAST_DB:.0f} dB of Pillow's, is out."""
    heading = "## Preparing: JPEGs to 64 px pixels on disk"
    return [heading, *([trial] if shrunken else []), paragraph(text)]


def _trials(found: Result) -> list[str]:
    """Sections that ran on another number of images than they should."""
    return sorted(name for name, part in found.items() if part["scale"] != 1)


def _targets(found: Result) -> str:
    judged = not _trials(found)
    words = {True: "yes" if judged else "-", False: "**no**" if judged else "-", None: "-"}
    rows = [(one.what, one.promised, one.found, words[one.met]) for one in targets(found)]
    return "### What was promised\n\n" + table(("what", "promised", "found", "kept"), rows)


def _peers(part: Result) -> str:
    texts = ["### Side by side", f"![Images per second of every system on every input](benchmarks/{PLOT.name})"]
    for entry in part["figures"].values():
        systems = speeds(entry)
        limit, us = systems.get(LIMIT), systems.get(US)
        texts.append(f"**{entry['title']}** ({_size(entry['bytes'])} an image)")
        texts.append(table(_PEER_HEAD, [_peer(one, limit, us) for one in systems.values()]))
    texts.append(paragraph(_NOTES))
    return "\n\n".join(texts)


_PEER_HEAD = (
    *("system", "images/s", "lowest-highest", "of the limit", "skinml is", "start-up, s"),
    *("images in the two runs", "pixels, dB"),
)


def _peer(one: Speed, limit: Speed | None, us: Speed | None) -> tuple[str, ...]:
    sizes = f"{one.images[0]:,} and {one.images[1]:,}"
    if one.error:
        return (one.title, f"failed: {one.error}", "", "", "", "", sizes, "")
    return (
        one.title if one is not us else f"**{one.title}**",
        number(one.rate),
        _range(one),
        number(ratio(one, limit), 2),
        "" if one is us else times(ratio(us, one)),
        number(one.startup, 1),
        sizes,
        number(one.psnr_db, 1),
    )


_NOTES = """
The limit decodes at the smallest scale of simplejpeg's that leaves at least twice the target's edges, on every
core, and does nothing else. *tf.data* decodes in full and resizes with `antialias=True`; *decoded at a
fraction* is its fastest setting that still leaves twice the target (`decode_jpeg(ratio=...)` and an `area`
resize). *The same with a full decode* is libjpeg-turbo at full size and Pillow's resize on every core. Pixels
are the lowest peak signal-to-noise ratio of a sample against Pillow's full decode and bicubic resize: filters
differ."""


def _startup(found: Result) -> str:
    texts = ["### Before the first image, and when nothing is new"]
    if "startup" in found:
        startup = found["startup"]["figures"]
        texts.append(
            paragraph(
                f"A whole `skinml prepare` over {startup['images']} images takes "
                f"{spread_of(startup['without_server'])} s without a Prefect server and "
                f"{spread_of(startup['with_server'])} s with a running one."
            )
        )
    if "known" in found:
        known = found["known"]["figures"]
        texts.append(
            paragraph(
                f"Over {known['images']:,} images that are all prepared a whole run takes "
                f"{spread_of(known['seconds'])} s ({spread_of(known['reported'])} s by its own clock, which "
                f"starts when the libraries are loaded). Listing the folder alone, with sizes and times, takes "
                f"{spread_of(known['listing'])} s, so that the run costs {beyond_listing(known):.2f} s beyond "
                "that."
            )
        )
    return "\n\n".join(texts)


def _scaling(scaling: Result) -> str:
    rows = [
        (
            f"{row['images']:,}",
            spread_of(row["seconds"]),
            number(median(row["driver_mb"])),
            number(peak(row["worker_mb"])),
        )
        for row in (scaling["startup"], *scaling["runs"])
    ]
    return "\n\n".join(
        (
            "### From a thousand images to fifty thousand",
            table(("images", "seconds", "driver's peak, MB", "largest worker's peak, MB"), rows),
            f"Start-up + cost x images^p fits best with p = {number(growth(scaling), 3)}.",
        )
    )


def _bucket(bucket: Result) -> str:
    titles = {"skinml": "skinml", "s3fs": "a script that reads through s3fs"}
    found = {name: speed(record) for name, record in bucket.items()}
    rows = [
        (
            titles[name],
            number(one.rate),
            _range(one),
            number(one.startup, 1),
            f"{one.images[0]:,} and {one.images[1]:,}",
        )
        for name, one in found.items()
    ]
    times_as_fast = number(ratio(found["skinml"], found["s3fs"]), 2)
    return "\n\n".join(
        (
            "### From a bucket",
            "SeaweedFS on the same machine, 600x450 at quality 75, decoded by the same code on all cores.",
            table(("program", "images/s", "lowest-highest", "start-up, s", "images in the two runs"), rows),
            f"skinml is {times_as_fast} times as fast.",
        )
    )


def _fidelity(fidelity: Result) -> str:
    rows = [
        (str(row["size"]), *(f"{row[key]:.1f}" for key in ("mean_db", "percentile_1_db", "minimum_db")))
        for row in fidelity["rows"]
    ]
    return "\n\n".join(
        (
            "### What `fast` costs in fidelity",
            paragraph(
                f"""Peak signal-to-noise ratio of `fast` against `exact` (Pillow's full decode and bicubic
                resize) on {fidelity["images"]:,} {fidelity["of"]} of 600x450 px; {EQUAL_DB:.0f} dB stands for
                equal."""
            ),
            table(("size, px", "mean, dB", "1st percentile, dB", "lowest, dB"), rows),
        )
    )


def _machine(found: Result) -> str:
    by_description: dict[str, list[str]] = {}
    for name, part in found.items():
        one = part["machine"]
        libraries = ", ".join(f"{library} {version}" for library, version in one["libraries"].items())
        text = f"""{one["date"]}: {one["processor"]}, {one["cores"]} cores, {one["memory_gb"]} GB,
            {one["system"]}; Python {one["python"]}; {libraries}. Inputs are made from {part["sources"]}:
            cropped, turned, lit and grained anew, so that every file differs."""
        by_description.setdefault(text, []).append(name)
    same = len(by_description) == 1
    texts = [
        paragraph(text if same else f"For {', '.join(names)}: {text}") for text, names in by_description.items()
    ]
    return "\n\n".join(("### The machine", *texts))


def number(value: float | None, digits: int = 0) -> str:
    """A number for a table; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def times(value: float | None) -> str:
    """A ratio for a table."""
    return "-" if value is None else f"{value:.2f} x"


def _range(one: Speed) -> str:
    """The lowest and the highest rate of the repetitions."""
    return "-" if one.slowest is None else f"{number(one.slowest)}-{number(one.fastest)}"


def _size(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


if __name__ == "__main__":
    write()
    sys.exit(0)
