"""What the scoring peers share: their command line, the network on one thread, a table of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.harness.job import Job, read_job

SIZE = 32
"""Edge of the network's input, px."""

BATCH = 32
"""Images a call of onnxruntime: the fastest there is on this network, so that peers get it too."""

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def parse(description: str | None, *extra: str) -> Job:
    """Read the command line; `extra` are names of further flags that take a text.

    The job is to write the probabilities of every JPEG in `images`, by the model in the folder options.bundle
    (model.keras, model.onnx and model-int8.onnx), to `out`: a CSV file, a Parquet file or a folder of Parquet
    files, with a column that names the image (`image_id`, `uri` or `path`) and seven of probabilities
    (p_akiec ...).
    """
    return read_job(description, {"bundle": Path}, extra)


def one_thread_session(network: str) -> Any:
    """The ONNX file on onnxruntime, on one thread: there is a process for every core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def as_rows(uris: Sequence[str], probabilities: NDArray[np.float32]) -> pd.DataFrame:
    """A table of images and their probabilities (n, 7)."""
    columns = {f"p_{name}": probabilities[:, number] for number, name in enumerate(CLASSES)}
    return pd.DataFrame({"uri": uris, **columns})
