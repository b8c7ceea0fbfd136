"""The thesis's notebook as a script: pandas metadata, Pillow in one process, everything in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.peers.common import parse

if __name__ == "__main__":
    job = parse(__doc__)
    paths = {path.stem: str(path) for path in job.images.glob("*.jpg")}
    df = pd.read_csv(job.metadata)
    df["path"] = df["image_id"].map(paths.get)
    df["image"] = df["path"].map(lambda x: np.asarray(Image.open(x).resize((job.size, job.size))))
    np.save(job.out, np.asarray(df["image"].tolist()))
