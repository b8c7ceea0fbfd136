"""The prepare flow: real images of a folder or a bucket to shards and tables, each image accounted for."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from skinml import tables
from skinml.dataset.shards import read_index
from skinml.dataset.splits import split_of
from skinml.storage.objects import exists, read_bytes
from tests.command import CommandLine
from tests.conftest import MadeUp
from tests.services.faults import Fault, faulty, some
from tests.services.seaweedfs import ObjectStore

Put = Callable[[str, bytes], None]
pytestmark = pytest.mark.usefixtures("shared_workers")

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"


def metadata_row(image_id: str, lesion_id: str, dx: str = "nv") -> str:
    return f"{lesion_id},{image_id},{dx},histo,40.0,male,back,rosendahl\n"


def request_at(place: str) -> list[str]:
    """To prepare the images of a place with its m.csv, in its workspace."""
    files = ["--images", f"{place}/images", "--metadata", f"{place}/m.csv"]
    return ["--workspace", f"{place}/workspace", "prepare", *files]


def test_a_made_up_archive_becomes_a_dataset(place: str, made_up: MadeUp, skinml: CommandLine) -> None:
    workspace = f"{place}/workspace"
    result = skinml("--workspace", workspace, "prepare", *made_up.flags()).result

    assert (result["listed"], result["prepared"], result["skipped"], result["quarantined"]) == (140, 140, 0, 0)
    samples = tables.read(workspace, "samples").to_pandas()
    assert samples["image_id"].is_unique
    assert result["dataset_version"] == tables.version(workspace, "samples")
    given = pd.read_csv(made_up.metadata).set_index("image_id").loc[samples["image_id"]]
    for column in ("lesion_id", "dx", "dx_type", "localization"):
        assert samples[column].tolist() == given[column].tolist()
    assert samples["sex"].fillna("unknown").tolist() == given["sex"].tolist()
    assert set(samples["sex"].dropna()) == {"female", "male"}
    assert samples["age"].isna().sum() == given["age"].isna().sum() > 0
    assert (samples["split"] == [split_of(lesion) for lesion in samples["lesion_id"]]).all()
    assert (samples.groupby("lesion_id")["split"].nunique() == 1).all()
    assert samples[["width", "height"]].to_numpy().tolist() == [[600, 450]] * 140
    assert samples["brightness"].between(0.1, 0.95).all()
    assert (samples["sharpness"] > 0).all()

    [run] = tables.read(workspace, "runs").to_pylist()
    assert (run["run_id"], run["status"], run["listed"], run["done"]) == (
        result["run_id"],
        "completed",
        140,
        140,
    )

    again = skinml("--workspace", workspace, "prepare", *made_up.flags()).result
    assert (again["skipped"], again["prepared"]) == (140, 0)
    assert again["dataset_version"] == result["dataset_version"]


def test_shards_are_bit_equal_to_pillow_in_exact_mode_in_both_formats(
    made_up: MadeUp, skinml: CommandLine, tmp_path: Path
) -> None:
    workspace = str(tmp_path / "workspace")
    stored = {}
    for stored_as in ("npy", "parquet"):
        flags = ["--size", 32, "--decode", "exact", "--format", stored_as]
        key = skinml("--workspace", workspace, "prepare", *made_up.flags(), *flags).result["dataset_key"]
        index = read_index(workspace, key).to_pandas()
        folder = Path(workspace, "shards", key)
        if stored_as == "npy":
            shard = np.load(folder / "shard-00000.npy", mmap_mode="r")
        else:
            column = pq.read_table(folder / "shard-00000.parquet")["pixels"]
            shard = np.stack([np.frombuffer(value.as_py(), np.uint8).reshape(32, 32, 3) for value in column])
        assert isinstance(shard, np.memmap) == (stored_as == "npy")
        stored[stored_as] = shard
        paths = {path.stem: path for root in made_up.roots for path in root.iterdir()}
        for row in index.itertuples():
            expected = np.asarray(Image.open(paths[row.image_id]).resize((32, 32)))
            assert np.array_equal(shard[row.row], expected), row.image_id
    assert np.array_equal(stored["npy"], stored["parquet"])
    samples = tables.read(workspace, "samples")
    assert samples.num_rows == 140  # one row per labelled image, in however many sizes its pixels are kept


def test_the_number_of_workers_does_not_change_a_byte(
    made_up: MadeUp, skinml: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKINML_CLUSTER")
    contents = []
    for workers in (1, 2):
        workspace = tmp_path / f"with-{workers}"
        # 512 px makes shards of 42 images: several of them, so that the order of workers could matter
        flags = ["--size", 512, "--workers", workers]
        key = skinml("--workspace", workspace, "prepare", *made_up.flags(), *flags).result["dataset_key"]
        folder = workspace / "shards" / key
        contents.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert len(contents[0]) == 5
    assert contents[0] == contents[1]


def test_what_does_not_match_is_counted_and_named(
    place: str, put: Put, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    names = ["one/a.jpg", "one/b.jpg", "one/no metadata.jpg", "one/torn.JPG", "two/a.jpeg", "two/c.png"]
    for number, name in enumerate(names):
        put(f"{place}/{name}", jpeg(number))
    put(f"{place}/one/notes.txt", b"not listed")
    put(f"{place}/one/.hidden.jpg", jpeg(9))
    rows = [metadata_row(name, f"lesion {name}") for name in ("a", "b", "c", "c", "gone", "torn")]
    rows.append(metadata_row("torn", "another lesion"))
    put(f"{place}/metadata.csv", (HEADER + "".join(rows)).encode())
    workspace = f"{place}/workspace"
    request = ["--images", f"{place}/one", "--images", f"{place}/two", "--metadata", f"{place}/metadata.csv"]
    request += ["--max-quarantined", "50%"]

    answer = skinml("--workspace", workspace, "prepare", *request)

    result = answer.result
    assert (result["listed"], result["prepared"], result["quarantined"], result["ignored"]) == (6, 3, 3, 2)
    assert result["reasons"] == {"duplicate_id": 2, "no_metadata": 1}
    assert (result["metadata_without_image"], result["metadata_repeated"]) == (1, 1)
    quarantine = tables.read(workspace, "quarantine").to_pandas()
    by_name = {uri.rsplit("/", 2)[1] + "/" + uri.rsplit("/", 1)[1]: uri for uri in quarantine["uri"]}
    assert set(by_name) in (
        {"one/no metadata.jpg", "one/torn.JPG", "two/a.jpeg"},  # a bucket's keys as they are
        {"one/no%20metadata.jpg", "one/torn.JPG", "two/a.jpeg"},  # a folder's names percent-encoded
    )
    second = quarantine[quarantine["uri"].str.endswith("two/a.jpeg")].iloc[0]
    assert "one/a.jpg" in second["detail"]  # names the file that has the image_id
    named = pd.read_csv(io.BytesIO(read_bytes(f"{workspace}/reports/{result['run_id']}/unmatched.csv")))
    assert dict(zip(named["image_id"], named["problem"], strict=True)) == {
        "gone": "metadata without an image",
        "c": "several equal rows in the metadata",
        "torn": "different rows in the metadata",
    }
    assert "gone" in answer.stderr

    again = skinml("--workspace", workspace, "prepare", *request).result
    assert (again["listed"], again["skipped"], again["quarantined"]) == (6, 6, 0)
    assert tables.read(workspace, "quarantine").num_rows == 3

    rows.append(metadata_row("no metadata", "lesion found"))
    put(f"{place}/metadata.csv", (HEADER + "".join(rows)).encode())
    mended = skinml("--workspace", workspace, "prepare", *request).result
    assert (mended["prepared"], mended["skipped"]) == (1, 5)


def test_a_changed_image_takes_the_place_of_its_older_version(
    place: str, put: Put, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    for name in ("a", "b"):
        put(f"{place}/images/{name}.jpg", jpeg(1, width=96))
    put(f"{place}/m.csv", (HEADER + metadata_row("a", "l1") + metadata_row("b", "l2")).encode())
    workspace = f"{place}/workspace"
    request = ["prepare", "--images", f"{place}/images", "--metadata", f"{place}/m.csv"]
    first = skinml("--workspace", workspace, *request).result

    put(f"{place}/images/a.jpg", jpeg(2, width=200))
    second = skinml("--workspace", workspace, *request).result

    assert (second["prepared"], second["skipped"]) == (1, 1)
    now = tables.read(workspace, "samples").to_pandas().set_index("image_id")
    assert (len(now), now.loc["a", "width"], now.loc["b", "width"]) == (2, 200, 96)
    before = tables.read(workspace, "samples", at=first["dataset_version"]).to_pandas().set_index("image_id")
    assert before.loc["a", "width"] == 96  # superseded, not lost

    put(f"{place}/images/b.jpg", b"")
    third = skinml("--workspace", workspace, *request, "--max-quarantined", "100%").result
    assert third["reasons"] == {"empty": 1}
    assert tables.read(workspace, "samples").num_rows == 2  # a broken newcomer drives no good sample out


def test_a_run_that_failed_is_taken_up_where_it_stopped(
    made_up: MadeUp, skinml: CommandLine, tmp_path: Path
) -> None:
    """All shards are decoded when the commit fails; the next run decodes none again, byte for byte."""
    workspace = tmp_path / "workspace"
    request = ["--workspace", workspace, "prepare", *made_up.flags(), "--size", 512]
    folder = workspace / "shards" / "512px-fast-bicubic-srgb-npy"
    blocked = workspace / "samples" / "_delta_log" / f"{0:020}.json"
    blocked.mkdir(parents=True)  # where the first commit shall be
    skinml(*request, expect=1)
    shards = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.npy")}
    assert len(shards) == 4
    blocked.rmdir()

    answer = skinml(*request)

    assert (answer.result["prepared"], answer.result["resumed"]) == (140, 140)
    assert "an interrupted run has decoded 140 of these images, 0 are left" in answer.stderr
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.glob("*.npy")} == shards
    assert read_index(str(workspace), folder.name).num_rows == 140
    assert tables.read(str(workspace), "samples").num_rows == 140
    assert sorted(path.name for path in folder.iterdir()) == ["index.parquet", *sorted(shards)]
    again = skinml(*request).result
    assert (again["skipped"], again["resumed"]) == (140, 0)


def test_duplicates_are_reported_and_share_a_split(
    place: str, put: Put, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    """One file under two names, of a lesion in train and of one in test, with two diagnoses."""
    lesions = [f"lesion {number}" for number in range(50)]
    train = next(name for name in lesions if split_of(name) == "train")
    test = next(name for name in lesions if split_of(name) == "test")
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        put(f"{place}/images/{name}.jpg", jpeg(seed))
    rows = [metadata_row("a", test), metadata_row("b", test), metadata_row("c", train, "mel")]
    put(f"{place}/m.csv", (HEADER + "".join(rows)).encode())
    workspace = f"{place}/workspace"
    request = ["prepare", "--images", f"{place}/images", "--metadata", f"{place}/m.csv"]

    answer = skinml("--workspace", workspace, *request)

    assert (answer.result["identical_pairs"], answer.result["duplicates_across_lesions"]) == (1, 1)
    assert answer.result["duplicates_across_diagnoses"] == 1
    assert "duplicates.csv" in answer.stderr
    url = f"{workspace}/reports/{answer.result['run_id']}/duplicates.csv"
    [pair] = pd.read_csv(io.BytesIO(read_bytes(url))).to_dict("records")
    assert (pair["first_image_id"], pair["second_image_id"], pair["kind"]) == ("a", "c", "identical")
    assert set(tables.read(workspace, "samples").to_pandas()["split"]) == {"train"}


def test_corrected_metadata_reaches_the_samples(
    place: str, put: Put, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    for number, name in enumerate("ab"):
        put(f"{place}/images/{name}.jpg", jpeg(number))
    put(f"{place}/m.csv", (HEADER + metadata_row("a", "l1") + metadata_row("b", "l2")).encode())
    workspace = f"{place}/workspace"
    request = ["prepare", "--images", f"{place}/images", "--metadata", f"{place}/m.csv"]
    first = skinml("--workspace", workspace, *request).result

    put(f"{place}/m.csv", (HEADER + metadata_row("a", "l3", "mel")).encode())
    answer = skinml("--workspace", workspace, *request)

    assert (answer.result["skipped"], answer.result["relabelled"]) == (2, 1)
    assert answer.result["metadata_removed"] == 1
    assert "1 x a sample without metadata (b)" in answer.stderr
    now = tables.read(workspace, "samples").to_pandas().set_index("image_id")
    assert now[["lesion_id", "dx"]].T.to_dict("list") == {"a": ["l3", "mel"], "b": ["l2", "nv"]}
    assert now.loc["a", "split"] == split_of("l3")
    then = tables.read(workspace, "samples", at=first["dataset_version"]).to_pandas()
    assert set(then["dx"]) == {"nv"}


def test_a_moved_file_keeps_its_place_in_the_dataset(
    tmp_path: Path, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    images = tmp_path / "images"
    (images / "old").mkdir(parents=True)
    (images / "old" / "a.jpg").write_bytes(jpeg(1))
    (tmp_path / "m.csv").write_text(HEADER + metadata_row("a", "l1"))
    request = ["--workspace", tmp_path / "w", "prepare", "--images", images, "--metadata", tmp_path / "m.csv"]
    skinml(*request)
    (images / "old").rename(images / "new")
    result = skinml(*request).result
    assert (result["prepared"], result["quarantined"]) == (1, 0)
    [sample] = tables.read(str(tmp_path / "w"), "samples").to_pylist()
    assert sample["uri"].endswith("new/a.jpg")


def test_storage_that_fails_now_and_then_costs_no_image(
    opened: ObjectStore, jpeg: Callable[..., bytes], skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archive and workspace in a bucket of which one request in eight is refused, reset or cut short."""
    monkeypatch.delenv("SKINML_CLUSTER")  # its workers know the server itself, not the proxy
    bucket = "prepared-behind-faults"  # which requests fail is drawn by names
    names = [f"i{number:03}" for number in range(60)]
    opened.files().mkdir(bucket)
    opened.files().pipe({f"{bucket}/images/{name}.jpg": jpeg(seed) for seed, name in enumerate(names)})
    rows = "".join(metadata_row(name, f"lesion of {name}") for name in names)
    opened.files().pipe_file(f"{bucket}/m.csv", (HEADER + rows).encode())
    kinds = [Fault.ERROR_500, Fault.ERROR_503, Fault.RESET, Fault.CUT]
    with faulty(opened.endpoint, some(0.125, kinds, seed=3, in_a_row=1)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        request = ["prepare", "--images", f"s3://{bucket}/images", "--metadata", f"s3://{bucket}/m.csv"]
        result = skinml("--workspace", f"s3://{bucket}/workspace", *request).result
        assert proxy.faults.total() >= 8
    assert (result["prepared"], result["quarantined"]) == (60, 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", opened.endpoint)
    samples = tables.read(f"s3://{bucket}/workspace", "samples").to_pandas()
    assert sorted(samples["image_id"]) == names


BAD_METADATA = {
    "no dx column": ("lesion_id,image_id\nl,a\n", "has no column dx"),
    "a second dx column": ("image_id,lesion_id,dx,DX\na,l,nv,mel\n", "has 2 columns dx (dx, DX)"),
    "no lesion_id column": ("image_id,dx\na,nv\n", "has no column lesion_id"),
    "unknown dx": (HEADER + metadata_row("a", "l", "wart"), "'wart' is none of"),
    "blank lesion": (HEADER + metadata_row("a", ""), "lesion_id is blank"),
    "age in words": (HEADER + "l,a,nv,histo,forty,male,back,x\n", "'forty'"),
    "empty": ("", "is empty"),
}


@pytest.mark.parametrize("name", BAD_METADATA)
def test_bad_metadata_is_refused_and_nothing_written(
    name: str, tmp_path: Path, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    text, words = BAD_METADATA[name]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(jpeg())
    (tmp_path / "m.csv").write_text(text)
    workspace = tmp_path / "workspace"
    request = ["prepare", "--images", tmp_path / "images", "--metadata", tmp_path / "m.csv"]
    answer = skinml("--workspace", workspace, *request, expect=2)
    assert words in answer.stderr.splitlines()[-1]
    assert "m.csv" in answer.stderr.splitlines()[-1]
    assert not exists(str(workspace))


def test_metadata_of_other_images_fails_before_anything_is_decoded(
    place: str, put: Put, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    for number, name in enumerate("abcde"):
        put(f"{place}/images/{name}.jpg", jpeg(number))
    put(f"{place}/m.csv", (HEADER + metadata_row("a", "l1") + metadata_row("x", "l2")).encode())
    workspace = f"{place}/workspace"
    request = request_at(place)

    answer = skinml(*request, expect=1)

    [run] = tables.read(workspace, "runs").to_pylist()
    assert answer.stderr.splitlines()[-1] == (
        "skinml: 4 of 5 new images (80%) cannot be used (4 no_metadata), more than --max-quarantined 20%: "
        f"nothing was committed; {workspace}/reports/{run['run_id']}/quarantined.csv lists them; most "
        "likely the metadata is for other images: the metadata has no row for image_id b, but rows for x; give "
        "the metadata of these images, or allow more"
    )
    assert run["status"] == "failed"
    assert not exists(f"{workspace}/shards")
    assert tables.read(workspace, "quarantine").num_rows == 0

    result = skinml(*request, "--max-quarantined", "80%").result
    assert (result["prepared"], result["quarantined"]) == (1, 4)
    assert skinml(*request).result["skipped"] == 5  # what is known is not new


def test_an_archive_of_broken_images_fails_and_the_next_run_decodes_the_good_ones_no_more(
    place: str, put: Put, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    for number, name in enumerate("abcde"):
        put(f"{place}/images/{name}.jpg", b"" if name in "bd" else jpeg(number))
    rows = "".join(metadata_row(name, f"l {name}") for name in "abcde")
    put(f"{place}/m.csv", (HEADER + rows).encode())
    workspace = f"{place}/workspace"
    request = request_at(place)

    answer = skinml(*request, expect=1)

    assert "2 of 5 new images (40%) cannot be used (2 empty), more than --max-quarantined 20%" in answer.stderr
    assert (tables.version(workspace, "samples"), tables.read(workspace, "quarantine").num_rows) == (None, 0)
    for number, name in enumerate("bd", 5):
        put(f"{place}/images/{name}.jpg", jpeg(number))
    result = skinml(*request).result
    assert (result["prepared"], result["resumed"], result["quarantined"]) == (5, 3, 0)
    assert tables.read(workspace, "samples").num_rows == 5


def test_isic_2019_as_it_comes(place: str, put: Put, jpeg: Callable[..., bytes], skinml: CommandLine) -> None:
    """Two tables, files called _downsampled, a class that is none of ours, an image without a lesion."""
    for number in range(6):
        put(f"{place}/images/ISIC_{number}{'_downsampled' if number == 2 else ''}.jpg", jpeg(number))
    classes = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    given = dict(enumerate(["NV", "AK", "MEL", "SCC", "UNK", "NV"]))
    labels = [
        f"ISIC_{n},{','.join('1.0' if name == dx else '0.0' for name in classes)}" for n, dx in given.items()
    ]
    lesions = [f"ISIC_{n},{50 + n}.0,torso,{'' if n == 5 else f'BCN_{n // 2}'},female" for n in given]
    head = "image,age_approx,anatom_site_general,lesion_id,sex"
    put(f"{place}/labels.csv", "\r\n".join([f"image,{','.join(classes)}", *labels, ""]).encode())
    put(f"{place}/lesions.csv", "\n".join([head, *lesions, ""]).encode("utf-8-sig"))
    workspace = f"{place}/workspace"
    request = ["--workspace", workspace, "prepare", "--images", f"{place}/images"]
    request += ["--metadata", f"{place}/labels.csv", "--metadata", f"{place}/lesions.csv"]

    assert "--drop scc --drop unknown" in skinml(*request, expect=2).stderr
    request += ["--drop", "unknown", "--map", "scc=akiec"]
    assert "line 7 (ISIC_5): lesion_id is blank" in skinml(*request, expect=2).stderr
    assert not exists(workspace)
    answer = skinml(*request, "--drop", "no-lesion")

    assert (answer.result["listed"], answer.result["prepared"], answer.result["skipped"]) == (6, 4, 2)
    assert (answer.result["dropped"], answer.result["respelled"]) == (2, {"_downsampled": 1})
    samples = tables.read(workspace, "samples").to_pandas().sort_values("image_id")
    assert samples[["image_id", "lesion_id", "dx", "age", "localization"]].to_numpy().tolist() == [
        ["ISIC_0", "BCN_0", "nv", 50.0, "torso"],
        ["ISIC_1", "BCN_0", "akiec", 51.0, "torso"],
        ["ISIC_2_downsampled", "BCN_1", "mel", 52.0, "torso"],
        ["ISIC_3", "BCN_1", "akiec", 53.0, "torso"],
    ]
    assert "spells differently from the files (_downsampled 1)" in answer.stderr
    assert tables.read(workspace, "quarantine").num_rows == 0

    # The same images once more, without those of class scc, which are samples by now.
    request[-2:] = ["--drop", "scc", "--drop", "no-lesion", "--drop", "sscc"]
    answer = skinml(*request)
    assert (answer.result["skipped"], answer.result["dropped"], answer.result["metadata_removed"]) == (6, 3, 0)
    assert sorted(tables.read(workspace, "samples")["image_id"].to_pylist()) == [
        *("ISIC_0", "ISIC_1", "ISIC_2_downsampled")
    ]
    assert "1 samples of earlier runs are removed" in answer.stderr
    assert "--drop sscc: no row has this class" in answer.stderr
