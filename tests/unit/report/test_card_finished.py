"""Tests of skinml/report/card_finished.py: what the card says of views, teachers, temperature and threshold."""

from skinml.models.calibrated import Calibration, OperatingPoint
from skinml.models.precisions import Network
from skinml.report.card import NOT_REPORTED
from skinml.report.card_finished import finished_items

FP32 = Network(
    file="model.onnx",
    calibration=Calibration(
        temperature=1.25, images=900, lesions=700, ece_before=0.09, ece_after=0.01, test_ece_before=0.1,
        test_ece_after=0.02,
    ),
    operating_point=OperatingPoint(
        target_sensitivity=0.9, threshold=0.1234, malignant_lesions=120, sensitivity=0.88,
        sensitivity_interval=(0.8, 0.93), specificity=0.75, specificity_interval=(0.72, 0.78),
    ),
)  # fmt: skip
TEACHERS = [{"name": "thesis-cnn", "version": "v1"}, {"name": "linear-probe", "version": "v2"}]


def _said(fields: dict[str, object]) -> dict[str, str]:
    return {item.name: " ".join(map(str, item.blocks)) for item in finished_items(fields)}


def test_it_says_what_the_manifest_has_as_models_or_as_plain_data() -> None:
    fields = {
        "views": 8,
        "teachers": TEACHERS,
        "parameters": {"distill_weight": 0.5},
        "precisions": {"fp32": FP32, "int8": Network(failure="no operators")},
    }
    said = _said(fields)
    assert "the mean of 8 views" in said["Views"]
    assert "thesis-cnn v1, linear-probe v2, which had a weight of 0.5" in said["Teachers"]
    assert (
        "fp32: temperature 1.250, fitted on 900 validation images of 700 lesions"
        in (said["Calibration by temperature"])
    )
    assert "on the test images 0.100 and 0.020" in said["Calibration by temperature"]
    assert "threshold 0.1234 for p_malignant" in said["Operating threshold"]
    assert (
        "sensitivity 0.880 (0.800 to 0.930), specificity 0.750 (0.720 to 0.780)" in said["Operating threshold"]
    )
    plain = {**fields, "precisions": {"fp32": FP32.model_dump(mode="json")}}
    assert _said(plain) == said


def test_a_version_from_before_says_that_it_is_not_reported() -> None:
    said = _said({"parameters": {}, "precisions": {"fp32": {"file": "model.onnx"}}})
    assert "once, as it is" in said["Views"]
    assert "from labels alone" in said["Teachers"]
    assert said["Calibration by temperature"] == said["Operating threshold"] == NOT_REPORTED
