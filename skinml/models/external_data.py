"""Refuse an ONNX file whose weights lie in other files, because these could be anywhere on the disk."""

from __future__ import annotations

import re

from skinml.errors import RequestError

# TensorProto.external_data is a list of key and value, and the key "location" names the file. On the wire
# (protobuf's encoding guide): field 1, length-delimited, 8 bytes. Both numbers may be padded with 0x80 and 0.
_LOCATION = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)\Z")
_LONGEST = 20
"""Bytes of two padded numbers: protobuf reads at most ten of each."""


def check_whole(network: bytes, url: str) -> None:
    """Refuse an ONNX file that names another file to read weights from.

    Given bytes, onnxruntime 1.20 reads such a file wherever it lies, 1.32 still below the working directory.
    """
    for found in re.finditer(b"location", network):
        if _LOCATION.search(network, max(0, found.start() - _LONGEST), found.start()):
            raise RequestError(
                f"{url}: keeps weights in another file, which is not read; export the network as one file"
            )
