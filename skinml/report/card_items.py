"""What a model card says, filled from a version's manifest and metrics.

The items are those that three checklists ask for: CLEAR Derm (Daneshjou et al., JAMA Dermatol. 158:90, 2022)
for images of skin, CLAIM 2024 (Tejani et al., Radiol. Artif. Intell. 6:e240300, 2024) for medical imaging, and
TRIPOD+AI (Collins et al., BMJ 385:e078378, 2024) for prediction models. What nobody told skinml is said to be
not reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from skinml.errors import Reason
from skinml.labels import DIAGNOSES, MALIGNANT, NAMES
from skinml.report import recipe_words
from skinml.report.card import NOT_REPORTED, Block, Card, Item, Section, Table
from skinml.report.card_finished import finished_items
from skinml.report.card_performance import judged_sections, percent
from skinml.schemas import FLAGS
from skinml.words import several

EXCLUDED = (
    "Not for diagnosis, triage or any decision about a patient without a physician's own judgement: it is not a"
    " medical device and nobody has approved it as one.",
    "Not for clinical photographs or pictures of a phone without a dermatoscope, for other parts of the body"
    " than the training images show, or for diagnoses other than the seven: it gives seven probabilities for"
    " any image.",
    "Not as evidence that a lesion is harmless: a low p_malignant is no all-clear.",
)


def model_card(fields: Mapping[str, Any], measured: Mapping[str, Any], pictures: Collection[str]) -> Card:
    """Fill the card of one version.

    Args:
        fields: the manifest: name, version, created_at, protocol, preprocessing, dataset (with `description`,
            `dataset.description.describe`, and `told`), parameters, libraries, architecture, precisions.
        measured: `metrics.json` of the version.
        pictures: the bundle's pictures, paths relative to the bundle.

    """
    honest = measured.get("honest")
    sections = [
        Section("The model", _model(fields)),
        Section("Use", _use(fields["dataset"].get("told", {}))),
        Section("Data", _data(fields["dataset"])),
        Section("Split and training", _training(fields, measured)),
    ]
    if honest is not None:
        title = "Performance of the same recipe with whole lesions held out"
        sections += judged_sections(title, honest, _under("figures/honest/", pictures))
    title = "Performance on the test images"
    sections += judged_sections(title, measured, _under("figures/", pictures))
    sections += [
        Section("Views, teachers, calibration, operating threshold", finished_items(fields)),
        Section("Foreign and broken images", _robustness(measured)),
        Section("Explanation, limits, monitoring", _limits(fields, measured)),
        Section("Not part of the model", _context(fields["dataset"].get("told", {}))),
    ]
    return Card(f"Model card: {fields['name']} {fields['version']}", _summary(fields, measured), sections)


def _under(folder: str, pictures: Collection[str]) -> dict[str, str]:
    """Pictures directly in a folder, by their name."""
    return {
        path.removeprefix(folder): path
        for path in sorted(pictures)
        if path.startswith(folder) and "/" not in path.removeprefix(folder)
    }


def _summary(fields: Mapping[str, Any], measured: Mapping[str, Any]) -> str:
    judged = measured.get("honest") or measured
    metrics, intervals = judged["metrics"], judged.get("intervals", {})
    low, high = intervals.get("balanced_accuracy") or (None, None)
    present = len(DIAGNOSES) - len(metrics.get("absent") or [])
    interval = "" if low is None else f" (95 % interval {low:.3f} to {high:.3f})"
    held_out = " when whole lesions are held out" if measured.get("honest") else ""
    return (
        f"A classifier of dermatoscopic images into seven diagnoses, trained on {fields['created_at'][:10]}."
        f" Its balanced accuracy{held_out} is {metrics['balanced_accuracy']:.3f}{interval} on"
        f" {metrics['images']:,} test images; guessing reaches {1 / max(1, present):.3f}."
    )


def _model(fields: Mapping[str, Any]) -> list[Item]:
    made, built, asked = fields["preprocessing"], fields.get("architecture", {}), fields["parameters"]
    weights = built.get("weights")
    start = "random weights" if weights is None else f"pre-trained weights {weights['source']}"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(fields["libraries"].items()))
    ways = ", ".join(f"{name} {value}" for name, value in made.items() if name != "size")
    return [
        Item("Version", [f"{fields['name']} {fields['version']}, made by run {fields['run_id']}."]),
        Item(
            "Architecture", [f"{fields['name']}, {asked['trainable_parameters']:,} parameters, from {start}."]
        ),
        Item(
            "Input", [f"One image, resized to {made['size']} x {made['size']} px, RGB. Preprocessing: {ways}."]
        ),
        Item(
            "Output",
            [f"Seven probabilities that sum to 1: {', '.join(f'{n} ({NAMES[n]})' for n in DIAGNOSES)}."],
        ),
        Item("Licence of the network and its weights", [built.get("licence") or NOT_REPORTED]),
        Item("Software", [f"{versions}."]),
    ]


def _use(told: Mapping[str, str]) -> list[Item]:
    intended = told.get("intended_use") or (
        "Research: scoring archives of dermatoscopic images, so that a person can look at likely ones first and"
        " compare models."
    )
    return [
        Item("Intended use", [intended]),
        Item("Intended users", ["Researchers, data engineers and dermatologists who know the limits below."]),
        Item("Excluded use", list(EXCLUDED)),
        Item("Contact", [told.get("contact") or NOT_REPORTED]),
    ]


def _data(dataset: Mapping[str, Any]) -> list[Item]:
    told, described = dataset.get("told", {}), dataset.get("description")
    items = [
        Item("Source", [told.get("data_source") or NOT_REPORTED]),
        Item("Licence of the images", [told.get("data_licence") or NOT_REPORTED]),
        Item(
            "Version",
            [
                f"Version {dataset['version']} of the table samples, {several(dataset['samples'], 'image')};"
                f" pixels {dataset['key']}."
            ],
        ),
    ]
    if described is None:
        return [*items, Item("Composition", [NOT_REPORTED])]
    age = described["age"]
    ages = (
        f"{several(age['images'], 'image')} with an age: median {age['median']:g} years, {age['lowest']:g} to"
        f" {age['highest']:g}; unknown for {age['unknown']:,}."
        if age["images"]
        else f"Unknown for all {age['unknown']:,} images."
    )
    edges = [
        f"{low}" if low == high else f"{low} to {high}"
        for low, high in (described["width"], described["height"])
    ]
    return [
        *items,
        Item("Diagnoses", [_diagnoses(described)]),
        Item("Label sources", [_counted("label by", described.get("dx_type"))]),
        Item("Sex", [_counted("sex", described.get("sex"))]),
        Item("Age", [ages]),
        Item("Body site", [_counted("body site", described.get("localization"))]),
        Item("Where images were taken", [_counted("source", described.get("source"))]),
        Item("Skin tone", ["Not assessed: no label of skin tone came with the images."]),
        Item("Ethnicity", [NOT_REPORTED]),
        Item("Image size", [f"{edges[0]} px wide, {edges[1]} px high."]),
        Item(
            "Missing values",
            ["An age, sex, body site or source that is missing is a group of its own (unknown), never filled"
             " in."],
        ),
        Item(
            "Exclusions",
            ["Files that cannot be decoded, have no label or contradict each other are left out, each with a"
             " reason in the table quarantine. Images that are identical or near-identical are in one split."],
        ),
    ]  # fmt: skip


def _diagnoses(described: Mapping[str, Any]) -> Table:
    splits = sorted(described["splits"], key=("train", "val", "test").index)
    rows = [
        (f"{name} ({NAMES[name]})", *(f"{one.get(key, 0):,}" for key in ("images", "lesions", *splits)))
        for name, one in described["diagnoses"].items()
    ]
    total = [
        described["images"],
        described["lesions"],
        *(described["splits"][name]["images"] for name in splits),
    ]
    return Table(
        ("diagnosis", "images", "lesions", *(f"{name} images" for name in splits)),
        [*rows, ("all", *(f"{count:,}" for count in total))],
    )


def _counted(head: str, counts: Mapping[str, int] | None) -> Block:
    if not counts or set(counts) == {"unknown"}:
        return NOT_REPORTED
    return Table((head, "images"), [(name, f"{count:,}") for name, count in counts.items()])


def _training(fields: Mapping[str, Any], measured: Mapping[str, Any]) -> list[Item]:
    asked, thesis = fields["parameters"], fields["protocol"] == "thesis"
    leakage = measured["leakage"]
    settings = asked.get("settings", {})  # older versions did not record them
    recipe = (
        "500 images of each diagnosis, drawn with replacement, of which 25 % were then split off as the test"
        " set"
        if thesis
        else recipe_words.drawn(settings)
    )
    kept = "the last epoch's" if thesis else recipe_words.kept(settings, measured["best_epoch"])
    unit = (
        "Images, after copies of them were drawn. This is the thesis's protocol; its test figures do not"
        " generalise."
        if thesis
        else "Lesion, with all lesions that share a duplicate image: none is in two splits."
    )
    return [
        Item("Unit of the split", [unit]),
        Item(
            "Test images seen in training",
            [f"Of the test images {percent(leakage['image'])} were trained on too, and"
             f" {percent(leakage['lesion'])} show a lesion that was."],
        ),
        Item(
            "Recipe",
            [f"Protocol {fields['protocol']}: {recipe}; {several(asked['epochs'], 'epoch')}, batches of"
             f" {asked['batch_size']}, seed {asked['seed']}; {recipe_words.optimised(settings)};"
             f" {recipe_words.augmented(settings)}. Kept weights: {kept}.",
             *filter(None, [asked.get("stopped")])],
        ),
        Item("Sample size", ["Not calculated beforehand: all labelled images were used."]),
    ]  # fmt: skip


def _robustness(measured: Mapping[str, Any]) -> list[Item]:
    reasons = ", ".join(Reason)
    broken = f"They never reach the network. They go to the table quarantine with a reason: {reasons}."
    seen = measured.get("foreign")
    rows = [
        (kind, f"{one['images']:g}", percent(one["flagged"]), percent(one["unlike_training"]),
         f"{one['confidence']:.2f}", percent(one["malignant"]))
        for kind, one in (seen or {}).items()
    ]  # fmt: skip
    head = ("image", "n", "any flag", "unlike_training", "mean confidence", "p_malignant above 0.5")
    foreign: Block = Table(head, rows) if rows else NOT_REPORTED
    why = (
        "The network gives seven probabilities for any image. Measured on images made from test images; flags"
        f" are those of the table scores ({', '.join(FLAGS)}). What is not flagged is not known to be foreign."
    )
    return [Item("Broken images", [broken]), Item("Images that show no lesion", [why, foreign])]


def _limits(fields: Mapping[str, Any], measured: Mapping[str, Any]) -> list[Item]:
    notes = measured.get("notes") or []
    fixed = [
        "Measured on images of the same collections that it was trained on. Accuracy on other cameras and"
        " clinics is usually lower.",
        "It sees one image: no history, no touch, no second lesion of the same person.",
        f"Only seven diagnoses exist for it; malignant means {', '.join(MALIGNANT)}.",
    ]
    return [
        Item(
            "Explanation",
            ["skinml explain IMAGE_ID shows what the network used in one image and the nearest training"
             " lesions. It does not show where the lesion is."],
        ),
        Item("Limits", [*fixed, *notes]),
        Item(
            "Monitoring",
            ["Each run compares its images with held-out images (brightness, sharpness, size, confidence,"
             " distance from training images, mix of diagnoses) and says if they have drifted. skinml evaluate"
             " --outcomes measures sensitivity when diagnoses arrive."],
        ),
        Item(
            "Evaluation elsewhere",
            [f"None was recorded when this version was made. skinml models show {fields['version']} lists later"
             " ones."],
        ),
    ]  # fmt: skip


def _context(told: Mapping[str, str]) -> list[Item]:
    return [
        Item("Comparison with clinicians", [NOT_REPORTED]),
        Item("Ethical approval and consent", [told.get("ethics") or NOT_REPORTED]),
        Item("Funding and conflicts of interest", [NOT_REPORTED]),
        Item("Protocol registration", [NOT_REPORTED]),
        Item("Patient and public involvement", [NOT_REPORTED]),
        Item("Availability", ["Code: skinml, Apache-2.0. Images and weights: see their licences above."]),
    ]
