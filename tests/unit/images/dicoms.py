"""DICOM files that tests make, with a patient in them who must not come out."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import config, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

PATIENT = "Marker^Zebedee"
"""Stands in every element that may hold a text, and in the preamble."""

DERMOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.7"
CT = "1.2.840.10008.5.1.4.1.1.2"


def photograph(width: int = 96, height: int = 72, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth colours: uint8 (h, w, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def dataset(pixels: NDArray[Any], photometric: str = "RGB", **more: Any) -> Dataset:
    """A dermoscopic photograph of a patient, without its pixels."""
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = DERMOSCOPY, uid.generate_uid(entropy_srcs=["skinml"])
    one.PatientName, one.PatientID, one.PatientAddress = PATIENT, PATIENT, f"{PATIENT} Street"
    one.StudyDescription = one.InstitutionName = PATIENT
    inner = Dataset()
    inner.PatientComments, inner.CodeMeaning = PATIENT, PATIENT
    one.RequestAttributesSequence = Sequence([inner])
    one["RequestAttributesSequence"].is_undefined_length = True
    one.PatientOrientation = ["L", "F"]
    one.Rows, one.Columns = pixels.shape[:2]
    one.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    one.BitsAllocated = one.BitsStored = 8 * pixels.itemsize
    one.HighBit, one.PixelRepresentation = one.BitsStored - 1, 0
    if pixels.ndim == 3:
        one.PlanarConfiguration = 0
    with config.disable_value_validation():
        for name, value in {"PhotometricInterpretation": photometric, **more}.items():
            setattr(one, name, value)
    return one


def file(one: Dataset, data: bytes, syntax: str = uid.ExplicitVRLittleEndian) -> bytes:
    """The bytes of a DICOM file; compressed pixels are one frame."""
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = uid.UID(syntax)
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.PixelData = encapsulate([data]) if uid.UID(syntax).is_encapsulated else data + b"\0" * (len(data) % 2)
    one["PixelData"].VR = "OB" if one.BitsAllocated <= 8 else "OW"
    one.preamble = PATIENT.encode().ljust(128, b"\0")
    with warnings.catch_warnings(), config.disable_value_validation(), io.BytesIO() as made:
        warnings.simplefilter("ignore")
        one.save_as(made, enforce_file_format=True)
        return made.getvalue()


def native(
    pixels: NDArray[Any], photometric: str = "RGB", syntax: str = uid.ExplicitVRLittleEndian, **more: Any
) -> bytes:
    """A DICOM whose pixels are not compressed. With PlanarConfiguration=1 they must be given so."""
    order: Literal["<", ">"] = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    return file(
        dataset(pixels, photometric, **more), pixels.astype(pixels.dtype.newbyteorder(order)).tobytes(), syntax
    )


def jpeg(pixels: NDArray[Any], quality: int = 90, **more: Any) -> bytes:
    """The bytes of a JPEG."""
    with io.BytesIO() as made:
        Image.fromarray(pixels).save(made, "JPEG", quality=quality, **more)
        return made.getvalue()


def wrapped(data: bytes, photometric: str = "YBR_FULL_422", **more: Any) -> bytes:
    """A DICOM around a JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        shape = (image.height, image.width, 3)[: 3 if image.mode == "RGB" else 2]
    return file(dataset(np.zeros(shape, np.uint8), photometric, **more), data, uid.JPEGBaseline8Bit)


def compressed(pixels: NDArray[Any], syntax: str, photometric: str = "RGB") -> bytes:
    """A DICOM that pydicom compresses: RLE or JPEG 2000."""
    one = dataset(pixels, photometric)
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    one.set_original_encoding(False, True)
    one.PixelData = pixels.tobytes()
    one.compress(syntax, generate_instance_uid=False)
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.preamble = PATIENT.encode().ljust(128, b"\0")
    with io.BytesIO() as made:
        one.save_as(made, enforce_file_format=True)
        return made.getvalue()


def deep(nested: int) -> bytes:
    """A DICOM with sequences in sequences before its pixels, none of which ends."""
    plain = native(photograph())
    pixels = plain.rindex(struct.pack("<HH", 0x7FE0, 0x0010))
    one = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return plain[:pixels] + one * nested + plain[pixels:]
