"""The short form of the unit tests: without the extra `train`, what needs it is left out."""

from __future__ import annotations

from importlib.util import find_spec

NEEDS_TRAIN = [
    "evaluation",
    "exploration/test_summary.py",
    "external_validation",
    "gate",
    "models/test_bundle.py",
    "models/test_decide.py",
    "models/test_decide_challenger.py",
    "models/test_floors.py",
    "models/test_judged.py",
    "models/test_onnx.py",
    "models/test_outliers.py",
    "models/test_quantise.py",
    "models/zoo",
    "records/test_labelled.py",
    "records/test_old_checkpoints.py",
    "report/test_card_items.py",
    "report/test_evaluation_figures.py",
    "report/test_figures.py",
    "report/test_gate_page.py",
    "retraining",
    "test_labels.py",
    "training",
]
"""Files and folders whose tests import keras, tensorflow, scikit-learn or matplotlib."""

collect_ignore = [] if find_spec("keras") else NEEDS_TRAIN
