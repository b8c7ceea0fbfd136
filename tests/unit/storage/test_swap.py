"""Replacing an object only if nobody else has, in a folder and in a bucket."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest

from skinml.errors import RequestError, SkinmlError, StorageError
from skinml.storage.objects import names, read_bytes, write_bytes
from skinml.storage.swap import PROBE, swap_bytes


def test_an_object_is_replaced_only_if_it_still_is_what_was_read(place: str) -> None:
    url = f"{place}/models/champion.json"
    write_bytes(url, b"old")
    assert not swap_bytes(url, b"another", b"new")
    assert read_bytes(url) == b"old"
    assert swap_bytes(url, b"old", b"new")
    assert read_bytes(url) == b"new"
    assert not swap_bytes(url, b"old", b"newer")
    assert PROBE not in names(f"{place}/models")


def test_of_many_at_once_one_replaces(place: str) -> None:
    url = f"{place}/models/champion.json"
    write_bytes(url, b"old")
    together = threading.Barrier(8)

    def attempt(number: int) -> bool:
        together.wait()
        return swap_bytes(url, b"old", b"new %d" % number)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))
    assert sum(outcomes) == 1
    assert read_bytes(url) == b"new %d" % outcomes.index(True)


def test_what_is_not_there_is_not_replaced(place: str) -> None:
    write_bytes(f"{place}/models/other", b"")
    with pytest.raises(StorageError, match="not found"):
        swap_bytes(f"{place}/models/champion.json", b"old", b"new")
    assert names(f"{place}/models") in ([".champion.json.lock", "other"], ["other"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_said(tmp_path: Path) -> None:
    url = str(tmp_path / "champion.json")
    write_bytes(url, b"old")
    tmp_path.chmod(0o500)
    with pytest.raises(SkinmlError, match="permission denied"):
        swap_bytes(url, b"old", b"new")


def test_a_store_that_ignores_the_condition_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{bucket}/models/champion.json"
    write_bytes(url, b"old")
    put = obstore.put
    monkeypatch.setattr(obstore, "put", lambda store, key, data, **ignored: put(store, key, data))
    with pytest.raises(RequestError, match=r"does not honour conditional puts \(If-Match\): it overwrites"):
        swap_bytes(url, b"old", b"new")
    assert read_bytes(url) == b"old"


def test_an_answer_that_was_lost_is_not_taken_for_another_run(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket}/models/champion.json"
    write_bytes(url, b"old")
    put: Callable[..., object] = obstore.put
    lost: list[str] = []

    def loses_one(store: object, key: str, data: bytes, **more: object) -> object:
        answer = put(store, key, data, **more)
        if data == b"new" and not lost:
            lost.append(key)
            raise TimeoutError
        return answer

    monkeypatch.setattr(obstore, "put", loses_one)
    assert swap_bytes(url, b"old", b"new")
    assert lost
    assert read_bytes(url) == b"new"
