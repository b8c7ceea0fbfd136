"""The states in which runs end: their names, and messages that hold counts alone."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.cli.verbs import VERBS, imported
from skinml.errors import RequestError, RunError, StorageError, UnusableImagesError
from tasks import states
from tasks.ending import ends_of

NIGHT = {
    "listed": 1240,
    "skipped": 0,
    "scored": 1200,
    "quarantined": 40,
    "backfill": False,
    "health": "usual",
    "health_sentence": "the 1,200 images of this run look like those the model was tested on",
}
SENTENCE = (
    "do not trust this run's scores: median brightness (0 to 1) is lower (0.263 against 0.685, PSI 2.40, p <"
    " 1e-9), sharpness (variance of the Laplacian) is spread differently (0.5 against 0.1 of the images in the"
    " part of its range that gained most, PSI 2.40, p < 1e-9) than in the images the model was tested on"
)


def test_a_usual_night() -> None:
    ending = states.of_night(NIGHT)
    assert (ending.name, ending.trouble, ending.counts) == ("Usual", False, "1,200 scored, 40 unusable")
    assert ending.message == (
        "1,200 scored, 40 unusable of 1,240 listed; the 1,200 images of this run look like those the model was"
        " tested on"
    )


@pytest.mark.parametrize("health", [("too_few", "3 images are too few to judge"), (None, None)])
def test_a_night_that_cannot_be_judged_is_usual(health: tuple[str | None, str | None]) -> None:
    ending = states.of_night({**NIGHT, "health": health[0], "health_sentence": health[1]})
    assert (ending.name, ending.trouble) == ("Usual", False)


def test_a_drifted_night_is_trouble_and_says_that_its_rows_are_committed() -> None:
    ending = states.of_night({**NIGHT, "health": "drifted", "health_sentence": SENTENCE})
    assert (ending.name, ending.trouble) == ("Drifted", True)
    assert ending.message == (
        "drifted: do not trust this run's scores: median brightness is lower, sharpness is spread differently"
        " than in the images the model was tested on; the 1,200 new rows are committed"
    )


def test_a_backfill_is_no_night_and_a_night_may_have_nothing_new() -> None:
    drifted = {**NIGHT, "health": "drifted", "health_sentence": SENTENCE}
    assert states.of_night({**drifted, "backfill": True}).name == "Completed"
    assert states.of_night({**NIGHT, "scored": 0, "quarantined": 0}).counts == "nothing new"


def test_too_many_unusable_images_are_counted() -> None:
    error = UnusableImagesError(
        "23% ... s3://bucket/patient.jpg", "23 % of 1,200 new images could not be used: 276 truncated"
    )
    ending = states.of_error(error)
    assert (ending.name, ending.trouble, ending.counts) == ("Quarantined", True, "23 % unusable")
    assert ending.message == "23 % of 1,200 new images could not be used: 276 truncated"


@given(
    st.sampled_from([RunError, RequestError, StorageError, ValueError, KeyError, UnusableImagesError, OSError]),
    st.text(min_size=3),
)
def test_no_text_of_an_error_is_in_a_message(kind: type[Exception], text: str) -> None:
    ending = states.of_error(kind(f"s3://bucket/{text}: /archive/ISIC_0024306.jpg"))
    assert not re.search(r"://|/archive|ISIC|bucket", ending.message + ending.counts)
    assert "\n" not in ending.message


@pytest.mark.parametrize("decision", ["promoted", "kept", "proposed", "skipped"])
def test_each_decision_of_a_retraining_has_a_state(decision: str) -> None:
    said = {"decision": decision, "reason": "s3://clinic/miller is gone", "new": 51, "needed": 50}
    ending = states.of_retraining({**said, "look": 3, "looks_allowed": 20})
    assert (ending.name, ending.trouble) == (decision.capitalize(), False)
    assert ending.name in states.ENDED
    assert ending.message == f"{decision}: 51 of 50 new lesions; look 3 of 20"
    assert states.of_retraining({**said, "new": None}).message == decision


def test_a_preparation_says_how_far_the_next_retraining_is() -> None:
    result = {"prepared": 40, "quarantined": 1, "skipped": 9, "listed": 50}
    ending = states.of_prepare({**result, "until_retraining": "37 of 50 new lesions until retraining"})
    assert (ending.name, ending.counts) == ("Completed", "40 prepared, 1 unusable")
    assert ending.message == (
        "40 prepared, 1 unusable, 9 known of 50 listed; 37 of 50 new lesions until retraining"
    )
    assert states.of_prepare({**result, "until_retraining": None}).message.endswith("of 50 listed")


def test_every_flow_ends_in_a_state_of_ours_and_keeps_its_signature() -> None:
    """Prefect's own state repeats the text of an error, and its own check the values of parameters."""
    for verb in VERBS:
        if verb.as_flow:
            flow: Any = imported(verb.entry)
            assert ends_of(flow) is not None, verb.entry
            assert not flow.should_validate_parameters, verb.entry
            assert list(inspect.signature(flow.fn).parameters) == ["workspace", "request"]
            assert flow.parameters.properties["request"], verb.entry
