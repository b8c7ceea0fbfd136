"""The prepare benchmark's part of docs/benchmarks.md, from recorded figures."""

from __future__ import annotations

from benchmarks.harness.agreement import EQUAL_DB
from benchmarks.harness.bench import Result
from benchmarks.harness.benchmark import Plot
from benchmarks.harness.figures import Speed, peak, ratio, speeds, spread_of
from benchmarks.harness.markdown import (
    bytes_of,
    machine,
    number,
    paragraph,
    promises,
    rates,
    repetitions,
    table,
    times,
    trial_warning,
)
from benchmarks.harness.measure import median
from benchmarks.harness.systems import LIMIT, US
from benchmarks.prepare.agreement import LEAST_DB
from benchmarks.prepare.figures import beyond_listing, growth, targets

PICTURE = "benchmarks/prepare.png"


def plot(found: Result) -> Plot | None:
    """What is drawn: every kind of input."""
    if "peers" not in found:
        return None
    title = "JPEGs to 64 px pixels on disk: images per second, start-up left out"
    return Plot(title, found["peers"]["figures"])


def section(found: Result) -> str:
    """The prepare section of the document."""
    parts = [
        *_introduction(found),
        promises(found, targets(found)),
        *([_peers(found["peers"])] if "peers" in found else []),
        *([_startup(found)] if "startup" in found or "known" in found else []),
        *([_scaling(found["scaling"]["figures"])] if "scaling" in found else []),
        *([_bucket(found["bucket"]["figures"])] if "bucket" in found else []),
        *([_fidelity(found["fidelity"]["figures"])] if "fidelity" in found else []),
        machine(found),
    ]
    return "\n\n".join(parts)


def _introduction(found: Result) -> list[str]:
    text = f"""`make bench-prepare` runs the same job by skinml and by what else people use, each as a whole
        program on all cores, in turn, in one run. Each runs on few and on many images, and images/s is the
        slope between the two: what one more image costs. Start-up is where that line meets no images, and
        stands apart. Shown are medians of {repetitions(found)}. Whoever leaves out an image, or
        makes pixels below {LEAST_DB:.0f} dB of Pillow's, is out."""
    heading = "## Preparing: JPEGs to 64 px pixels on disk"
    return [heading, *trial_warning(found), paragraph(text)]


def _peers(part: Result) -> str:
    texts = ["### Side by side", f"![Images per second of every system on every input]({PICTURE})"]
    for entry in part["figures"].values():
        systems = speeds(entry)
        limit, us = systems.get(LIMIT), systems.get(US)
        texts.append(f"**{entry['title']}** ({bytes_of(entry['bytes'])} an image)")
        texts.append(
            table(_PEER_HEAD, [_peer(one, limit, us, entry["systems"][name]) for name, one in systems.items()])
        )
    texts.append(paragraph(_NOTES))
    return "\n\n".join(texts)


_PEER_HEAD = (
    *("system", "images/s", "lowest-highest", "of the limit", "skinml is", "start-up, s"),
    *("images in the two runs", "pixels, dB"),
)


def _peer(one: Speed, limit: Speed | None, us: Speed | None, record: Result) -> tuple[str, ...]:
    sizes = f"{one.images[0]:,} and {one.images[1]:,}"
    if one.error:
        return (one.title, f"failed: {one.error}", "", "", "", "", sizes, "")
    return (
        one.title if one is not us else f"**{one.title}**",
        number(one.rate),
        rates(one),
        number(ratio(one, limit), 2),
        "" if one is us else times(ratio(us, one)),
        number(one.startup, 1),
        sizes,
        number(record["psnr_db"], 1),
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
    found = speeds(bucket)
    rows = [
        (
            one.title,
            f"failed: {one.error}" if one.error else number(one.rate),
            rates(one),
            number(one.startup, 1),
            f"{one.images[0]:,} and {one.images[1]:,}",
        )
        for one in found.values()
    ]
    times_as_fast = number(ratio(found[US], found["s3fs"]), 2)
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
