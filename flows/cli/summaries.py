"""The sentence with which a verb ends: what a person would quote of its result. One function for each verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skinml.words import in_reasons, in_time, several

Result = Mapping[str, Any]


def summary(verb: str, action: str | None, result: Result) -> str:
    """Return the closing sentences of a result; empty for verbs that have none.

    Args:
        verb: the name of the verb.
        action: its action, such as `verify`; None if it has none.
        result: what the verb gave back.
    """
    return SUMMARIES.get((verb, action), _nothing)(result)


def _nothing(_: Result) -> str:
    return ""


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _speed(result: Result) -> str:
    """`in 12 s (85 images/s)`."""
    rate = result.get("images_per_second") or 0
    shown = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
    return f"in {in_time(result['seconds'])} ({shown} images/s)"


def _unusable(result: Result) -> str:
    """`3 went to quarantine (2 truncated, 1 not an image)`."""
    count = result["quarantined"]
    if not count:
        return "none went to quarantine"
    reasons = in_reasons(result.get("reasons", {}))
    return f"{count:,} went to quarantine{f' ({reasons})' if reasons else ''}"


def _malignant(result: Result) -> str:
    count = result.get("malignant")
    if count is None or not result["scored"]:
        return ""
    words = {0: "none looks malignant", 1: "1 looks malignant"}.get(count, f"{count:,} look malignant")
    return f"; {words} (p_malignant of at least 0.5)"


def _synth(result: Result) -> str:
    corrupt = result["corrupt"]
    broken = {0: "none is", 1: "1 is"}.get(corrupt, f"{corrupt:,} are")
    return f"Made {several(result['images'], 'image')}; {broken} broken on purpose."


def _fetch(result: Result) -> str:
    there = result["there_already"]
    known = f"; {there:,} {'was' if there == 1 else 'were'} there already" if there else ""
    return f"Fetched {several(result['fetched'], 'image')} in {in_time(result['seconds'])}{known}."


def _explore(result: Result) -> str:
    of = f"{several(result['images'], 'image')} of {several(result['lesions'], 'lesion')}"
    suspicious = result["suspicious_labels"]
    labels = f"; {several(suspicious, 'label is', 'labels are')} suspicious" if suspicious else ""
    return f"Drew {of} in {several(len(result['files']), 'file')}{labels}."


def _organize(result: Result) -> str:
    made = result["linked"] + result["copied"]
    there, missing = result["there_already"], result["missing"]
    known = f"; {there:,} {'was' if there == 1 else 'were'} there already" if there else ""
    gone = f"; {missing:,} {'is' if missing == 1 else 'are'} gone" if missing else ""
    return f"Put {several(made, 'image')} into one folder for each class{known}{gone}."


def _report(result: Result) -> str:
    files = several(len(result["files"]), "file")
    return f"Wrote {files} in {in_time(result['seconds'])}: {result['files'][0]}"


def _prepare(result: Result) -> str:
    due = result.get("until_retraining")
    listed, of = several(result["listed"], "image"), f"{result['listed']:,}"
    if not result["listed"]:
        return "Found no image to prepare."
    if not (result["prepared"] or result["quarantined"]):
        return _joined(f"Nothing new to prepare: {listed} listed.", f"{due}." if due else "")
    done = f"Prepared {several(result['prepared'], 'new image')} of {of} {_speed(result)}; {_unusable(result)}."
    return _joined(done, f"Dataset version {result['dataset_version']}.", f"{due}." if due else "")


def _figure(result: Result, name: str, key: str = "metrics", intervals: str = "intervals") -> str:
    """`balanced accuracy 0.680 (0.612 to 0.741)`; empty if it was not measured."""
    value = result[key].get(name)
    if not isinstance(value, int | float):
        return ""
    interval = result.get(intervals, {}).get(name)
    bounds = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    return f"{name.replace('_', ' ')} {value:.3f}{bounds}"


def _figures(result: Result) -> str:
    names = ("balanced_accuracy", "melanoma_sensitivity")
    return ", ".join(filter(None, (_figure(result, name) for name in names))) or "nothing could be measured"


def _train(result: Result) -> str:
    images = several(result["metrics"].get("images", 0), "test image")
    figure = _figure(result, "balanced_accuracy", "honest", "honest_intervals") if "honest" in result else ""
    honest = f" With whole lesions held out: {figure}." if figure else ""
    became = {
        "first": "it is the champion",
        "kept": "it is registered, and is not champion",
    }.get(result["decision"] or "", "it is registered; skinml models promote would make it champion")
    trained = f"Trained {result['model_name']} in {in_time(result['seconds'])}: {_figures(result)} on {images}."
    return f"{trained}{honest} Version {result['model_version']}: {became}."


def _search(result: Result) -> str:
    done, thesis = several(result["done"], "network"), (result.get("thesis") or {}).get("balanced_accuracy")
    failed = f", {result['failed']:,} failed" if result["failed"] else ""
    best = result["best"]
    compared = "" if thesis is None else f" (the thesis's network {thesis:.3f})"
    return (
        f"Measured {done}{failed}. The best one, {best['network']}, reached a balanced accuracy of"
        f" {best['balanced_accuracy']:.3f} on validation lesions{compared}. Version {result['model_version']}:"
        f" {_figures(result)} on test lesions; skinml models promote would make it champion."
    )


def _retrain(result: Result) -> str:
    challenger = result["challenger"]
    begun = {
        "promoted": f"Retrained: {challenger} is the new champion",
        "kept": f"Retrained: {challenger} does not replace the champion",
        "proposed": f"Retrained: {challenger} is proposed, and skinml models promote would make it champion",
        "skipped": "Did not retrain",
    }[result["decision"]]
    return f"{begun}: {result['reason'].rstrip('.')}."


def _mislabelled(result: Result) -> str:
    issues = result["issues"]
    lesions = several(result["lesions"], "lesion")
    if not issues:
        return f"No label of {lesions} is suspicious."
    return f"{issues:,} of {lesions} {'has a suspicious label' if issues == 1 else 'have suspicious labels'}."


def _evaluate(result: Result) -> str:
    images = several(result["images"], "image")
    return f"Model {result['model_version']} on {images}: {_figures(result)}. Report: {result['report']}"


def _score(result: Result) -> str:
    listed = several(result["listed"], "image")
    if not result["listed"]:
        return "Found no image to score."
    left = result.get("beyond_limit")
    later = f"{several(left, 'image')} left for the next run." if left else ""
    if not (result["scored"] or result["quarantined"]):
        return _joined(f"Nothing new to score: {listed} listed.", later)
    done = f"Scored {several(result['scored'], 'new image')} of {result['listed']:,} {_speed(result)}"
    version = "" if result["table_version"] is None else f"Table version {result['table_version']}."
    drifted = result.get("health") == "drifted"
    warning = "The images have drifted: do not trust these scores." if drifted else ""
    return _joined(f"{done}; {_unusable(result)}{_malignant(result)}.", version, later, warning)


def _replay(result: Result) -> str:
    tried = several(result["replayed"], "image")
    if not result["replayed"]:
        return "No image in quarantine could be tried again."
    still = result["still_quarantined"]
    cannot = {0: "all can be used now", 1: "1 still cannot be used"}.get(
        still, f"{still:,} still cannot be used"
    )
    return f"Tried {tried} again {_speed(result)}: {result['scored']:,} scored, {cannot}."


def _quarantine(result: Result) -> str:
    images = result["images"]
    return f"{several(images, 'image is', 'images are') if images else 'No image is'} in quarantine."


def _champion(result: Result) -> str:
    champion = result.get("champion")
    return f"{champion} is the champion." if champion else "There is no champion."


def _models(result: Result) -> str:
    return f"{several(len(result['models']), 'version')} registered. {_champion(result)}"


def _decided(result: Result) -> str:
    before = result.get("previous_version")
    return f"{result['champion']} is the champion now{f', instead of {before}' if before else ''}."


def _history(result: Result) -> str:
    return f"{several(len(result['promotions']), 'decision')}. {_champion(result)}"


def _verify(result: Result) -> str:
    versions, problems = several(len(result["models"]), "version"), len(result["problems"])
    if problems:
        return f"Checked {versions}: {several(problems, 'problem')} found."
    return f"Checked {versions}: every file is as it was registered."


def _export(result: Result) -> str:
    of = "" if result["rows"] == result["of"] else f" of {result['of']:,}"
    order = f", sorted by {result['sort']}" if result["sort"] else ""
    health = " The run has drifted: do not trust its scores." if result["health"] == "drifted" else ""
    rows = several(result["rows"], "row")
    return f"Wrote {rows}{of} of run {result['run_id']} to {result['file']}{order}.{health}"


def _status(result: Result) -> str:
    if result["problems"]:
        return f"Not healthy: {several(len(result['problems']), 'problem')}."
    last = result["last_completed"]
    return f"Healthy: the last night completed at {last}." if last else "Healthy; no night has completed yet."


def _doctor(result: Result) -> str:
    checks = several(result["ok"] + result["warning"] + result["failed"], "check")
    bad = [several(result["warning"], "warning")] if result["warning"] else []
    bad += [f"{result['failed']:,} failed"] if result["failed"] else []
    return f"{checks}: {', '.join(bad) or 'all is well'}."


def _explain(result: Result) -> str:
    return f"Wrote {several(len(result['files']), 'file')} on why {result['image_id']} got its score."


def _compact(result: Result) -> str:
    tables = result["tables"].values()
    merged = sum(row["small_files"] or 0 for row in tables)
    deleted = sum(row["vacuumed"] or 0 for row in tables)
    files, unneeded = several(merged, "small file"), several(deleted, "unneeded file")
    if result["dry_run"]:
        return f"Would merge {files} and delete {unneeded}. Nothing was changed."
    return f"Merged {files} and deleted {unneeded} in {in_time(result['seconds'])}."


def _demo(result: Result) -> str:
    scored, unusable = several(result["scored"], "image"), several(result["quarantined"], "broken image")
    done = f"The demo scored {scored} and put {unusable} in quarantine; its model has a balanced accuracy of"
    done = f"{done} {result['balanced_accuracy']:.3f}."
    return _joined(done, f"Report: {result['report']}" if result.get("report") else "")


def _drill(result: Result) -> str:
    problems = len(result["problems"])
    found = several(problems, "problem") if problems else "no row was lost, doubled or different"
    return f"Killed {several(result['kills'], 'run')} in {in_time(result['seconds'])}: {found}."


SUMMARIES: Mapping[tuple[str, str | None], Callable[[Result], str]] = {
    ("synth", None): _synth,
    ("fetch", None): _fetch,
    ("prepare", None): _prepare,
    ("explore", None): _explore,
    ("organize", None): _organize,
    ("train", None): _train,
    ("retrain", None): _retrain,
    ("search", None): _search,
    ("mislabelled", None): _mislabelled,
    ("evaluate", None): _evaluate,
    ("score", None): _score,
    ("quarantine", "list"): _quarantine,
    ("quarantine", "replay"): _replay,
    ("models", "list"): _models,
    ("models", "show"): _nothing,  # the page itself
    ("models", "compare"): _nothing,
    ("models", "promote"): _decided,
    ("models", "rollback"): _decided,
    ("models", "history"): _history,
    ("models", "verify"): _verify,
    ("export", None): _export,
    ("report", None): _report,
    ("status", None): _status,
    ("doctor", None): _doctor,
    ("explain", None): _explain,
    ("compact", None): _compact,
    ("up", None): _nothing,  # it ends with Ctrl-C, or says that it is running already
    ("demo", None): _demo,
    ("drill", None): _drill,
    ("completion", None): _nothing,  # a script
}
"""The sentence of every row of the table of verbs."""
