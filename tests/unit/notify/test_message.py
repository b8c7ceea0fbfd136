"""Tests of skinml/notify/message.py: no uri, image id, path or error can leave the machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.checkup.problems import TOLD, Kind, Problem
from skinml.notify.message import LONGEST_NAME, Message, name_of

NOW = datetime(2026, 11, 27, 2, 30, tzinfo=UTC)
FIGURES = {"hours": 31.2, "allowed": 26.0, "runs": 2, "recent": 0.3, "images": 300, "earlier": 0.02, "rows": 1}


def test_every_kind_has_a_sentence_of_words_and_numbers() -> None:
    assert tuple(TOLD) == get_args(Kind)
    for kind in TOLD:
        assert Problem(kind, "", FIGURES).told.isprintable()


@given(st.sampled_from(get_args(Kind)), st.text(min_size=12, max_size=80))
def test_the_detail_never_leaves(kind: Kind, detail: str) -> None:
    secret = f"s3://clinic/ISIC_0024306.jpg {detail}"
    message = Message("skinml", [Problem(kind, secret, FIGURES)], NOW, NOW)
    sent = message.text + message.subject + json.dumps(message.to_json(), ensure_ascii=False)
    assert "ISIC" not in sent
    assert "s3:" not in sent
    assert detail not in sent


def test_a_message_says_what_and_since_when() -> None:
    message = Message("skinml", [Problem("late", "", FIGURES)], NOW, NOW)
    assert message.text.splitlines() == [
        "skinml skinml: 1 problem",
        "- the last good night ended 31 hours ago; 26 are allowed",
        "Last good night: 2026-11-27 02:30 UTC. Checked: 2026-11-27 02:30 UTC.",
        "On its machine, skinml status says more.",
        "Research use only: skinml is not a medical device.",
    ]
    assert message.to_json()["problems"][0]["figures"]["hours"] == 31.2
    assert Message("skinml", [], None, NOW).to_json()["healthy"] is True


@pytest.mark.parametrize(
    ("workspace", "name"),
    [
        ("s3://clinic/skinml", "skinml"),
        ("s3://clinic", "clinic"),
        ("/data/nightly scores", "nightly scores"),
        ("/", "workspace"),
        ("/data/Müller\r\nBcc: a@b", "M_ller__Bcc_ a_b"),
    ],
)
def test_a_workspace_is_called_by_the_last_part_of_its_url(workspace: str, name: str) -> None:
    assert name_of(workspace) == name


@given(st.text())
def test_any_name_is_one_line(text: str) -> None:
    name = name_of(text)
    assert 0 < len(name) <= LONGEST_NAME
    assert name.isprintable()
    assert "/" not in name
