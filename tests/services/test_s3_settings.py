"""S3 as people configure it: whichever way, obstore, s3fs and delta-rs sign with the same and are let in."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from skinml.errors import RequestError, SkinmlError, StorageError
from skinml.storage import connection
from skinml.storage import settings as settings_module
from skinml.storage.objects import names, read_bytes, read_many, write_bytes
from skinml.storage.settings import settings
from tests.services.faults import Proxy, faulty
from tests.services.seaweedfs import ObjectStore

NOWHERE = "http://127.0.0.1:9"
Say = Callable[[str, str], None]


@pytest.fixture
def place(shared_bucket: str) -> str:
    """An empty place in a bucket."""
    return f"s3://{shared_bucket}/{secrets.token_hex(6)}"


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[Proxy]:
    """The S3 server, and a note of what each request said of who sent it."""
    with faulty(object_store.endpoint, lambda _: None) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of which nothing but ~/.aws is looked at."""
    monkeypatch.delenv("AWS_CONFIG_FILE")
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path


def with_obstore(place: str) -> None:
    write_bytes(f"{place}/o", b"1")
    assert read_bytes(f"{place}/o") == b"1"


def with_s3fs(place: str) -> None:
    connection.file_system().pipe_file(f"{place[5:]}/s", b"2")
    assert connection.file_system().cat_file(f"{place[5:]}/s") == b"2"


def with_delta(place: str) -> None:
    options = connection.s3_options()
    write_deltalake(f"{place}/t", pa.table({"a": [1]}), mode="append", storage_options=options)
    assert DeltaTable(f"{place}/t", storage_options=options).version() == 0


LIBRARIES = (with_obstore, with_s3fs, with_delta)


@dataclass(frozen=True)
class Signed:
    """How a request was signed."""

    access_key: str
    region: str
    token: str | None


def signatures(proxy: Proxy, use: Callable[[str], None], place: str) -> set[Signed]:
    """How one library's requests were signed."""
    before = len(proxy.headers)
    use(place)
    assert len(proxy.headers) > before, f"{use.__name__} asked somebody else"
    found = set()
    for headers in proxy.headers[before:]:
        key, _, region, *_ = headers["authorization"].partition("Credential=")[2].split("/")
        found.add(Signed(key, region, headers.get("x-amz-security-token")))
    return found


ENV = {"AWS_ACCESS_KEY_ID": "{key}", "AWS_SECRET_ACCESS_KEY": "{secret}"}
PAIR = "aws_access_key_id = {key}\naws_secret_access_key = {secret}\n"


@pytest.mark.parametrize(
    ("environment", "credentials", "config", "region"),
    [
        pytest.param({**ENV, "AWS_ENDPOINT_URL": "{url}"}, "", "", "us-east-1", id="environment"),
        pytest.param(
            {**ENV, "AWS_ENDPOINT_URL": "{URL}/", "AWS_DEFAULT_REGION": "eu-west-3"},
            "",
            "",
            "eu-west-3",
            id="default region, scheme in capitals, slash",
        ),
        pytest.param(
            {**ENV, "AWS_ENDPOINT_URL": "{url}", "AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-west-3"},
            "",
            "[default]\nregion = ap-south-1\n",
            "eu-north-1",
            id="region before default region",
        ),
        pytest.param(
            {**ENV, "AWS_ENDPOINT_URL_S3": "{url}", "AWS_ENDPOINT_URL": NOWHERE},
            "",
            "[default]\nendpoint_url = http://127.0.0.1:9\n",
            "us-east-1",
            id="endpoint of S3 before the general one",
        ),
        pytest.param(
            {"AWS_PROFILE": "night", "AWS_ENDPOINT_URL": "{url}"},
            "[default]\naws_access_key_id = other\naws_secret_access_key = other\n[night]\n" + PAIR,
            "[profile night]\nregion = eu-west-1\n",
            "eu-west-1",
            id="profile",
        ),
        pytest.param(
            {},
            "[default]\n" + PAIR,
            "[default]\nregion = eu-west-1\nendpoint_url = {url}\n",
            "eu-west-1",
            id="default profile with endpoint_url",
        ),
        pytest.param(
            {"AWS_PROFILE": "night"},
            "",
            "[profile night]\n" + PAIR + "services = here\nendpoint_url = http://127.0.0.1:9\n"
            "[services here]\ns3 =\n  endpoint_url = {url}\n",
            "us-east-1",
            id="section of services",
        ),
        pytest.param(
            {"AWS_PROFILE": "night", "AWS_ENDPOINT_URL": "{url}", "AWS_SESSION_TOKEN": "of-other-keys"},
            "[night]\n" + PAIR,
            "",
            "us-east-1",
            id="a session token of other keys",
        ),
    ],
)
def test_all_three_libraries_sign_with_the_same_and_are_let_in(
    environment: dict[str, str],
    credentials: str,
    config: str,
    region: str,
    proxy: Proxy,
    object_store: ObjectStore,
    home: Path,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def filled(text: str) -> str:
        text = text.replace("{url}", proxy.url).replace("{URL}", proxy.url.replace("http", "HTTP"))
        return text.replace("{key}", object_store.access_key).replace("{secret}", object_store.secret_key)

    for name, value in environment.items():
        monkeypatch.setenv(name, filled(value))
    (home / ".aws" / "credentials").write_text(filled(credentials))
    (home / ".aws" / "config").write_text(filled(config))
    for use in LIBRARIES:
        [signed] = signatures(proxy, use, place)
        assert (signed.access_key, signed.region) == (object_store.access_key, region), use.__name__
        assert not signed.token, use.__name__


def test_files_may_lie_elsewhere(
    proxy: Proxy, object_store: ObjectStore, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = f"aws_access_key_id = {object_store.access_key}\naws_secret_access_key = {object_store.secret_key}\n"
    (tmp_path / "keys").write_text(f"[a]\n{pair}")
    (tmp_path / "settings").write_text(f"[profile a]\nregion = eu-west-2\nendpoint_url = {proxy.url}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "settings"))
    monkeypatch.setenv("AWS_PROFILE", "a")
    for use in LIBRARIES:
        assert signatures(proxy, use, place) == {Signed(object_store.access_key, "eu-west-2", None)}


def refused(use: Callable[[str], None]) -> Callable[[str], None]:
    """A use of S3 whose key S3 does not know; that is not what is looked at."""

    def attempt(place: str) -> None:
        with suppress(Exception):
            use(place)

    attempt.__name__ = use.__name__
    return attempt


def test_a_session_token_goes_with_every_request(
    proxy: Proxy, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SeaweedFS gives out none, and refuses this one: what was sent is what counts."""
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("SESSION_TOKEN", "a-token")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    for use in LIBRARIES:
        assert signatures(proxy, refused(use), place) == {Signed("k", "us-east-1", "a-token")}, use.__name__


def test_credentials_that_end_are_renewed_while_a_run_goes_on(
    proxy: Proxy, object_store: ObjectStore, home: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program gives them out, as it does for single sign-on; each time it is asked, another key."""
    monkeypatch.setattr(settings_module, "SHARED_FOR", timedelta(0))
    program = home / "give.py"
    program.write_text(
        "import json, pathlib, sys\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "given = int(path.read_text()) if path.exists() else 0\n"
        "path.write_text(str(given + 1))\n"
        f"ends = {(datetime.now(UTC) + timedelta(minutes=5)).isoformat()!r}\n"  # renewed 10 minutes before
        f"print(json.dumps(dict(Version=1, AccessKeyId=f'key-{{given}}', SecretAccessKey='s', "
        "SessionToken='t', Expiration=ends)))\n"
    )
    (home / ".aws" / "config").write_text(
        f"[default]\nendpoint_url = {proxy.url}\n"
        f"credential_process = {sys.executable} {program} {home / 'given'}\n"
    )
    assert settings().temporary
    for use in LIBRARIES:
        first = signatures(proxy, refused(use), place)
        time.sleep(0.15)  # object_store asks for credentials no more than once in 100 ms
        second = signatures(proxy, refused(use), place)
        assert first != second, f"{use.__name__} kept the old ones"
        assert all(signed.token == "t" for signed in first | second)  # noqa: S105


class _Role(BaseHTTPRequestHandler):
    """The service that tells a machine in the cloud the credentials of its role."""

    def do_PUT(self) -> None:
        self._answer("a token")

    def do_GET(self) -> None:
        if self.path.endswith("/security-credentials/"):
            self._answer("a-role")
            return
        keys = {"AccessKeyId": "of-the-role", "SecretAccessKey": "s", "Token": "t", "Code": "Success"}
        ends = datetime.now(UTC) + timedelta(hours=1)
        self._answer(json.dumps({**keys, "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}))

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def test_the_role_of_the_machine(proxy: Proxy, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Role) as service:
        serving = threading.Thread(target=service.serve_forever, args=(0.02,))
        serving.start()
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        address = f"http://127.0.0.1:{service.server_address[1]}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        try:
            for use in LIBRARIES:
                assert signatures(proxy, refused(use), place) == {Signed("of-the-role", "us-east-1", "t")}
        finally:
            service.shutdown()
            serving.join()


def test_a_machine_without_a_role_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
        started = time.monotonic()
        with pytest.raises(RequestError, match="no S3 credentials"):
            settings()
        assert time.monotonic() - started < 10


# What is refused


def test_without_credentials_it_is_said_where_they_were_looked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    for use in (lambda: names("s3://a-bucket"), connection.file_system, connection.s3_options):
        with pytest.raises(RequestError) as refusal:
            use()
        for place in (
            "AWS_ACCESS_KEY_ID",
            "profile 'default'",
            "~/.aws/credentials",
            "~/.aws/config",
            "a role",
        ):
            assert place in str(refusal.value)


def test_without_credentials_no_image_is_called_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    with pytest.raises(RequestError, match="no S3 credentials"):
        list(read_many([f"s3://a-bucket/{number}.jpg" for number in range(20)]))


@pytest.mark.parametrize(
    ("environment", "config", "words"),
    [
        ({"AWS_PROFILE": "nobody"}, "", ["nobody"]),
        ({"AWS_REGION": "us east"}, "", ["'us east'", "AWS_REGION"]),
        ({"AWS_REGION": "us-east-1\n"}, "", ["AWS_REGION"]),
        (
            {"AWS_ACCESS_KEY_ID": "k\n", "AWS_SECRET_ACCESS_KEY": "not-to-be-shown"},
            "",
            ["access key", "line break"],
        ),
        ({"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "not-to-be-shown\n"}, "", ["secret key"]),
        ({"AWS_ACCESS_KEY_ID": "not-to-be-shown"}, "", ["AWS_SECRET_ACCESS_KEY"]),
        ({}, "[default]\nservices = gone\n", ["config [default]", "'gone'"]),
        ({}, "[default]\nendpoint_url = 127.0.0.1:9\n", ["config [default] endpoint_url", "'127.0.0.1:9'"]),
        ({}, "no section\n", ["config"]),
        ({}, "[default]\ncredential_process = false\n", ["S3 credentials"]),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_in_one_line(
    environment: dict[str, str],
    config: str,
    words: Sequence[str],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (home / ".aws" / "config").write_text(config)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RequestError) as refusal:
        settings()
    text = str(refusal.value)
    assert "\n" not in text
    assert "not-to-be-shown" not in text
    for word in words:
        assert word in text


def test_a_role_that_cannot_be_asked_for_is_worth_a_retry(home: Path) -> None:
    (home / ".aws" / "config").write_text(
        "[default]\nrole_arn = arn:aws:iam::123456789012:role/a\nsource_profile = b\n"
        "services = here\n[profile b]\naws_access_key_id = k\naws_secret_access_key = s\nservices = here\n"
        f"[services here]\nsts =\n  endpoint_url = {NOWHERE}\n"
    )
    with pytest.raises(StorageError, match="S3 credentials"):
        settings()


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("127.0.0.1:8333", "AWS_ENDPOINT_URL_S3='127.0.0.1:8333' is not an S3 endpoint: it has no scheme"),
        (
            "http://user:not-to-be-shown@127.0.0.1:9",
            "AWS_ENDPOINT_URL_S3='http://***@127.0.0.1:9' is not an S3 endpoint",
        ),
    ],
)
def test_a_run_with_an_endpoint_that_is_none_is_refused_in_one_line(
    endpoint: str, shown: str, opened: ObjectStore, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "skinml",
        "--json",
        "--workspace",
        "s3://bucket/w",
        "score",
        "--archive",
    ]
    done = subprocess.run(
        [*command, str(tmp_path)],
        env={**os.environ, "AWS_ENDPOINT_URL_S3": endpoint},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert shown in last
    assert json.loads(done.stdout.splitlines()[-1])["exit_code"] == 2
    assert "Traceback" not in done.stderr
    assert "not-to-be-shown" not in done.stdout + done.stderr


def test_a_folder_needs_none_of_it(tmp_path: Path) -> None:
    """botocore takes a quarter of a second to import, and credentials may take longer to find."""
    code = (
        "import sys; from flows.cli.main import main; from skinml import layout, tables;"
        "w = layout.open_workspace(sys.argv[1]); tables.check_table(w, 'runs');"
        "print('botocore' in sys.modules)"
    )
    environment = {**os.environ, "AWS_ENDPOINT_URL": "no endpoint", "AWS_PROFILE": "nobody"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "False\n", done.stderr


# Secrets


@pytest.mark.parametrize("use", LIBRARIES)
@pytest.mark.parametrize("fails", ["refused", "away"])
def test_no_error_shows_a_secret(
    use: Callable[[str], None],
    fails: str,
    object_store: ObjectStore,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_store.endpoint if fails == "refused" else NOWHERE)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, f"not-to-be-shown-{name}")
    with pytest.raises(Exception) as error, connection.explained(place):  # noqa: PT011 - of three libraries
        use(place)
    seen: BaseException | None = error.value
    while seen is not None:
        assert "not-to-be-shown-AWS_S" not in f"{seen} {seen!r}"
        seen = seen.__cause__
    if use is not with_delta:
        assert isinstance(error.value, SkinmlError)
