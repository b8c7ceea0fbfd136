"""The score benchmark's part of docs/benchmarks.md, from recorded figures."""

from __future__ import annotations

import statistics

from benchmarks.harness.bench import Result
from benchmarks.harness.benchmark import Plot
from benchmarks.harness.figures import Speed, ratio, speeds
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
from benchmarks.harness.systems import LIMIT, US
from benchmarks.scoring.agreement import LEAST_AGREEMENT, SAMPLE
from benchmarks.scoring.figures import KnownNight, known_nights, targets
from benchmarks.scoring.peers.common import BATCH
from benchmarks.scoring.sections.network import EDGE
from benchmarks.scoring.systems import limit_of

PICTURE = "benchmarks/score.png"
PLACES = ("folder", "bucket")


def plot(found: Result) -> Plot | None:
    """What is drawn: the folder and the bucket."""
    entries = {place: found[place]["figures"] for place in PLACES if place in found}
    title = "JPEGs to a table of probabilities: images per second, start-up left out"
    return Plot(title, entries) if entries else None


def section(found: Result) -> str:
    """The score section of the document."""
    parts = [
        "## Scoring: JPEGs to a table of probabilities",
        *trial_warning(found),
        paragraph(
            f"""`make bench-score` has the thesis's network (32 px) score the same JPEGs of 600x450 at quality
            75 by skinml and by what else people use, as the benchmark above measures: whole programs on all
            cores, in turn, slopes between few images and many, medians of {repetitions(found)}. Everybody
            writes its probabilities to a table (the thesis script to a CSV file), and those of {SAMPLE} images
            a run are compared with the exact ones: Pillow's full decode, and the network in fp32, image by
            image. Whoever leaves out an image, or predicts another class for more than
            {1 - LEAST_AGREEMENT:.0%} of these, is
            out."""
        ),
        promises(found, targets(found)),
        *_within_reach(found),
        *(_contests(found) if any(place in found for place in PLACES) else []),
        *(_network(found["network"]["figures"]) if "network" in found else []),
        *(_nothing_new(found["known"]["figures"]) if "known" in found else []),
        machine(found),
    ]
    return "\n\n".join(parts)


def _within_reach(found: Result) -> list[str]:
    """How far the limit itself is ahead of those whom skinml promises to be ahead of."""
    if "folder" not in found:
        return []
    folder = speeds(found["folder"]["figures"])
    ahead = [
        f"{times(one)} {folder[peer].title}"
        for peer in ("tf_data", "ray_data")
        if (one := ratio(folder[LIMIT], folder[peer])) is not None
    ]
    if not ahead:
        return []
    return [
        paragraph(
            f"""The limit in fp32 is itself {" and ".join(ahead)}: with this decoder and this runtime nobody
            is further ahead on this machine, but for noise."""
        )
    ]


def _contests(found: Result) -> list[str]:
    texts = ["### The same archive, the same network", f"![Images per second]({PICTURE})"]
    for place in PLACES:
        if place in found:
            entry = found[place]["figures"]
            texts.append(f"**{entry['title'].capitalize()}** ({bytes_of(entry['bytes'])} an image)")
            texts.append(_contest(entry))
    memories = [row for place in PLACES if place in found for row in _memory(place, found[place]["figures"])]
    texts += [*map(paragraph, _NOTES.split("\n\n")), table(_MEMORY_HEAD, memories)]
    return texts


_HEAD = (
    *("system", "images/s", "lowest-highest", "of its limit", "skinml in fp32 is", "start-up, s"),
    *("images in the two runs", "same class", "largest difference"),
)


def _contest(entry: Result) -> str:
    systems = speeds(entry)
    rows = []
    for name, one in systems.items():
        record = entry["systems"][name]
        sizes = f"{one.images[0]:,} and {one.images[1]:,}"
        if one.error:
            rows.append((one.title, f"failed: {one.error}", "", "", "", "", sizes, "", ""))
            continue
        same = record["same_class"]
        rows.append(
            (
                f"**{one.title}**" if name.startswith(US) else one.title,
                number(one.rate),
                rates(one),
                number(ratio(one, systems.get(limit_of(name))), 2),
                "" if name == US else times(_times_as_fast(systems, name)),
                number(one.startup, 1),
                sizes,
                "-" if same is None else f"{same:.1%}",
                number(record["largest_difference"], 3),
            )
        )
    return table(_HEAD, rows)


def _times_as_fast(systems: dict[str, Speed], name: str) -> float | None:
    return ratio(systems.get(US), systems[name])


_NOTES = """
The limit decodes at the smallest scale of simplejpeg's that leaves at least twice the target's edges and runs
the network on onnxruntime, 32 images a call, a process and a thread on every core, and nothing else: it
resizes nothing and writes nothing. From a bucket it reads 64 objects at a time through obstore. *tf.data +
Keras* is a parallel map with AUTOTUNE, a full decode and a bicubic resize, into `model.predict`; *decoded at a
fraction* is its fastest setting that still leaves twice the target. *Ray Data* is `read_images` and
`map_batches` with a class that holds the network on onnxruntime, an actor a core; *our decoder in its actor*
decodes as skinml does, which nobody who uses Ray Data does by himself. *A script that reads through s3fs* is a
process per core with our decoder and onnxruntime. The bucket is SeaweedFS on the same machine, which takes its
share of the cores. The thesis script reads files alone, and so does TensorFlow from PyPI: both would need all
objects copied first. skinml's workspace is on a folder. The limit in int8 holds for skinml in int8, the one in
fp32 for everybody else. int8 is timed with a bundle that was given its permission by hand: so few made-up
lesions cannot earn it. *Largest difference* is that of any probability from the exact one.

Peak memory, of a run each:"""

_MEMORY_HEAD = ("skinml score", "images", "driver's peak, MB", "largest worker's peak, MB")


def _memory(place: str, entry: Result) -> list[tuple[str, ...]]:
    return [
        (
            f"{entry['systems'][name]['title'].removeprefix('skinml, ')}, from a {place}",
            f"{memory['images']:,}",
            number(memory["driver_mb"]),
            number(memory["worker_mb"]),
        )
        for name, memory in entry["memory"].items()
    ]


def _network(alone: Result) -> list[str]:
    flop = alone["flop"]
    fp32, int8, matrices = (statistics.median(alone[name]) for name in ("fp32", "int8", "matrices"))
    reached = flop / fp32 / 1e3
    head = ("a core", "an image, us", "images/s", "GFLOP/s")
    rows = [
        ("the network in fp32", number(fp32), number(1e6 / fp32), number(reached)),
        ("the network in int8", number(int8), number(1e6 / int8), "-"),
        (f"a product of matrices of {EDGE:,} x {EDGE:,}", "-", "-", number(matrices)),
    ]
    return [
        "### The network alone",
        paragraph(
            f"""onnxruntime on {BATCH} images a call, without reading or decoding anything, and NumPy's product
            of two matrices in fp32; a process and a thread on every core, all at once. The network takes
            {flop / 1e6:.0f} million floating-point operations an image. In fp32 it makes them at
            {reached / matrices:.2f} times the rate of the product of matrices: what is missing to 1 is about
            all that another runtime could gain by the same arithmetic. The network costs everybody the same:
            the slower a machine multiplies, the closer together all come who score in fp32."""
        ),
        table(head, rows),
    ]


_NIGHT_HEAD = (
    *("archive", "objects", "the run, s", "bare listing, s", "an object, us", "listing it, us", "times"),
    "driver's peak, MB",
)


def _nothing_new(known: Result) -> list[str]:
    titles = {
        "real": "SeaweedFS",
        "paced": f"simulated, {known['page_ms']} ms a page",
        "unpaced": "simulated, at once",
    }
    rows = [
        _night(titles[place], night) for place, rows in known["places"].items() for night in known_nights(rows)
    ]
    return [
        "### A night with nothing new",
        paragraph(
            """`skinml score` over a bucket of which every object is scored already, beside the bare listing of
            the same (obstore, 1,000 keys a page, nothing done with them), whole programs both. What an object
            costs is the slope from the empty archive. A million objects are simulated: a server of its own
            answers with pages that were rendered beforehand, at about the pace of SeaweedFS, and then at once,
            which no store does: that shows what an object costs the run itself. `scores` holds a row for each
            object, in files of 4,096 rows."""
        ),
        table(_NIGHT_HEAD, rows),
    ]


def _night(title: str, night: KnownNight) -> tuple[str, ...]:
    return (
        title,
        f"{night.objects:,}",
        number(night.seconds, 2),
        number(night.listing, 2),
        number(night.night_microseconds, 1),
        number(night.listing_microseconds, 1),
        times(night.times),
        number(night.driver_mb),
    )
