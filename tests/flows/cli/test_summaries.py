"""Tests of flows/cli/summaries.py: sentences that a person would quote, for one, several and none."""

# ruff: noqa: E501 - a sentence is compared in one piece
from __future__ import annotations

import re
from typing import Any

import pytest

from flows.cli.summaries import SUMMARIES, summary
from flows.cli.verbs import VERBS

NIGHT: dict[str, Any] = {
    "listed": 50_000,
    "scored": 1_024,
    "quarantined": 3,
    "reasons": {"not_an_image": 1, "truncated": 2},
    "malignant": 12,
    "seconds": 12.04,
    "images_per_second": 85.3,
    "table_version": 7,
    "beyond_limit": 0,
    "health": "usual",
}
PREPARED: dict[str, Any] = {
    **{"listed": 10_015, "prepared": 9_958, "quarantined": 57, "reasons": {"no_metadata": 57}},
    **{"seconds": 41.2, "images_per_second": 243, "dataset_version": 3},
    "until_retraining": "37 of 50 new lesions until retraining",
}
METRICS = {"images": 90, "balanced_accuracy": 0.68, "melanoma_sensitivity": 5 / 7}
TRAINED: dict[str, Any] = {
    **{"model_name": "thesis-cnn", "model_version": "v1", "seconds": 130.4, "metrics": METRICS},
    **{"intervals": {"balanced_accuracy": [0.6, 0.75]}, "decision": "first"},
}
SEARCHED: dict[str, Any] = {
    **{"done": 24, "failed": 1, "best": {"network": "32+64-128", "balanced_accuracy": 0.512}},
    **{"thesis": {"balanced_accuracy": 0.43}, "model_version": "v3", "metrics": {"balanced_accuracy": 0.54}},
}
EXPORTED: dict[str, Any] = {
    **{"run_id": "score-1", "rows": 50, "of": 1_024, "file": "top.csv", "sort": "p_malignant"},
    "health": "usual",
}
COMPACTED: dict[str, Any] = {
    "tables": {"scores": {"small_files": 2, "vacuumed": 0}, "runs": {"small_files": 1, "vacuumed": 1}},
    **{"dry_run": False, "seconds": 0.31},
}

SENTENCES: list[tuple[str, str | None, dict[str, Any], str]] = [
    (
        *("score", None, NIGHT),
        "Scored 1,024 new images of 50,000 in 12 s (85 images/s); 3 went to quarantine (2 truncated, 1 not an "
        "image); 12 look malignant (p_malignant of at least 0.5). Table version 7.",
    ),
    (
        *(
            "score",
            None,
            NIGHT | {"listed": 1, "scored": 1, "quarantined": 0, "malignant": 1, "beyond_limit": 1},
        ),
        "Scored 1 new image of 1 in 12 s (85 images/s); none went to quarantine; 1 looks malignant (p_malignant "
        "of at least 0.5). Table version 7. 1 image left for the next run.",
    ),
    (
        *("score", None, NIGHT | {"scored": 0, "quarantined": 1, "reasons": {"empty": 1}, "malignant": 0}),
        "Scored 0 new images of 50,000 in 12 s (85 images/s); 1 went to quarantine (1 empty). Table version 7.",
    ),
    ("score", None, NIGHT | {"scored": 0, "quarantined": 0}, "Nothing new to score: 50,000 images listed."),
    ("score", None, NIGHT | {"listed": 0, "scored": 0}, "Found no image to score."),
    (
        *("score", None, NIGHT | {"health": "drifted", "malignant": 0, "images_per_second": 0.53}),
        "Scored 1,024 new images of 50,000 in 12 s (0.53 images/s); 3 went to quarantine (2 truncated, 1 not an "
        "image); none looks malignant (p_malignant of at least 0.5). Table version 7. The images have drifted: do "
        "not trust these scores.",
    ),
    (
        *("prepare", None, PREPARED),
        "Prepared 9,958 new images of 10,015 in 41 s (243 images/s); 57 went to quarantine (57 without metadata). "
        "Dataset version 3. 37 of 50 new lesions until retraining.",
    ),
    (
        *("prepare", None, PREPARED | {"prepared": 0, "quarantined": 0, "until_retraining": None}),
        "Nothing new to prepare: 10,015 images listed.",
    ),
    (
        *("train", None, TRAINED),
        "Trained thesis-cnn in 2 min 10 s: balanced accuracy 0.680 (0.600 to 0.750), melanoma sensitivity 0.714 on "
        "90 test images. Version v1: it is the champion.",
    ),
    (
        *("train", None, TRAINED | {"decision": "kept", "honest": {"balanced_accuracy": 0.51}}),
        "Trained thesis-cnn in 2 min 10 s: balanced accuracy 0.680 (0.600 to 0.750), melanoma sensitivity 0.714 on "
        "90 test images. With whole lesions held out: balanced accuracy 0.510. Version v1: it is registered, and "
        "is not champion.",
    ),
    (
        *("retrain", None, {"decision": "skipped", "challenger": None, "reason": "37 of 50 new lesions"}),
        "Did not retrain: 37 of 50 new lesions.",
    ),
    (
        *("retrain", None, {"decision": "promoted", "challenger": "v2", "reason": "it is better."}),
        "Retrained: v2 is the new champion: it is better.",
    ),
    (
        *("search", None, SEARCHED),
        "Measured 24 networks, 1 failed. The best one, 32+64-128, reached a balanced accuracy of 0.512 on"
        " validation lesions (the thesis's network 0.430). Version v3: balanced accuracy 0.540 on test lesions;"
        " skinml models promote would make it champion.",
    ),
    ("mislabelled", None, {"issues": 1, "lesions": 120}, "1 of 120 lesions has a suspicious label."),
    ("mislabelled", None, {"issues": 0, "lesions": 1}, "No label of 1 lesion is suspicious."),
    (
        *("evaluate", None, {"model_version": "v1", "images": 1, "metrics": {}, "report": "reports/1/"}),
        "Model v1 on 1 image: nothing could be measured. Report: reports/1/",
    ),
    (
        *("export", None, EXPORTED),
        "Wrote 50 rows of 1,024 of run score-1 to top.csv, sorted by p_malignant.",
    ),
    (
        *("export", None, EXPORTED | {"rows": 1, "of": 1, "sort": None, "health": "drifted"}),
        "Wrote 1 row of run score-1 to top.csv. The run has drifted: do not trust its scores.",
    ),
    ("compact", None, COMPACTED, "Merged 3 small files and deleted 1 unneeded file in 0.3 s."),
    (
        *("compact", None, COMPACTED | {"dry_run": True}),
        "Would merge 3 small files and delete 1 unneeded file. Nothing was changed.",
    ),
    ("quarantine", "list", {"images": 0}, "No image is in quarantine."),
    ("quarantine", "list", {"images": 1}, "1 image is in quarantine."),
    (
        *("quarantine", "replay", NIGHT | {"replayed": 2, "scored": 1, "still_quarantined": 1}),
        "Tried 2 images again in 12 s (85 images/s): 1 scored, 1 still cannot be used.",
    ),
    (
        "models",
        "verify",
        {"models": [1], "problems": []},
        "Checked 1 version: every file is as it was registered.",
    ),
    ("models", "verify", {"models": [1, 2], "problems": ["x"]}, "Checked 2 versions: 1 problem found."),
    ("models", "list", {"models": [1], "champion": None}, "1 version registered. There is no champion."),
    ("models", "history", {"promotions": [1, 2], "champion": "v2"}, "2 decisions. v2 is the champion."),
    (
        "models",
        "rollback",
        {"champion": "v1", "previous_version": "v2"},
        "v1 is the champion now, instead of v2.",
    ),
    (
        *("fetch", None, {"fetched": 1, "there_already": 2, "seconds": 3.0}),
        "Fetched 1 image in 3.0 s; 2 were there already.",
    ),
    (
        *("explore", None, {"images": 140, "lesions": 1, "files": ["a", "b"], "suspicious_labels": 1}),
        "Drew 140 images of 1 lesion in 2 files; 1 label is suspicious.",
    ),
    (
        *("organize", None, {"linked": 3, "copied": 1, "there_already": 1, "missing": 2}),
        "Put 4 images into one folder for each class; 1 was there already; 2 are gone.",
    ),
    ("report", None, {"files": ["a/index.html"], "seconds": 0.5}, "Wrote 1 file in 0.5 s: a/index.html"),
    ("synth", None, {"images": 200, "corrupt": 1}, "Made 200 images; 1 is broken on purpose."),
    ("status", None, {"problems": [], "last_completed": None}, "Healthy; no night has completed yet."),
    ("doctor", None, {"ok": 7, "warning": 1, "failed": 2}, "10 checks: 1 warning, 2 failed."),
    ("explain", None, {"files": ["a"], "image_id": "ISIC_1"}, "Wrote 1 file on why ISIC_1 got its score."),
    (
        *("drill", None, {"kills": 1, "seconds": 65, "problems": []}),
        "Killed 1 run in 1 min 5 s: no row was lost, doubled or different.",
    ),
    (
        *("demo", None, {"scored": 180, "quarantined": 20, "balanced_accuracy": 0.6803}),
        "The demo scored 180 images and put 20 broken images in quarantine; its model has a balanced accuracy of "
        "0.680.",
    ),
]


@pytest.mark.parametrize(("verb", "action", "result", "sentence"), SENTENCES)
def test_the_sentence(verb: str, action: str | None, result: dict[str, Any], sentence: str) -> None:
    assert summary(verb, action, result) == sentence


def test_every_verb_has_one() -> None:
    assert list(SUMMARIES) == [(verb.name, verb.action) for verb in VERBS]


def test_no_number_and_noun_disagree() -> None:
    for _, _, _, sentence in SENTENCES:
        assert not re.search(r"(?<![\d.,])1 (?:images|rows|files|lesions|versions|checks|warnings)\b", sentence)
        assert not re.search(
            r"\b(?:[2-9]|\d{2,}|0) (?:image|row|file|lesion|version|check|warning)\b(?!s)", sentence
        )
        assert sentence.endswith((".", "/", ".html"))
