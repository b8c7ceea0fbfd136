"""The network alone, a process on every core at once, beside what such a core makes of two matrices."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Barrier

import numpy as np
import onnx
from threadpoolctl import threadpool_limits

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.bundle import make_bundle
from benchmarks.scoring.peers.common import BATCH, SIZE, one_thread_session
from skinml.compute import cores

EDGE = 1024
"""Edge of the matrices: three of them, of 4 MB, and a library for matrices is at its best."""

IMAGES = 4096
"""How many each core predicts, which takes seconds."""

NETWORKS = {"fp32": "model.onnx", "int8": "model-int8.onnx"}


def measure(bench: Bench) -> Result:
    """Microseconds an image of both networks, and GFLOP/s of a product of matrices, of each repetition."""
    folder = make_bundle(bench).folder
    count = cores()
    context = multiprocessing.get_context("spawn")  # nobody starts with another's threads in memory
    turns: list[dict[str, float]] = []
    with context.Manager() as manager, context.Pool(count) as pool:
        task = (str(folder), bench.count(IMAGES) // BATCH, manager.Barrier(count))
        for repetition in range(bench.repetitions):
            found = pool.starmap(on_a_core, [task] * count, chunksize=1)
            turns.append({name: round(statistics.fmean(one[name] for one in found), 2) for name in found[0]})
            say(f"network {repetition + 1}/{bench.repetitions}: {turns[-1]}")
    figures: Result = {name: [turn[name] for turn in turns] for name in turns[0]}
    return {"flop": flop(folder / NETWORKS["fp32"]), **figures}


def on_a_core(folder: str, calls: int, together: Barrier) -> dict[str, float]:
    """Microseconds an image of each network (fp32, int8) and GFLOP/s of matrices (matrices), on one thread.

    Args:
        folder: of the model's files.
        calls: how many of each are timed.
        together: where all processes meet before each of the three: cores that share something do so here too.
    """
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (BATCH, SIZE, SIZE, 3)).astype(np.float32)
    matrix = generator.random((EDGE, EDGE), dtype=np.float32)
    found: dict[str, float] = {}
    for name, file in NETWORKS.items():
        session = one_thread_session(str(Path(folder, file)))
        call = partial(session.run, ["probabilities"], {"pixels": pixels})
        found[name] = 1e6 * _seconds(call, calls, together) / BATCH
    with threadpool_limits(1):
        product = _seconds(partial(np.matmul, matrix, matrix), calls, together)
    found["matrices"] = 2 * EDGE**3 / product / 1e9
    return found


def _seconds(work: Callable[[], object], calls: int, together: Barrier) -> float:
    """The median duration of a call, after a first one that does not count."""
    work()
    together.wait()
    seconds = []
    for _ in range(max(calls, 1)):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def flop(network: Path) -> int:
    """Floating-point operations an image: two for each multiplication of a convolution or a matrix product.

    Activations, pooling and biases are left out: for the thesis CNN they are less than one in a hundred.
    """
    graph = onnx.shape_inference.infer_shapes(onnx.load(network)).graph
    weights = {one.name: list(one.dims) for one in graph.initializer}
    shapes = {one.name: [edge.dim_value for edge in one.type.tensor_type.shape.dim] for one in graph.value_info}
    found = 0
    for node in graph.node:
        if node.op_type == "Conv":
            found += 2 * int(np.prod(weights[node.input[1]])) * int(np.prod(shapes[node.output[0]][2:]))
        elif node.op_type == "MatMul":
            found += 2 * int(np.prod(weights[node.input[1]]))
    return found
