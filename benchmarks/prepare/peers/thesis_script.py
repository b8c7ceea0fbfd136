"""The thesis's notebook as a script: pandas metadata, Pillow in one process, everything in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.prepare.peers.common import parse

if __name__ == "__main__":
    job = parse(__doc__)
    paths = {Path(file).stem: file for file in job.files()}
    shape = (job.options.size, job.options.size)
    df = pd.read_csv(job.options.metadata)
    df["path"] = df["image_id"].map(paths.get)
    df["image"] = df["path"].map(lambda x: np.asarray(Image.open(x).resize(shape)))
    np.save(job.out, np.asarray(df["image"].tolist()))
