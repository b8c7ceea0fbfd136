"""A small archive on loopback that speaks the ISIC archive's public interface, and fails where it is told to.

Pages, cursors and the form of an image are those of the archive's own code (github.com/ImageMarkup/isic,
isic/core/api and isic/core/pagination.py): `count` only on the first page, `next` an absolute address.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.services.answers import answering, send

Fault = Callable[[BaseHTTPRequestHandler], None]
"""Answers a request in place of the archive."""

PAGE = 3
DIAGNOSES = (
    {"diagnosis_1": "Benign", "diagnosis_3": "Nevus"},
    {"diagnosis_1": "Malignant", "diagnosis_3": "Melanoma, NOS"},
    {"diagnosis_1": "Malignant", "diagnosis_3": "Squamous cell carcinoma, NOS"},
)


@dataclass
class Archive:
    """The archive. It changes while it is asked: a class.

    Attributes:
        files: bytes of each image, by isic_id.
        faults: what answers in place of the archive, by a part of the path; each fault once, in order.
        always: the same, every time.
        changes: keys of an image's JSON to replace, by isic_id.
        asked: paths and User-Agents of all requests.
        url: the interface.
    """

    files: dict[str, bytes]
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    always: dict[str, Fault] = field(default_factory=dict)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def fails_once(self, part: str, *faults: Fault) -> None:
        self.faults[part] = deque(faults)

    def files_asked(self) -> list[str]:
        """The images whose files were asked for, in order of name."""
        return sorted(path.rpartition("/")[2] for path, _ in self.asked if "/files/" in path)

    def answer(self, request: BaseHTTPRequestHandler, _: bytes) -> None:
        self.asked.append((request.path, str(request.headers.get("user-agent"))))
        for part, fault in self.always.items():
            if part in request.path:
                fault(request)
                return
        for part, faults in self.faults.items():
            if part in request.path and faults:
                faults.popleft()(request)
                return
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        if path == "/api/v2/collections/212/":
            as_json(request, {"id": 212, "name": "HAM10000", "public": True, "doi": None, "doi_url": None})
        elif path == "/api/v2/images/search/":
            as_json(request, self._page(query))
        elif path.startswith("/api/v2/images/"):
            as_json(request, self.image(path.rstrip("/").rpartition("/")[2]))
        elif path.startswith("/files/"):
            send(request, 200, self.files[path.rpartition("/")[2]], content_type="image/jpeg")
        else:
            send(request, 404)

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        start = int(base64.b64decode(query["cursor"][0]).decode()[2:]) if "cursor" in query else 0
        names = sorted(self.files)[start : start + PAGE]
        cursor = base64.b64encode(f"p={start + PAGE}".encode()).decode()
        following = f"{self.url}images/search/?collections=212&cursor={cursor}&limit=100"
        return {
            "results": [self.image(name) for name in names],
            "count": None if start else len(self.files),
            "next": following if start + PAGE < len(self.files) else None,
            "previous": None,
        }

    def image(self, isic_id: str) -> dict[str, Any]:
        number = int(isic_id[-3:])
        full = {"url": f"{self.url.partition('/api/')[0]}/files/{isic_id}", "size": len(self.files[isic_id])}
        clinical = {
            "sex": "female",
            "age_approx": 45,
            "anatom_site_general": "anterior torso",
            "lesion_id": f"IL_{number // 2:07d}",
            "diagnosis_confirm_type": "histopathology",
            **DIAGNOSES[number % 3],
        }
        return {
            "isic_id": isic_id,
            "copyright_license": "CC-BY-NC",
            "attribution": "ViDIR Group, Department of Dermatology, Medical University of Vienna",
            "files": {"full": full, "thumbnail_256": full},
            "metadata": {"acquisition": {"image_type": "dermoscopic", "pixels_x": 60}, "clinical": clinical},
            "public": True,
        } | self.changes.get(isic_id, {})


@contextmanager
def running(files: dict[str, bytes]) -> Iterator[Archive]:
    """The archive with these files, on loopback."""
    archive = Archive(files)
    with answering(archive.answer) as url:
        archive.url = f"{url.removesuffix('/api')}/api/v2/"
        yield archive


def as_json(request: BaseHTTPRequestHandler, value: Any) -> None:
    send(request, 200, json.dumps(value).encode(), content_type="application/json")


def status(code: int, **headers: str) -> Fault:
    return lambda request: send(request, code, b"no", **headers)


def truncated(request: BaseHTTPRequestHandler) -> None:
    """A body that ends before its content-length."""
    request.send_response(200)
    request.send_header("content-length", "100000")
    request.end_headers()
    request.wfile.write(b"\xff\xd8\xff half an image")
    request.close_connection = True


def with_body(body: bytes) -> Fault:
    """Another body, with its own content-length."""
    return lambda request: send(request, 200, body)


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def redirect(to: str) -> Fault:
    return lambda request: send(request, 302, location=to)
