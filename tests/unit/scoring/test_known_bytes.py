"""Tests of skinml/scoring/known_bytes.py and known_etags.py: what a worker is told of its images' bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier

import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml import tables
from skinml.schemas import KNOWN_ETAGS, LISTING, QUARANTINE, SCORES
from skinml.scoring.compare_bytes import HASH_BYTES, JOB, Standing
from skinml.scoring.known_bytes import KnownBytes, add_known_bytes, read_known_bytes
from skinml.scoring.known_etags import known_etag_rows, publish_known_etags, read_known_etags
from skinml.scoring.ledger import Known, Ledger, hash_keys, look_up, make_ledger, read_quarantined, read_scored
from skinml.scoring.pending import Pending, Window, find_pending
from skinml.storage.listing import Listed
from skinml.tables import Part
from tests.effort import examples

MODEL = ("cnn", "v1")


def digest(text: str) -> str:
    return text * 64


def put_rows(workspace: str, table: str, *rows: dict[str, object]) -> None:
    schema = {"scores": SCORES, "quarantine": QUARANTINE, "known_etags": KNOWN_ETAGS}[table]
    filled = {"size_bytes": 1, "flow": "score", "reason": "empty", "model_name": "cnn", "model_version": "v1"}
    full = [dict.fromkeys(schema.names) | {"run_date": date(2026, 1, 2)} | filled | row for row in rows]
    found = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in full], schema)
    name = tables.attempt(table)
    partition = {"run_date": "2026-01-02"} if table == "scores" else None
    tables.publish(workspace, table, [tables.write_part(workspace, table, found, name, partition)], name)


def row(uri: str, etag: str, sha256: str | None, **more: object) -> dict[str, object]:
    return {"uri": uri, "etag": etag, "sha256": None if sha256 is None else digest(sha256)} | more


def pending_of(folder: Path, ledger: Ledger, *versions: tuple[str, str], recheck: bool = False) -> Pending:
    rows = [{"uri": uri, "etag": etag, "size_bytes": 1, "last_modified": None} for uri, etag in versions]
    listed = [Listed(batch) for batch in pa.Table.from_pylist(rows, LISTING).to_batches()]
    return find_pending(listed, ledger, Window(), folder / "pending.parquet", recheck)


def told(pending: Pending, known: KnownBytes) -> dict[str, tuple[int, list[str]]]:
    """What workers get, by etag: the standing, and the known hashes by their letters."""
    found = {}
    for piece in add_known_bytes(pending.read(2), known):
        assert piece.schema == JOB
        for one in piece.to_pylist():
            letters = sorted({value.hex()[0] for value in one["known_sha256"]})
            assert all(value.hex() == value.hex()[0] * 2 * HASH_BYTES for value in one["known_sha256"])
            found[one["etag"]] = (one["standing"], letters)
    return found


def test_a_worker_is_told_of_bytes_of_this_uri_and_this_model(place: str, tmp_path: Path) -> None:
    put_rows(
        place,
        "scores",
        row("a", "1", "a"),
        row("a", "0+sha256:bbbbbbbbbbbbbbbb", "b"),
        row("a", "9", "c", model_version="v2"),
        row("b", "1", "d"),
        row("c", "1", None),
        row("c", "2", "not a hash"),
    )
    put_rows(place, "known_etags", row("a", "5", "e"), row("a", "6", "f", model_name="other"))
    put_rows(place, "quarantine", row("a", "7", "9"), row("d", "1", "8"), row("a", "8", "7", flow="prepare"))
    ledger = make_ledger(
        [*read_scored(place, [MODEL]), *read_known_etags(place, [MODEL]), *read_quarantined(place)]
    )

    new = pending_of(tmp_path, ledger, ("a", "new"), ("c", "new too"), ("z", "newest"), ("b", "1"))
    assert told(new, read_known_bytes(place, [MODEL], new)) == {
        "new": (Standing.NEW, ["a", "b", "e"]),  # a failure is tried again under its new etag
        "new too": (Standing.NEW, []),
        "newest": (Standing.NEW, []),
    }
    for etag in ("0", "5", "7"):
        again = pending_of(tmp_path, ledger, ("a", etag), ("c", "new"), recheck=True)
        assert told(again, read_known_bytes(place, [MODEL], again, ledger)) == {
            etag: (Standing.COMPARABLE, ["9", "a", "b", "e"]),
            "new": (Standing.NEW, []),
        }
    older = pending_of(tmp_path, ledger, ("c", "1"), recheck=True)
    assert told(older, read_known_bytes(place, [MODEL], older, ledger)) == {"1": (Standing.UNHASHED, [])}


def test_another_size_is_other_bytes_even_beside_an_older_row(tmp_path: Path) -> None:
    ledger = make_ledger([])
    put_rows(str(tmp_path), "scores", row("c", "1", None, size_bytes=2))
    ledger = make_ledger(read_scored(str(tmp_path), [MODEL]))
    again = pending_of(tmp_path, ledger, ("c", "1"), recheck=True)
    assert (again.images, again.other_bytes.num_rows, again.skipped) == (1, 0, 0)
    assert told(again, read_known_bytes(str(tmp_path), [MODEL], again, ledger)) == {
        "1": (Standing.COMPARABLE, [])
    }


def test_what_a_recheck_has_scored_is_known_by_the_etag_that_storage_lists(tmp_path: Path) -> None:
    """Also where storage gave an etag twice for bytes of two sizes."""
    put_rows(
        str(tmp_path),
        "scores",
        row("a", "1", "a", size_bytes=2),
        row("a", "1+sha256:bbbbbbbbbbbbbbbb", "b", size_bytes=1),
    )
    ledger = make_ledger(read_scored(str(tmp_path), [MODEL]))
    usual = pending_of(tmp_path, ledger, ("a", "1"))
    assert (usual.images, usual.other_bytes.num_rows, usual.skipped) == (0, 0, 1)


@settings(max_examples=examples(60), derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("0123456789abcdef")), max_size=12),
    st.lists(st.sampled_from("abcdef"), unique=True, max_size=6),
)
def test_each_image_is_told_all_hashes_of_its_uri(scored: list[tuple[str, str]], listed: list[str]) -> None:
    with TemporaryDirectory() as folder:
        if scored:
            put_rows(folder, "scores", *(row(uri, str(n), letter) for n, (uri, letter) in enumerate(scored)))
        pending = pending_of(Path(folder), make_ledger([]), *((uri, f"of {uri}") for uri in listed))
        expected = {
            f"of {uri}": (0, sorted({letter for name, letter in scored if name == uri})) for uri in listed
        }
        assert told(pending, read_known_bytes(folder, [MODEL], pending)) == expected


def test_bytes_are_of_the_first_counted_model_that_has_scored_them(place: str, tmp_path: Path) -> None:
    """So that a row of `known_etags` is true of the model that it names."""
    own, earlier, other = ("cnn", "v3"), ("cnn", "v1"), ("net", "v2")
    put_rows(place, "scores", *(row("a", "1", "a", model_version=version) for version in ("v1", "v3")))
    put_rows(place, "scores", row("a", "2", "b", model_name="net", model_version="v2"), row("b", "1", None))
    put_rows(place, "scores", row("c", "1", "c"), row("d", "1", "d", model_version="v3"))
    counted = [own, other, earlier]
    ledger = make_ledger(read_scored(place, counted))
    pending = pending_of(tmp_path, ledger, ("a", "3"), ("b", "1"), ("c", "1"), ("d", "1"), recheck=True)
    assert (pending.listed, pending.by_others) == (4, 2)
    [piece] = add_known_bytes(pending.read(9), read_known_bytes(place, counted, pending, ledger))
    found = {(one["uri"], one["etag"]): one for one in piece.to_pylist()}
    assert {key: (one["standing"], one["place"]) for key, one in found.items()} == {
        ("a", "3"): (Standing.NEW, 0),
        ("b", "1"): (Standing.UNHASHED, 2),
        ("c", "1"): (Standing.COMPARABLE, 2),
        ("d", "1"): (Standing.COMPARABLE, 0),
    }
    whose = {
        value.hex()[0]: at
        for value, at in zip(found["a", "3"]["known_sha256"], found["a", "3"]["known_places"], strict=True)
    }
    assert whose == {"a": 0, "b": 1}
    assert found["c", "1"]["known_places"] == [2]


# The table


def remembered(workspace: str, run_id: str, *versions: tuple[str, str]) -> Part:
    images = pd.DataFrame(
        [(*version, digest("a"), 1) for version in versions], columns=["uri", "etag", "sha256", "size_bytes"]
    )
    return tables.write_part(
        workspace, "known_etags", known_etag_rows(images, [MODEL] * len(images), run_id), tables.attempt(run_id)
    )


def keys_of(workspace: str) -> list[tuple[str, str]]:
    rows = tables.read(workspace, "known_etags").to_pylist()
    return sorted((one["uri"], one["etag"]) for one in rows)


def test_two_runs_at_once_remember_each_image_once(place: str) -> None:
    parts = [remembered(place, f"run {n}", ("a", "1"), ("b", f"{n}")) for n in range(3)]
    together = Barrier(len(parts))

    def publish(number: int) -> None:
        together.wait()
        for _ in range(2):  # the second time changes nothing
            publish_known_etags(place, f"run {number}", [MODEL], [parts[number]])

    with ThreadPoolExecutor(len(parts)) as threads:
        list(threads.map(publish, range(len(parts))))
    assert keys_of(place) == [("a", "1"), ("b", "0"), ("b", "1"), ("b", "2")]
    publish_known_etags(place, "run 4", [MODEL], [remembered(place, "run 4", ("a", "1"))])
    assert len(keys_of(place)) == 4
    publish_known_etags(place, "run 5", [MODEL], [])


def test_only_the_model_that_scored_the_bytes_knows_the_etag(tmp_path: Path) -> None:
    publish_known_etags(str(tmp_path), "run", [MODEL], [remembered(str(tmp_path), "run", ("a", "1"))])
    uri, etag = pa.chunked_array([["a"]]), pa.chunked_array([["1"]])
    for version, known in (("v1", Known.KNOWN), ("v2", Known.NEW)):
        ledger = make_ledger(read_known_etags(str(tmp_path), [("cnn", version)]))
        size = tables.read(str(tmp_path), "known_etags")["size_bytes"].to_numpy()
        assert look_up(ledger, hash_keys(uri, etag), size) == [known]
