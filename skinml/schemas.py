"""The data contract: one Arrow schema for each table of a workspace. Columns may be added, never renamed."""

from __future__ import annotations

import pyarrow as pa

from skinml.labels import DIAGNOSES

UTC_TIME = pa.timestamp("us", tz="UTC")
PROBABILITY_COLUMNS: tuple[str, ...] = tuple(f"p_{name}" for name in DIAGNOSES)

FLAGS = ("blurred", "dark", "overexposed", "low_confidence", "unlike_training", "colour_profile")
"""What the column `flags` of `scores` may hold, in the order in which they are written."""

IMAGE_VERSION: list[str] = ["uri", "etag"]
"""The columns that identify a version of an image: the object's name, and the etag that changes with its
bytes."""

LISTING = pa.schema(
    [("uri", pa.string()), ("etag", pa.string()), ("size_bytes", pa.int64()), ("last_modified", UTC_TIME)]
)
"""A listing of an archive: one row per image object."""

SAMPLES = pa.schema(
    [
        ("image_id", pa.string()),
        ("lesion_id", pa.string()),
        ("dx", pa.string()),
        ("dx_type", pa.string()),
        ("age", pa.float64()),  # years; null if the source leaves it blank
        ("sex", pa.string()),
        ("localization", pa.string()),
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("size_bytes", pa.int64()),
        ("width", pa.int32()),  # pixels of the source image, after EXIF orientation
        ("height", pa.int32()),
        ("split", pa.string()),  # train, val or test: a function of split_group alone
        ("split_group", pa.string()),  # one lesion_id for all lesions that share a duplicate image: one split
        ("sharpness", pa.float64()),  # variance of the Laplacian of the luminance, on scaled pixels
        ("brightness", pa.float64()),  # mean luminance, 0 (black) to 1 (white)
        ("contrast", pa.float64()),  # standard deviation of the luminance, 0 to 0.5
        ("sha256", pa.string()),  # of the file's bytes, hexadecimal
        (
            "phash",
            pa.string(),
        ),  # perceptual hash of the pixels, 256 bits in hexadecimal; null for an even image
        ("metadata_row", pa.int64()),  # position in the metadata, in whose order the thesis protocol draws
        ("run_id", pa.string()),
        ("prepared_at", UTC_TIME),
        ("source", pa.string()),  # where the image was taken, such as vidir_modern; null in older rows
    ]
)

SCORES = pa.schema(
    [
        ("run_id", pa.string()),
        ("run_date", pa.date32()),
        ("image_id", pa.string()),
        ("uri", pa.string()),
        ("etag", pa.string()),  # of the bytes that were scored; skinml.records.etags says what +sha256: means
        ("size_bytes", pa.int64()),
        ("last_modified", UTC_TIME),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("predicted_dx", pa.string()),
        *((column, pa.float64()) for column in PROBABILITY_COLUMNS),
        ("p_malignant", pa.float64()),  # akiec + bcc + mel
        ("confidence", pa.float64()),  # the largest of the seven probabilities
        ("flags", pa.string()),  # comma-separated warnings about the image; empty when there are none
        ("scored_at", UTC_TIME),
        ("precision", pa.string()),  # of the network's arithmetic: fp32 or int8
        ("width", pa.int32()),  # pixels of the source image, after EXIF orientation
        ("height", pa.int32()),
        ("sharpness", pa.float64()),  # as in SAMPLES, but on the model's own pixels
        ("brightness", pa.float64()),
        (
            "unlike_training",
            pa.float64(),
        ),  # distance from the training images' features; null without a reference
        ("sha256", pa.string()),  # of the bytes that were scored, hexadecimal; null in older rows
    ]
)

SHADOW_SCORES = SCORES
"""Scores of a challenger beside the champion's. `run_id` is the night whose images it scored."""

QUARANTINE = pa.schema(
    [
        ("run_id", pa.string()),
        ("flow", pa.string()),
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("size_bytes", pa.int64()),
        ("reason", pa.string()),  # one of skinml.errors.Reason
        ("detail", pa.string()),
        ("quarantined_at", UTC_TIME),
        ("sha256", pa.string()),  # of the bytes, hexadecimal; null where nothing was read, and in older rows
    ]
)

KNOWN_ETAGS = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("sha256", pa.string()),  # of the bytes that had this etag, hexadecimal
        ("size_bytes", pa.int64()),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("run_id", pa.string()),
        ("seen_at", UTC_TIME),
    ]
)
"""Image versions that need no row in `scores`, because the model version scored the same bytes of this uri."""

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("flow", pa.string()),
        ("status", pa.string()),  # completed or failed
        ("started_at", UTC_TIME),
        ("finished_at", UTC_TIME),
        ("listed", pa.int64()),
        ("skipped", pa.int64()),
        ("done", pa.int64()),
        ("quarantined", pa.int64()),
        ("seconds", pa.float64()),
        ("images_per_second", pa.float64()),
        ("model_version", pa.string()),
        ("parameters", pa.string()),  # JSON
        ("versions", pa.string()),  # JSON: library versions
        ("error", pa.string()),
        ("health", pa.string()),  # of the run's images: usual, drifted or too_few; null if not measured
        ("health_detail", pa.string()),  # JSON: what drifted, by how much
        ("new_lesions", pa.int64()),  # labelled lesions since the last retraining looked; null if not counted
    ]
)

PROMOTIONS = pa.schema(
    [
        ("promoted_at", UTC_TIME),
        ("alias", pa.string()),  # champion
        ("model_name", pa.string()),  # the version decided on
        ("model_version", pa.string()),
        ("previous_version", pa.string()),  # what the alias named before; null for the first
        ("decision", pa.string()),  # first, promoted, forced, kept, proposed or rolled_back
        ("reason", pa.string()),
        ("evidence", pa.string()),  # JSON: every criterion with its figures and verdict
        (
            "test_looks",
            pa.int64(),
        ),  # how often decisions have looked at this test set; null if none
        ("decided_by", pa.string()),
        ("run_id", pa.string()),  # null if nobody's run decided
        ("manifest_sha256", pa.string()),  # of the version's manifest, hexadecimal
        ("test_set", pa.string()),  # which test images; null if the decision did not look at any
        ("samples_version", pa.int64()),  # of `samples`, that the version was trained on; null if not known
    ]
)
"""Append-only: one row per decision about an alias."""

INDEX = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("image_id", pa.string()),
        ("shard", pa.int32()),
        ("row", pa.int32()),
    ]
)
"""`shards/<dataset key>/index.parquet`: the shard and row of each sample's pixels."""

OUTCOME = pa.schema(
    [
        ("uri", pa.string()),
        ("listed_etag", pa.string()),  # in the plan
        ("etag", pa.string()),  # of the bytes that were read
        ("size_bytes", pa.int64()),
        ("row", pa.int32()),  # in the shard; null if the image was rejected, as are the measures
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sharpness", pa.float64()),
        ("brightness", pa.float64()),
        ("contrast", pa.float64()),
        ("sha256", pa.string()),
        ("phash", pa.string()),
        ("prepared_at", UTC_TIME),
        ("reason", pa.string()),  # null if the image was prepared
        ("detail", pa.string()),
        ("colour_profile", pa.bool_()),  # whether it has one other than sRGB; null if the image was rejected
    ]
)
"""`shards/<dataset key>/unpublished/`: the outcome of one shard's images, until the dataset is committed."""

PREDICTIONS = pa.schema(
    [
        ("image_id", pa.string()),
        ("lesion_id", pa.string()),
        ("dx", pa.string()),  # the label
        ("split", pa.string()),  # val: the epoch was chosen on it; test: nothing was
        *((column, pa.float64()) for column in PROBABILITY_COLUMNS),
        ("draws", pa.int32()),  # how often the protocol draws the image into this split; 1 but for the thesis
        ("image_trained_on", pa.bool_()),  # whether the fit saw this image
        ("lesion_trained_on", pa.bool_()),  # whether it saw an image of this lesion
        ("age", pa.float64()),  # these four from `samples`: the groups that a model is judged by
        ("sex", pa.string()),
        ("localization", pa.string()),
        ("source", pa.string()),
    ]
)
"""`predictions.parquet` of a model version: one row per image of its validation and test set."""

EVALUATED = pa.schema(
    [
        *PREDICTIONS,  # split is test: the model knows none of these images
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("sha256", pa.string()),  # of the bytes that were evaluated, hexadecimal
    ]
)
"""`reports/<run id>/predictions.parquet` of an evaluation: one row per evaluated image."""

EVALUATIONS = pa.schema(
    [
        ("evaluated_at", UTC_TIME),
        ("run_id", pa.string()),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("set_key", pa.string()),  # hash of the evaluated images' hashes: the same images give the same key
        ("images_url", pa.string()),  # the folders and prefixes; several are separated by spaces
        ("images", pa.int64()),  # evaluated, so without those that were left out
        ("lesions", pa.int64()),
        ("metrics", pa.string()),  # JSON
        ("intervals", pa.string()),  # JSON
        ("predictions", pa.string()),  # path in the workspace: reports/<run id>/predictions.parquet
        ("predictions_sha256", pa.string()),
    ]
)
"""Append-only: one row per evaluation of a model version on labelled images."""

TRAINING_FEATURES = pa.schema(
    [
        ("image_id", pa.string()),
        ("lesion_id", pa.string()),
        ("dx", pa.string()),  # the label
        ("shard", pa.int32()),  # where its pixels lie in the dataset that the manifest names
        ("row", pa.int32()),
        ("features", pa.list_(pa.float16())),  # means of the network's cells, as many as these have channels
    ]
)
"""`training-features.parquet` of a model version: one row per training image, at most 20,000."""

TABLES: dict[str, pa.Schema] = {
    "samples": SAMPLES,
    "scores": SCORES,
    "shadow_scores": SHADOW_SCORES,
    "quarantine": QUARANTINE,
    "runs": RUNS,
    "known_etags": KNOWN_ETAGS,
    "promotions": PROMOTIONS,
    "evaluations": EVALUATIONS,
}
"""The Delta tables of a workspace, by folder name."""

KEPT_FOR_EVER = ("samples",)
"""Tables whose old versions are kept: a model names the version of `samples` that it was trained on."""

PARTITIONS: dict[str, list[str]] = {"scores": ["run_date"], "shadow_scores": ["run_date"]}
"""Partition columns of the tables that have any."""
