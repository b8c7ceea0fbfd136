"""Made-up predictions for the tests of skinml/evaluation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skinml.labels import DIAGNOSES
from skinml.schemas import PREDICTIONS, PROBABILITY_COLUMNS

SHARES = (0.06, 0.08, 0.13, 0.05, 0.15, 0.45, 0.08)


def predictions(lesions: int = 120, seed: int = 0, signal: float = 1.5, split: str = "test") -> pd.DataFrame:
    """Predictions (`schemas.PREDICTIONS`) of lesions with one to three images, all seven classes among them.

    Labels and lesions are the same whatever the signal, so two of them are predictions of the same images.
    """
    generator = np.random.default_rng(seed)
    classes = np.concatenate([np.arange(7), generator.choice(7, lesions - 7, p=SHARES)])
    numbers = np.repeat(np.arange(lesions), generator.integers(1, 4, lesions))
    labels, count = classes[numbers], len(numbers)
    rows = pd.DataFrame(
        {
            "image_id": [f"{split}-{number:04d}" for number in range(count)],
            "lesion_id": [f"{split}-lesion-{number:04d}" for number in numbers],
            "dx": np.array(DIAGNOSES)[labels],
            "split": split,
            "draws": 1,
            "image_trained_on": False,
            "lesion_trained_on": False,
            "age": generator.choice([20.0, 40.0, 60.0, 80.0, np.nan], lesions)[numbers],
            "sex": generator.choice(["male", "female", None], lesions)[numbers],
            "localization": generator.choice(["back", "face", None], lesions)[numbers],
            "source": generator.choice(["here", "there", None], lesions)[numbers],
        }
    )
    hard = generator.normal(0, 1, (lesions, 7))[numbers]
    logits = hard + generator.normal(0, 0.7, (count, 7)) + signal * np.eye(7)[labels]
    raised = np.exp(logits)
    rows[list(PROBABILITY_COLUMNS)] = raised / raised.sum(axis=1, keepdims=True)
    return rows[PREDICTIONS.names]
