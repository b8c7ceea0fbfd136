"""What every scoring peer is told on its command line: archive, model bundle, where probabilities go."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SIZE = 32
"""Edge of the network's input, px."""

BATCH = 32
"""Images a call of onnxruntime: the fastest there is on this network, so that peers get it too."""

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


@dataclass(frozen=True)
class ScoreJob:
    """One job: the probabilities of every JPEG in `images` by the model in `bundle`, written to `out`.

    `out` ends up as a CSV file, a Parquet file or a folder of Parquet files, with a column that names the
    image (`image_id`, `uri` or `path`) and seven of probabilities (p_akiec ...).

    Attributes:
        images: folder, or s3://bucket/prefix that AWS_* in the environment opens.
        bundle: folder with model.keras, model.onnx and model-int8.onnx.
        out: where probabilities go.
        options: further flags of one peer.
    """

    images: str
    bundle: Path
    out: Path
    options: argparse.Namespace

    def files(self) -> list[str]:
        """The images of a folder in order of their names."""
        return sorted(str(path) for path in Path(self.images).iterdir())


def parse(description: str | None, *extra: str) -> ScoreJob:
    """Read the command line; `extra` are names of further flags that take a value."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", required=True, help="folder of JPEGs, or s3://bucket/prefix")
    parser.add_argument("--bundle", type=Path, required=True, help="the model version's folder")
    parser.add_argument("--out", type=Path, required=True, help="where the probabilities go")
    for name in extra:
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    return ScoreJob(options.images, options.bundle, options.out, options)


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
