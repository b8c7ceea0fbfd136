"""What Python imports on the way to a night with nothing new, and to a fit, by `python -X importtime`."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.bundle import make_bundle
from benchmarks.start.inputs import NEW_IMAGES, NOW, scored_workspace, trees

OURS = ("skinml", "tasks", "flows", "deployments")

KERAS = {
    "import keras": "import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '2'; import keras",
    "import_keras()": "from skinml.models.keras_import import import_keras; import_keras()",
}

_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| \s*([\w.]+)")


def measure(bench: Bench) -> Result:
    """Milliseconds of each library's own modules, without those that they import in turn."""
    bundle = make_bundle(bench)
    compared = trees(bench)
    archive = bench.input("q75", NEW_IMAGES).images
    workspace = scored_workspace(bench, bundle, compared[NOW], archive)
    night: Result = {}
    for name, tree in compared.items():
        say(f"imports of a night, {name} ...")
        python, *rest = tree.skinml(workspace, "score", "--archive", archive)
        night[name] = _imports(bench, [python, "-X", "importtime", *rest], tree.environment)
    fit: Result = {}
    for name, code in KERAS.items():
        say(f"imports of a fit, {name} ...")
        command = [sys.executable, "-X", "importtime", "-c", code]
        fit[name] = _imports(bench, command, {**compared[NOW].environment, "KERAS_BACKEND": "tensorflow"})
    return {"night": night, "fit": fit}


def _imports(bench: Bench, command: list[str], environment: dict[str, str]) -> dict[str, float]:
    bench.run(command, environment)  # compiles what was never imported, and reads the disk
    bench.run(command, environment)
    said = (bench.work / "program.log").read_text(encoding="utf-8", errors="replace")
    return by_library(said.splitlines())


def by_library(lines: Iterable[str]) -> dict[str, float]:
    """Milliseconds by library, the most first, from what `-X importtime` prints; ours are one.

    >>> by_library(["import time:  1500 |  2000 |   flows.score", "import time:  800 |  800 | pandas._libs"])
    {'skinml': 1.5, 'pandas': 0.8}
    """
    spent: Counter[str] = Counter()
    for match in filter(None, map(_LINE.match, lines)):
        library = match[2].partition(".")[0]
        spent["skinml" if library in OURS else library] += int(match[1])
    return {library: round(microseconds / 1000, 1) for library, microseconds in spent.most_common()}
