"""Tests of skinml/models/registry.py: versions never change, and files are believed by their hash alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from skinml.errors import RequestError, RunError, StorageError
from skinml.labels import DIAGNOSES
from skinml.layout import champion_url, model_url
from skinml.models.champion import Champion, write_champion
from skinml.models.manifest import Manifest
from skinml.models.registry import (
    find,
    find_by_start,
    new_version,
    read_verified,
    register,
    versions,
)
from skinml.storage.objects import names, read_bytes, write_bytes

FILES = {"model.onnx": b"network", "metrics.json": b"{}", "figures/curves.png": b"\x89PNG", "empty": b""}

Register = Callable[..., Manifest]


@pytest.fixture
def registered(place: str, tmp_path: Path) -> Register:
    """Register a bundle: `registered("v1", name="a")`, with FILES or others."""

    def make(version: str, name: str = "tiny", files: dict[str, bytes] | None = None, **more: Any) -> Manifest:
        folder = tmp_path / "bundles" / name / version
        for path, data in (files or FILES).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return register(place, folder, fields(name, version) | more)

    return make


def fields(name: str, version: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "run_id": "train-1",
        "protocol": "grouped",
        "preprocessing": {"size": 8, "decode": "fast", "filter": "bicubic"},
        "dataset": {},
        "parameters": {},
        "libraries": {},
    }


def refusal_of(action: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(RequestError) as refusal:
        action(*arguments)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_what_is_registered_is_found_and_read(place: str, registered: Register) -> None:
    manifest = registered("v1")
    assert manifest.class_order == DIAGNOSES
    assert find(place, "v1") == manifest
    assert sorted(manifest.files) == sorted(FILES)
    for name, data in FILES.items():
        assert manifest.files[name].size_bytes == len(data)
        assert read_verified(place, manifest, name) == data
    assert names(model_url(place, "tiny", "v1")) == sorted(
        ["manifest.json", "model.onnx", "metrics.json", "figures", "empty"]
    )


def test_versions_of_all_models_are_named_oldest_first(place: str, registered: Register) -> None:
    assert versions(place) == []
    for name, version in (("b", "20260102"), ("a", "20260103"), ("b", "20260101")):
        registered(version, name=name)
    crown(place, find(place, "20260102"))
    assert versions(place) == ["20260101", "20260102", "20260103"]
    assert find(place, "20260103").name == "a"


def test_names_of_versions_sort_by_age_and_are_their_own() -> None:
    made = [new_version() for _ in range(50)]
    assert len(set(made)) == 50
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", version) for version in made)
    assert [version[:16] for version in made] == sorted(version[:16] for version in made)


# Versions never change


def test_a_version_is_registered_once(place: str, registered: Register) -> None:
    manifest = registered("v1")
    before = {
        name: read_bytes(f"{model_url(place, 'tiny', 'v1')}/{name}") for name in (*FILES, "manifest.json")
    }
    with pytest.raises(RunError, match="model version v1 exists already, and versions never change"):
        registered("v1", files={"model.onnx": b"another network"})
    assert {name: read_bytes(f"{model_url(place, 'tiny', 'v1')}/{name}") for name in before} == before
    assert find(place, "v1") == manifest


def test_of_many_at_once_one_registers(place: str, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model.onnx").write_bytes(b"network")
    together = threading.Barrier(4)

    def attempt(number: int) -> Manifest | RunError:
        together.wait()
        try:
            return register(place, tmp_path / "bundle", fields("tiny", "v1") | {"run_id": f"train-{number}"})
        except RunError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(attempt, range(4)))
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, Manifest)]
    assert find(place, "v1") == winner


def test_the_manifest_is_written_last(tmp_path: Path) -> None:
    """A registration that fails half-way leaves files, and no version."""
    place, folder = f"{tmp_path}/workspace", tmp_path / "bundle"
    (folder / "b").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"1")
    (folder / "b" / "c.bin").write_bytes(b"2")
    write_bytes(f"{model_url(place, 'tiny', 'v1')}/b", b"a file where the folder b should be")
    with pytest.raises(StorageError):
        register(place, folder, fields("tiny", "v1"))
    assert names(model_url(place, "tiny", "v1")) == ["a.bin", "b"]
    assert versions(place) == []
    assert "no such version" in refusal_of(find, place, "v1")

    Path(f"{model_url(place, 'tiny', 'v1')}/b").unlink()
    register(place, folder, fields("tiny", "v1"))
    assert versions(place) == ["v1"]


# Files are believed by their hash


def test_a_flipped_byte_is_seen(place: str, registered: Register) -> None:
    manifest = registered("v1")
    for name in ("model.onnx", "figures/curves.png"):
        url = f"{model_url(place, 'tiny', 'v1')}/{name}"
        changed = bytearray(FILES[name])
        changed[2] ^= 1
        write_bytes(url, bytes(changed))
        refusal = refusal_of(read_verified, place, manifest, name)
        assert refusal.startswith(f"{url}: SHA-256 ")
        assert "the file was changed" in refusal
    assert read_verified(place, manifest, "metrics.json") == b"{}"


def test_a_file_that_is_gone_or_was_never_there_is_named(place: str, registered: Register) -> None:
    manifest = registered("v1")
    refusal = refusal_of(read_verified, place, manifest, "model.keras")
    assert refusal == "model v1: its manifest names no model.keras"
    moved = manifest.model_copy(update={"version": "v2"})
    assert refusal_of(read_verified, place, moved, "model.onnx").startswith(
        f"model v2: {model_url(place, 'tiny', 'v2')}/model.onnx: not found"
    )


def test_a_file_of_another_size_is_not_read_whole(place: str, registered: Register) -> None:
    manifest = registered("v1")
    url = f"{model_url(place, 'tiny', 'v1')}/model.onnx"
    write_bytes(url, FILES["model.onnx"] + b"!" * 1000)
    assert refusal_of(read_verified, place, manifest, "model.onnx") == (
        f"{url}: has 1,007 bytes, the limit is 7; restore the file from a copy"
    )
    write_bytes(url, b"netw")
    assert refusal_of(read_verified, place, manifest, "model.onnx").startswith(
        f"{url}: has 4 bytes, not the 7 that were registered; the file was changed"
    )


@pytest.fixture
def local(tmp_path: Path) -> str:
    """A workspace in a folder, with a version that lies elsewhere and is whole."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model.onnx").write_bytes(b"network")
    register(f"{tmp_path}/elsewhere", tmp_path / "bundle", fields("tiny", "v1"))
    return f"{tmp_path}/workspace"


@pytest.mark.parametrize("linked", ["tiny", "tiny/v1"])
def test_a_version_behind_a_link_out_of_the_workspace_is_refused(linked: str, local: str) -> None:
    link = Path(local, "models", linked)
    link.parent.mkdir(parents=True)
    link.symlink_to(Path(local).parent / "elsewhere" / "models" / linked)
    assert "/elsewhere/models/tiny/v1/manifest.json', out of the workspace; put the file itself there" in (
        refusal_of(find, local, "v1")
    )


def test_a_file_that_is_a_link_out_of_the_workspace_is_refused(local: str) -> None:
    folder = Path(local, "models", "tiny", "v1")
    elsewhere = Path(local).parent / "elsewhere" / "models" / "tiny" / "v1"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes((elsewhere / "manifest.json").read_bytes())
    (folder / "model.onnx").symlink_to(elsewhere / "model.onnx")
    manifest = find(local, "v1")
    assert f"{folder}/model.onnx: a link leads to " in refusal_of(read_verified, local, manifest, "model.onnx")
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("model.onnx")
    assert f"{folder}/model.onnx: " in refusal_of(read_verified, local, manifest, "model.onnx")


def test_the_folder_of_all_models_may_be_a_link(local: str) -> None:
    Path(local).mkdir()
    Path(local, "models").symlink_to(Path(local).parent / "elsewhere" / "models")
    assert read_verified(local, find(local, "v1"), "model.onnx") == b"network"


@pytest.mark.parametrize("odd", [os.mkfifo, Path.mkdir], ids=["a FIFO", "a folder"])
def test_what_is_no_file_is_refused_and_not_waited_for(odd: Callable[[Path], None], local: str) -> None:
    champion = Path(champion_url(local))
    champion.parent.mkdir(parents=True)
    odd(champion)
    assert (
        refusal_of(find, local, "champion") == f"{champion}: is not a regular file; put the file itself there"
    )


# Finding


def test_an_unknown_version_names_the_known_ones(place: str, registered: Register) -> None:
    refusal = refusal_of(find, place, "v9")
    assert refusal == f"--model v9: no such version in {place} (there is: none yet: run skinml train first)"
    registered("v2")
    registered("v1", name="another")
    assert refusal_of(find, place, "v9") == f"--model v9: no such version in {place} (there is: v1, v2)"


def test_a_path_is_no_version(place: str, registered: Register) -> None:
    registered("v1")
    for version in ("../v1", "tiny/v1", "..", ".", "/v1", "", "a\nb", "ä", "*"):
        assert refusal_of(find, place, version).startswith(
            f"--model {version!r} is no version; see the folders"
        )


def test_classes_in_another_order_are_refused(place: str, registered: Register) -> None:
    manifest = registered("v1")
    url = f"{model_url(place, 'tiny', 'v1')}/manifest.json"
    write_bytes(url, manifest.model_copy(update={"class_order": DIAGNOSES[::-1]}).model_dump_json().encode())
    assert refusal_of(find, place, "v1").startswith("model v1: class order vasc, nv, mel")


def test_a_manifest_in_another_versions_place_is_refused(place: str, registered: Register) -> None:
    registered("v1")
    other = read_bytes(f"{model_url(place, 'tiny', 'v1')}/manifest.json")
    write_bytes(f"{model_url(place, 'tiny', 'v2')}/manifest.json", other)
    assert refusal_of(find, place, "v2") == "model tiny/v2: its manifest says tiny/v1"


# The champion


def crown(place: str, manifest: Manifest) -> bool:
    """Make a version champion of a workspace without one, as a decision does."""
    data = read_bytes(f"{model_url(place, manifest.name, manifest.version)}/manifest.json")
    digest = hashlib.sha256(data).hexdigest()
    champion = Champion(model_name=manifest.name, model_version=manifest.version, manifest_sha256=digest)
    return write_champion(place, champion, None)


def test_the_champion_is_found_by_that_name(place: str, registered: Register) -> None:
    refusal = refusal_of(find, place, "champion")
    assert refusal == f"--model champion: {place} has no champion yet; run skinml train first"
    first, second = registered("v1"), registered("v2", name="another")
    assert refusal_of(find, place, "champion") == (
        f"--model champion: {place} has no champion yet, because no version has met the floors (there is:"
        " v1, v2); train a better one, or run skinml models promote VERSION --force"
    )
    assert crown(place, first)
    assert not crown(place, second)
    assert find(place, "champion") == first
    record = json.loads(read_bytes(champion_url(place)))
    assert (record["model_name"], record["model_version"]) == ("tiny", "v1")


def test_a_version_is_found_by_the_unique_start_of_its_name(place: str, registered: Register) -> None:
    flag = "models show"
    assert refusal_of(find_by_start, place, "v", flag) == (
        f"models show v: {place} has no model yet; run skinml train first"
    )
    for version in ("20260101T00", "20260101T01", "20260102T00", "20260102T001"):
        registered(version)
    assert find_by_start(place, "20260101T01", flag).version == "20260101T01"
    assert find_by_start(place, "20260102T00", flag).version == "20260102T00", "its whole name is no start"
    assert refusal_of(find_by_start, place, "20260101", flag) == (
        "models show 20260101: 2 versions begin so (20260101T00, 20260101T01); give more of the name"
    )
    assert refusal_of(find_by_start, place, "2027", flag) == (
        f"models show 2027: no such version in {place} (there is: 4, the latest are 20260101T01, 20260102T00,"
        " 20260102T001)"
    )
    assert refusal_of(find_by_start, place, "champion", flag).startswith("models show champion: ")
    assert refusal_of(find_by_start, place, "../v1", flag).startswith("models show '../v1' is no version")


def test_a_damaged_record_of_the_champion_is_named(place: str) -> None:
    record = b'{"model_name": "tiny", "model_version": "v1"'
    for data, said in {
        b"": "not JSON: ",
        b"[]": "it: Input should be",
        b"{}": "model_name: Field required",
        b'{"model_name": "tiny"}': "model_version: Field required",
        b'{"model_name": 1, "model_version": "v1"}': "model_name: Input should be a valid string",
        b"\xff": "not UTF-8 at byte 0",
        b"[" * 60_000: "nested more than 64 levels deep",
        record + b', "model_version": "v2"}': "the key 'model_version' occurs twice",
        record + b', "since": NaN}': "NaN is not a finite number",
        record + b', "manifest_sha256": "00"}': "manifest_sha256: String should match pattern",
    }.items():
        write_bytes(champion_url(place), data)
        refusal = refusal_of(find, place, "champion")
        assert refusal.startswith(f"{champion_url(place)}: does not name the champion: {said}")
        assert refusal.endswith(
            "; delete it and run skinml models promote VERSION, or score with --model VERSION"
        )


@pytest.mark.parametrize("outside", ["../../elsewhere", "..", "/", "a/b", "a\\b", "", "a\n", "x" * 129])
def test_a_champion_is_one_folder_of_the_workspace(outside: str, place: str, registered: Register) -> None:
    """A foreign model lies there, and is whole."""
    registered("v1")
    foreign = read_bytes(f"{model_url(place, 'tiny', 'v1')}/manifest.json")
    write_bytes(f"{place}/elsewhere/v1/manifest.json", foreign)
    for record in (
        {"model_name": outside, "model_version": "v1"},
        {"model_name": "tiny", "model_version": outside},
    ):
        write_bytes(champion_url(place), json.dumps(record).encode())
        assert " is not a name: letters, digits" in refusal_of(find, place, "champion")


def test_too_long_a_record_is_not_read(place: str, registered: Register) -> None:
    registered("v1")
    write_bytes(champion_url(place), b" " * (64 * 2**10) + b"{}")
    refusal = refusal_of(find, place, "champion")
    assert (
        refusal == f"{champion_url(place)}: has 65,538 bytes, the limit is 65,536; restore the file from a copy"
    )
    manifest = f"{model_url(place, 'tiny', 'v1')}/manifest.json"
    write_bytes(manifest, b" " * (4 * 2**20) + read_bytes(manifest))
    assert refusal_of(find, place, "v1").startswith(f"{manifest}: has 4,19")


def test_a_changed_manifest_of_the_champion_is_refused(place: str, registered: Register) -> None:
    """Whoever can change a network can change its hash in the manifest, but not in the champion's record."""
    manifest = registered("v1")
    crown(place, manifest)
    url = f"{model_url(place, 'tiny', 'v1')}/manifest.json"
    original = read_bytes(url)
    assert (
        json.loads(read_bytes(champion_url(place)))["manifest_sha256"] == hashlib.sha256(original).hexdigest()
    )
    write_bytes(url, original.replace(b'"train-1"', b'"train-2"'))
    for asked in ("champion", "v1"):
        refusal = refusal_of(find, place, asked)
        assert refusal.startswith(f"{url}: SHA-256 ")
        assert refusal.endswith("the file was changed: restore it, or score with another --model")
    write_bytes(url, b"not even JSON")
    assert "SHA-256" in refusal_of(find, place, "champion"), "nothing of it is read before"
    write_bytes(url, original)
    assert find(place, "champion") == find(place, "v1") == manifest


def test_the_record_of_an_older_champion_is_believed_and_that_is_said(
    place: str, registered: Register, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = registered("v1")
    write_bytes(champion_url(place), b'{"model_name": "tiny", "model_version": "v1"}')
    assert find(place, "champion") == manifest
    assert caplog.messages == [
        "champion.json has no manifest_sha256, it is from before: the manifest is not checked"
    ]


def test_a_version_can_be_named_though_the_record_of_the_champion_is_damaged(
    place: str, registered: Register
) -> None:
    manifest = registered("v1")
    write_bytes(champion_url(place), b"{")
    assert find(place, "v1") == manifest


def test_a_champion_that_is_gone_is_named(place: str) -> None:
    write_bytes(champion_url(place), b'{"model_name": "tiny", "model_version": "v7"}')
    assert refusal_of(find, place, "champion").startswith("--model v7: no such version in ")
