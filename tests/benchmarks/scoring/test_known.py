"""Nights with nothing new: the simulated S3, a filled workspace, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from benchmarks.scoring import figures, listing_server
from benchmarks.scoring.fill import fill
from skinml import tables
from skinml.storage import connection
from skinml.storage.listing import list_images


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A simulated archive of 5,200 objects, and the environment that opens it."""
    pages = {first: listing_server.contents(first, first + 1_000) for first in (0, 1_000, 2_000)}
    server = listing_server.serve(pages, 0.0)
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in listing_server.environment(endpoint).items():
        monkeypatch.setenv(name, value)
    yield listing_server.url(5_200)
    server.shutdown()
    server.server_close()


def test_the_simulated_s3_lists_every_object_once_and_goes_on_where_it_is_asked_to(simulated: str) -> None:
    uris = [uri for piece in list_images(simulated) for uri in piece.images["uri"].to_pylist()]
    assert uris == [f"s3://known-5200/{listing_server.key(number)}" for number in range(5_200)]
    store = S3Store("known-5200", client_options={"allow_http": True})
    pages = obstore.list(store, "archive", offset=listing_server.key(1_499), return_arrow=True)
    keys = [key for page in pages for key in page["path"].to_pylist()]
    assert keys == [listing_server.key(number) for number in range(1_500, 5_200)]
    assert not list(list_images(simulated.replace("archive", "elsewhere")))
    found = connection.file_system().find("known-5200/archive")
    assert found == [f"known-5200/{key}" for key in map(listing_server.key, range(5_200))]


def test_a_filled_workspace_knows_every_object(simulated: str, tmp_path: Path) -> None:
    workspace = str(tmp_path / "workspace")
    assert fill(workspace, simulated, "thesis-cnn", "v1") == 5_200
    known = tables.read(workspace, "scores", ["uri", "etag", "size_bytes"]).to_pylist()
    listed = [row for piece in list_images(simulated) for row in piece.images.to_pylist()]
    assert sorted(map(tuple, (row.values() for row in known))) == sorted(
        (row["uri"], row["etag"], row["size_bytes"]) for row in listed
    )


def test_what_a_known_object_costs_is_a_slope_beside_that_of_its_listing() -> None:
    empty = {"objects": 0, "seconds": [3.0, 3.0, 9.0], "listing": [1.0, 1.0, 1.0], "driver_mb": [200.0] * 3}
    rows = {"objects": 1_000_000, "seconds": [15.0, 13.0, 8.0], "listing": [11.0, 11.0, 11.0]}
    first, night = figures.known_nights([empty, {**rows, "driver_mb": [300.0, 310.0, None]}])
    assert night.night_microseconds == pytest.approx(10)
    assert night.listing_microseconds == pytest.approx(10)
    assert night.times == pytest.approx(1.1)  # 1.2, 1.0, and one that noise ate
    assert night.driver_mb == 310
    assert (first.times, first.night_microseconds) == (None, None)
