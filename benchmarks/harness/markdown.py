"""Write the parts that all benchmark documents share: markers, tables, numbers, promises, the machine."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import Speed, Target


def put_between(text: str, name: str, content: str) -> str:
    """The text with what stands between a name's two markers replaced; the rest is left alone."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise ValueError(f"the document has no {start} ... {end}")
    before, _, rest = text.partition(start)
    after = rest.partition(end)[2]
    return f"{before}{start}\n{content.strip()}\n{end}{after}"


def emptied(text: str) -> str:
    """The text with nothing between any two markers: a document before its first benchmark."""
    return re.sub(r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", r"\1\3", text, flags=re.DOTALL)


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
        text = f"""{described(part["machine"])} Inputs are made from {part["sources"]}:
            cropped, turned, lit and grained anew, so that every file differs."""
        by_description.setdefault(text, []).append(name)
    same = len(by_description) == 1
    texts = [
        paragraph(text if same else f"For {', '.join(names)}: {text}") for text, names in by_description.items()
    ]
    return "\n\n".join(("### The machine", *texts))


def described(one: Result) -> str:
    """One machine, with its versions, as a sentence."""
    libraries = ", ".join(f"{library} {version}" for library, version in one["libraries"].items())
    return (
        f"{one['date']}: {one['processor']}, {one['cores']} cores, {one['memory_gb']} GB, {one['system']};"
        f" Python {one['python']}; {libraries}."
    )


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
