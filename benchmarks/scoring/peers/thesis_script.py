"""The thesis's notebook as a script: Pillow in one process, all pixels in memory, Keras, a CSV file."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.scoring.peers.common import SIZE, as_rows, parse

if __name__ == "__main__":
    job = parse(__doc__)
    df = pd.DataFrame({"path": job.files()})
    df["image"] = df["path"].map(lambda x: np.asarray(Image.open(x).resize((SIZE, SIZE))))
    x = np.asarray(df["image"].tolist()).astype("float32")  # the network divides by 255 itself
    model = keras.models.load_model(job.options.bundle / "model.keras")
    as_rows(df["path"].tolist(), model.predict(x, verbose=0)).to_csv(job.out, index=False)
