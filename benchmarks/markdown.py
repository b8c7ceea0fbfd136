"""The document's parts that every benchmark writes alike: markers, tables, prose, numbers, the machine."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.bench import Result
from benchmarks.figures import Speed, Target

DOCUMENT = Path("docs/benchmarks.md")

SKELETON = """# Benchmarks

Every figure here is written by a program that is in the repository, from figures that are recorded in
`benchmarks/results/`: run it on your machine and the page is yours.

<!-- prepare -->
<!-- /prepare -->

<!-- score -->
<!-- /score -->

<!-- accuracy -->
<!-- /accuracy -->
"""


def put_into(into: Path, name: str, content: str) -> None:
    """Put a section into the document below `into`, which is made where there is none."""
    document = into / DOCUMENT
    document.parent.mkdir(parents=True, exist_ok=True)
    before = document.read_text(encoding="utf-8") if document.exists() else SKELETON
    document.write_text(put_between(before, name, content), encoding="utf-8")


def put_between(text: str, name: str, content: str) -> str:
    """The text with what stands between a name's two markers replaced; the rest is left alone."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise ValueError(f"the document has no {start} ... {end}")
    before, _, rest = text.partition(start)
    after = rest.partition(end)[2]
    return f"{before}{start}\n{content.strip()}\n{end}{after}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def paragraph(text: str) -> str:
    """Prose in lines as wide as the code's."""
    return textwrap.fill(" ".join(text.split()), 112, break_long_words=False, break_on_hyphens=False)


def trials(found: Result) -> list[str]:
    """Sections that ran on another number of images than they should."""
    return sorted(name for name, part in found.items() if part["scale"] != 1)


def trial_warning(found: Result) -> list[str]:
    """A paragraph that says so, where there are such sections."""
    shrunken = trials(found)
    if not shrunken:
        return []
    return [f"**A trial, not a measurement**: {', '.join(shrunken)} ran on a fraction of the images."]


def repetitions(found: Result) -> str:
    """How often things were run, in words."""
    return " or ".join(map(str, sorted({part["repetitions"] for part in found.values()})))


def promises(found: Result, targets: Iterable[Target]) -> str:
    """What was promised beside what was found; a trial judges nothing."""
    judged = not trials(found)
    words = {True: "yes" if judged else "-", False: "**no**" if judged else "-", None: "-"}
    rows = [(one.what, one.promised, one.found, words[one.met]) for one in targets]
    return "### What was promised\n\n" + table(("what", "promised", "found", "kept"), rows)


def machine(found: Result) -> str:
    """What it all ran on: once where that is the same for all sections."""
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


def rates(one: Speed) -> str:
    """The lowest and the highest rate of the repetitions."""
    return "-" if one.slowest is None else f"{number(one.slowest)}-{number(one.fastest)}"


def bytes_of(count: float) -> str:
    """A number of bytes, for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
