"""Tests of skinml/dataset/plan.py: every listed image is skipped, refused or decoded, by named rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.dataset.metadata import Metadata
from skinml.dataset.plan import Plan, likeliest_reason, make_plan, unmatched
from skinml.dataset.splits import split_of
from skinml.errors import Reason
from skinml.schemas import LISTING
from tests.effort import examples

Object = tuple[str, str]
"""uri and etag."""


def uri(name: str) -> str:
    return f"s3://archive/{name}.jpg"


def image_id_of(uri: str) -> str:
    return uri.rsplit("/", 1)[-1].removesuffix(".jpg")


def listing(*objects: Object) -> pd.DataFrame:
    rows = [{"uri": uri, "etag": etag, "size_bytes": len(uri)} for uri, etag in objects]
    found: pd.DataFrame = pa.Table.from_pylist(rows, schema=LISTING).to_pandas()
    return found


def texts(rows: Sequence[tuple[str, ...]], *columns: str) -> pd.DataFrame:
    """Rows as they come out of a table."""
    schema = pa.schema([(column, pa.string()) for column in columns])
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    found: pd.DataFrame = pa.Table.from_pylist(records, schema=schema).to_pandas()
    return found


def metadata(image_ids: Sequence[str], conflicting: Sequence[str] = ()) -> Metadata:
    """Two images a lesion."""
    rows = pd.DataFrame(
        {
            "image_id": pd.Series(list(image_ids), dtype="str"),
            "lesion_id": pd.Series([f"lesion {n // 2}" for n in range(len(image_ids))], dtype="str"),
            "dx": "nv",
            "dx_type": None,
            "age": 50.0,
            "sex": None,
            "localization": None,
            "source": None,
            "metadata_row": range(len(image_ids)),
        }
    )
    return Metadata(rows, (), tuple(conflicting))


@dataclass
class Known:
    """What a workspace holds."""

    samples: list[Object] = field(default_factory=list)
    index: list[Object] = field(default_factory=list)
    quarantine: list[tuple[str, str, str]] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)

    def plan(self, listed: pd.DataFrame, labels: Metadata, roots: Sequence[str] = ()) -> Plan:
        return make_plan(
            listed,
            labels,
            samples=self.sample_rows(labels),
            index=texts(self.index, "uri", "etag"),
            quarantine=texts(self.quarantine, "uri", "etag", "reason"),
            roots=roots,
        )

    def sample_rows(self, labels: Metadata) -> pd.DataFrame:
        """The samples, labelled as the metadata has it today."""
        images = [(uri, etag, image_id_of(uri)) for uri, etag in self.samples]
        rows = texts(images, "uri", "etag", "image_id").merge(labels.rows, on="image_id", how="left")
        return rows.assign(split_group=[self.groups.get(lesion, lesion) for lesion in rows["lesion_id"]])

    def after(self, plan: Plan, broken: dict[str, str]) -> Known:
        """What the workspace holds when the plan has been carried out; `broken` are uris with reasons."""
        work = list(plan.work[["uri", "etag", "in_samples"]].itertuples(index=False, name=None))
        good = [(uri, etag, known) for uri, etag, known in work if uri not in broken]
        bad = [(uri, etag, broken[uri]) for uri, etag, _ in work if uri in broken]
        refused = list(plan.rejected[["uri", "etag", "reason"]].itertuples(index=False, name=None))
        gone = set(plan.superseded) & {image_id_of(uri) for uri, _, _ in good}
        kept = [row for row in self.samples if image_id_of(row[0]) not in gone]
        return Known(
            kept + [row[:2] for row in good if not row[2]],
            self.index + [row[:2] for row in good],
            self.quarantine + bad + refused,
        )


def reasons(plan: Plan) -> dict[str, str]:
    return dict(zip(plan.rejected["uri"], plan.rejected["reason"], strict=True))


def worked(plan: Plan) -> list[str]:
    return plan.work["image_id"].tolist()


A, B, C = ((uri(name), f"etag {name}") for name in "abc")


# The rules


def test_what_is_new_is_decoded_with_its_labels() -> None:
    plan = Known().plan(listing(B, A), metadata(["a", "b"]))
    assert worked(plan) == ["a", "b"], "in order of image_id"
    assert plan.work["in_samples"].tolist() == [False, False]
    assert plan.work["split"].tolist() == [split_of("lesion 0")] * 2
    assert plan.work["metadata_row"].tolist() == [0, 1]
    assert plan.work[["uri", "etag"]].to_numpy().tolist() == [list(A), list(B)]
    assert (plan.listed, plan.skipped, len(plan.rejected), len(plan.superseded)) == (2, 0, 0, 0)


def test_what_is_in_samples_and_in_the_dataset_is_skipped() -> None:
    plan = Known([A], [A]).plan(listing(A, B), metadata(["a", "b"]))
    assert (worked(plan), plan.skipped) == (["b"], 1)


def test_what_lacks_only_its_pixels_is_decoded_and_no_new_sample() -> None:
    """Another size, or a run that died between its two commits."""
    plan = Known([A], []).plan(listing(A), metadata(["a"]))
    assert plan.work["in_samples"].tolist() == [True]
    assert len(plan.superseded) == 0


def test_what_lacks_only_its_sample_is_decoded() -> None:
    plan = Known([], [A]).plan(listing(A), metadata(["a"]))
    assert plan.work["in_samples"].tolist() == [False]


def test_other_bytes_are_a_new_version_that_supersedes_the_old_one() -> None:
    newer = (A[0], "changed")
    plan = Known([A, B], [A, B]).plan(listing(newer, B), metadata(["a", "b"]))
    assert plan.work[["uri", "etag"]].to_numpy().tolist() == [list(newer)]
    assert plan.superseded == ("a",)
    assert plan.skipped == 1


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason != Reason.READ_ERROR])
def test_what_is_broken_for_good_is_skipped_until_it_changes(reason: Reason) -> None:
    known = Known(quarantine=[(*A, reason.value)])
    plan = known.plan(listing(A), metadata(["a"]))
    if reason in (Reason.NO_METADATA, Reason.DUPLICATE_ID):  # judged anew: now it has metadata, and is alone
        assert (worked(plan), plan.skipped) == (["a"], 0)
    else:
        assert (worked(plan), plan.skipped) == ([], 1)
    assert worked(known.plan(listing((A[0], "changed")), metadata(["a"]))) == ["a"]


def test_a_read_error_is_tried_again() -> None:
    plan = Known(quarantine=[(*A, "read_error")]).plan(listing(A), metadata(["a"]))
    assert (worked(plan), plan.skipped) == (["a"], 0)


def test_without_metadata_an_image_is_refused_once() -> None:
    plan = Known().plan(listing(A, B), metadata(["b"]))
    assert reasons(plan) == {A[0]: "no_metadata"}
    assert plan.rejected["detail"].tolist() == ["the metadata has no row for image_id a"]
    assert plan.rejected.columns.tolist() == ["uri", "etag", "size_bytes", "reason", "detail"]
    again = Known(quarantine=[(*A, "no_metadata")]).plan(listing(A, B), metadata(["b"]))
    assert (len(again.rejected), again.skipped) == (0, 1)
    changed = Known(quarantine=[(A[0], "older", "no_metadata")]).plan(listing(A, B), metadata(["b"]))
    assert reasons(changed) == {A[0]: "no_metadata"}


def test_with_metadata_that_differ_an_image_is_refused() -> None:
    plan = Known().plan(listing(A, B), metadata(["b"], conflicting=["a"]))
    assert reasons(plan) == {A[0]: "duplicate_id"}
    assert plan.rejected["detail"].tolist() == ["the metadata has different rows for image_id a"]


def test_an_image_that_is_refused_for_another_reason_is_refused_anew() -> None:
    known = Known(quarantine=[(*A, "no_metadata")])
    plan = known.plan(listing(A), metadata([], conflicting=["a"]))
    assert (reasons(plan), plan.skipped) == ({A[0]: "duplicate_id"}, 0)


def test_the_first_file_of_an_image_id_is_the_image() -> None:
    first, second = (uri("z/a"), "1"), (uri("b/a"), "2")
    plan = Known().plan(listing(first, B, second), metadata(["a", "b"]))
    assert plan.work["uri"].tolist() == [first[0], B[0]]
    assert reasons(plan) == {second[0]: "duplicate_id"}
    assert plan.rejected["detail"].tolist() == [f"image_id a is already used by {first[0]}"]


def test_a_file_that_is_a_sample_already_stays_the_image() -> None:
    older, newer = (uri("z/a"), "1"), (uri("b/a"), "2")
    plan = Known([older], [older]).plan(listing(newer, older), metadata(["a"]))
    assert reasons(plan) == {newer[0]: "duplicate_id"}
    assert (worked(plan), plan.skipped) == ([], 1)


def test_a_file_that_moved_takes_its_samples_place() -> None:
    before, now = (uri("old/a"), "1"), (uri("new/a"), "1")
    known = Known([before], [before])
    plan = known.plan(listing(now), metadata(["a"]), roots=("s3://archive",))
    assert plan.work["uri"].tolist() == [now[0]]
    assert plan.superseded == ("a",)
    elsewhere = known.plan(listing(now), metadata(["a"]), roots=("s3://archive/new", "s3://arch"))
    assert reasons(elsewhere) == {now[0]: "duplicate_id"}, "nobody looked whether the old file is still there"


def test_a_sample_whose_metadata_is_gone_stays_and_is_named() -> None:
    for labels in (metadata(["b"]), metadata(["b"], conflicting=["a"])):
        plan = Known([A, B], [A, B]).plan(listing(A, B), labels)
        assert (plan.skipped, worked(plan), reasons(plan)) == (2, [], {})
        assert plan.metadata_removed == ("a",)
        assert ["a", "a sample without metadata"] in unmatched(plan).to_numpy().tolist()


CORRECTIONS = {"lesion_id": "lesion 9", "dx": "mel", "age": None, "sex": "female", "metadata_row": 7}


@pytest.mark.parametrize("column", CORRECTIONS)
def test_corrected_metadata_is_found(column: str) -> None:
    labels = metadata(["a", "b"])
    samples = Known([A, B], [A, B]).sample_rows(labels)
    corrected = labels.rows.copy()
    corrected[column] = [CORRECTIONS[column], labels.rows[column].iloc[1]]
    index = texts([A, B], "uri", "etag")
    quarantine = texts([], "uri", "etag", "reason")
    plan = make_plan(listing(A, B), Metadata(corrected, (), ()), samples, index, quarantine)
    assert (plan.skipped, len(plan.work)) == (2, 0)
    assert plan.relabelled["image_id"].tolist() == ["a"]
    assert plan.relabelled[column].iloc[0] == CORRECTIONS[column] or pd.isna(plan.relabelled[column].iloc[0])
    assert make_plan(listing(A, B), labels, samples, index, quarantine).relabelled.empty


def test_a_new_image_of_a_lesion_belongs_to_its_group() -> None:
    plan = Known([A], [A], groups={"lesion 0": "lesion x"}).plan(listing(A, B), metadata(["a", "b"]))
    assert plan.work["image_id"].tolist() == ["b"]
    assert plan.work["split_group"].tolist() == ["lesion x"]
    assert plan.work["split"].tolist() == [split_of("lesion x")]


def test_two_endings_of_one_stem_are_one_image_id() -> None:
    plan = Known().plan(listing(("s3://x/a.jpg", "1"), ("s3://x/a.png", "2")), metadata(["a"]))
    assert plan.work["uri"].tolist() == ["s3://x/a.jpg"]
    assert reasons(plan) == {"s3://x/a.png": "duplicate_id"}


def test_nothing_listed_is_nothing_to_do() -> None:
    for labels in (metadata([]), metadata(["a"])):
        plan = Known([B], [B]).plan(listing(), labels)
        assert (plan.listed, plan.skipped, len(plan.work), len(plan.rejected)) == (0, 0, 0, 0)


def test_what_does_not_match_is_named() -> None:
    labels = Metadata(metadata(["c", "a", "b"]).rows, ("b",), ("x", "y"))
    plan = Known().plan(listing(A), labels)
    assert plan.metadata_without_image == ("b", "c")
    assert unmatched(plan).to_numpy().tolist() == [
        ["b", "metadata without an image"],
        ["c", "metadata without an image"],
        ["b", "several equal rows in the metadata"],
        ["x", "different rows in the metadata"],
        ["y", "different rows in the metadata"],
    ]


def test_an_image_whose_class_is_dropped_is_skipped_and_counted() -> None:
    labels = Metadata(metadata(["b"]).rows, (), (), dropped={"a": "scc"})
    plan = Known([C], [C]).plan(listing(A, B, C), labels)
    assert (worked(plan), reasons(plan), plan.skipped, plan.dropped) == (["b"], {}, 2, 1)
    assert plan.left_out == ()


def test_a_sample_whose_class_is_dropped_later_leaves_the_table() -> None:
    labels = Metadata(metadata(["b"]).rows, (), (), dropped={"a": "scc"})
    plan = Known([A, B], [A, B]).plan(listing(A, B), labels)
    assert (plan.left_out, plan.metadata_removed, plan.skipped, plan.dropped) == (("a",), (), 2, 1)


def test_ids_that_are_not_written_as_the_files_are_matched_and_counted() -> None:
    labels = metadata(["A.jpg", "b"])
    plan = Known().plan(listing(A, B), labels)
    assert worked(plan) == ["a", "b"], "image_id is the file's stem"
    assert plan.work["metadata_row"].tolist() == [0, 1]
    assert dict(plan.respelled) == {"suffix": 1, "case": 1}
    assert plan.metadata_without_image == ()
    dropped = Metadata(metadata(["b"]).rows, (), ("C.jpg",), dropped={"A.jpg": "scc"})
    plan = Known().plan(listing(A, B, C), dropped)
    assert (plan.dropped, reasons(plan)) == (1, {C[0]: "duplicate_id"})


def test_two_files_of_one_id_are_never_guessed() -> None:
    files = [(uri(name), "e") for name in ("p/A", "q/a_downsampled", "r/b", "s/B")]
    plan = Known().plan(listing(*files), metadata(["a.jpg", "b"]))
    assert worked(plan) == ["b"]
    assert reasons(plan) == dict.fromkeys([files[0][0], files[1][0], files[3][0]], "duplicate_id")
    assert plan.rejected["detail"].tolist() == [
        *["image_id a.jpg of the metadata could be any of the files A, a_downsampled"] * 2,
        "image_id b is taken by the file of that name",
    ]


@pytest.mark.parametrize(
    ("rows", "files", "words"),
    [
        (
            ["x"],
            [A, B],
            "most likely the metadata is for other images: the metadata has no row for image_id a, but rows",
        ),
        (
            ["a"],
            [A, B],
            "most likely the metadata covers only part of these images (the metadata has no row for image_id b",
        ),
        (["a"], [A, (uri("z/a"), "e")], "most likely: image_id a is already used by "),
        (["a"], [A], ""),
    ],
)
def test_the_likeliest_reason_is_said_by_an_example(rows: list[str], files: list[Object], words: str) -> None:
    said = likeliest_reason(Known().plan(listing(*files), metadata(rows)))
    assert said.startswith(words)
    assert bool(said) == bool(words)


# The laws

IDS = [f"i{number}" for number in range(6)]
ETAGS = ["e1", "e2"]
OBJECTS = st.tuples(
    st.builds(
        lambda folder, image_id: uri(f"{folder}/{image_id}"), st.sampled_from("pq"), st.sampled_from(IDS)
    ),
    st.sampled_from(ETAGS),
)
BY_URI = st.lists(OBJECTS, unique_by=lambda row: row[0], max_size=12)
BY_IMAGE_ID = st.lists(OBJECTS, unique_by=lambda row: row[0].rsplit("/", 1)[-1], max_size=6)


@st.composite
def labels(draw: st.DrawFn) -> Metadata:
    image_ids = draw(st.lists(st.sampled_from([*IDS, "I1", "i2.jpg", "i2_downsampled"]), unique=True))
    split, drop = sorted(draw(st.tuples(*[st.integers(0, len(image_ids))] * 2)))
    rows = metadata(image_ids[:split], image_ids[drop:])
    return replace(rows, dropped=dict.fromkeys(image_ids[split:drop], "scc"))


@st.composite
def workspaces(draw: st.DrawFn) -> Known:
    quarantine = st.tuples(OBJECTS, st.sampled_from([reason.value for reason in Reason]))
    return Known(
        draw(BY_IMAGE_ID),
        draw(st.lists(OBJECTS, unique=True, max_size=8)),
        [(*row, reason) for row, reason in draw(st.lists(quarantine, max_size=8))],
    )


@settings(max_examples=examples(60), derandomize=True, deadline=None)
@given(BY_URI, labels(), workspaces())
def test_every_listed_image_is_accounted_for(objects: list[Object], rows: Metadata, known: Known) -> None:
    plan = known.plan(listing(*objects), rows)
    assert plan.listed == len(objects) == plan.skipped + len(plan.work) + len(plan.rejected)

    seen = [*plan.work["uri"], *plan.rejected["uri"]]
    assert len(seen) == len(set(seen)), "an image counts twice"
    assert set(seen) <= {uri for uri, _ in objects}
    assert plan.work["image_id"].is_unique
    assert plan.work["image_id"].is_monotonic_increasing
    assert set(plan.work["image_id"]) <= {image_id_of(uri) for uri, _ in objects}
    assert plan.work["metadata_row"].is_unique, "a row of the metadata for two images"
    assert plan.work["lesion_id"].notna().all()

    samples = set(known.samples)
    for uri_, etag, in_samples in plan.work[["uri", "etag", "in_samples"]].itertuples(index=False, name=None):
        assert in_samples == ((uri_, etag) in samples)
        assert not (in_samples and (uri_, etag) in known.index), "it was there already"
    newer = set(plan.work.loc[~plan.work["in_samples"], "image_id"])
    assert set(plan.superseded) == newer & {image_id_of(uri) for uri, _ in known.samples}


@settings(max_examples=examples(40), derandomize=True, deadline=None)
@given(BY_URI, labels(), workspaces(), st.data())
def test_a_second_run_skips_what_the_first_one_did(
    objects: list[Object], rows: Metadata, known: Known, data: st.DataObject
) -> None:
    plan = known.plan(listing(*objects), rows)
    reason = st.sampled_from(["truncated", "empty", "decode_error", "read_error"])
    broken = data.draw(st.dictionaries(st.sampled_from([*plan.work["uri"], "none"]), reason))
    after = known.after(plan, broken)
    again = after.plan(listing(*objects), rows)

    failed_reads = {uri for uri in plan.work["uri"] if broken.get(uri) == "read_error"}
    assert set(again.work["uri"]) == failed_reads, "only failed reads are tried again"
    assert len(again.rejected) == 0
    assert again.skipped == again.listed - len(failed_reads)
    names = [uri.rsplit("/", 1)[-1] for uri, _ in after.samples]
    assert len(names) == len(set(names)), "two samples of one image_id"


def test_a_folder_that_could_not_be_listed_is_a_read_error_of_every_run() -> None:
    """Whatever its name is: it is no image that lacks metadata, and owns no image_id."""
    folder = ("file:///nowhere/a", "unreadable")
    known = Known(quarantine=[(*folder, "read_error")])
    plan = known.plan(listing(folder, A), metadata(["a"]))
    assert worked(plan) == ["a"]
    assert reasons(plan) == {folder[0]: "read_error"}
    assert plan.rejected["detail"].tolist() == ["the folder cannot be listed: No such file or directory"]
    assert (plan.listed, plan.skipped) == (2, 0)


def test_samples_below_the_topmost_folder_are_below_it() -> None:
    gone, new = ("file:///old/a.jpg", "1"), ("file:///new/a.jpg", "1")
    plan = Known(samples=[gone], index=[gone]).plan(listing(new), metadata(["a"]), roots=["file:///"])
    assert worked(plan) == ["a"]
