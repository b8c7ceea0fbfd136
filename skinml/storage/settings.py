"""Find S3 credentials, region and endpoint as botocore finds them, once per process.

obstore, s3fs and delta-rs each read different settings (AWS_PROFILE, ~/.aws, AWS_DEFAULT_REGION,
AWS_ENDPOINT_URL_S3, ...). So `connection` passes these settings to all three, and none of them looks itself.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from skinml.errors import RequestError, StorageError
from skinml.storage.endpoint import Proxy, checked_endpoint, proxy_before
from skinml.storage.redaction import hide, redacted

if TYPE_CHECKING:
    from botocore.session import Session
    from obstore.store import S3Credential

DEFAULT_REGION = "us-east-1"

SHARED_FOR = timedelta(minutes=6)
"""The lifetime that obstore is told for temporary credentials. It asks again 5 minutes before the end, so once
a minute; botocore renews them 15 minutes before they really end, and answers from memory until then."""


@dataclass(frozen=True)
class Settings:
    """The S3 settings of this process.

    Attributes:
        endpoint: http://host:port or https://host.
        endpoint_source: where the endpoint was set, for messages.
        region: the region that requests are signed for.
        proxy: the proxy for this endpoint, from the environment; None if there is none.
        temporary: whether the credentials expire and are renewed, as those of a role.
    """

    endpoint: str
    endpoint_source: str
    region: str
    proxy: Proxy | None
    temporary: bool
    _credentials: Any = field(repr=False)  # botocore's, which renew themselves

    def keys(self) -> tuple[str, str, str | None]:
        """Return the current access key, secret key and session token.

        Raises:
            StorageError: they have expired and could not be renewed.
        """
        with _explained(StorageError):
            frozen = self._credentials.get_frozen_credentials()
        hide(frozen.secret_key, frozen.token)
        return frozen.access_key, frozen.secret_key, frozen.token or None

    def credential(self) -> S3Credential:
        """Return the current credentials in obstore's form; obstore asks again before they expire."""
        access_key, secret_key, token = self.keys()
        return {
            "access_key_id": access_key,
            "secret_access_key": secret_key,
            "token": token,
            "expires_at": datetime.now(UTC) + SHARED_FOR if self.temporary else None,
        }


def settings() -> Settings:
    """Return the S3 settings; they are cached until the environment changes.

    Raises:
        RequestError: there are no credentials, or a setting is not valid.
        StorageError: the service that issues credentials, such as a role's, could not be reached.
    """
    return _resolve(
        tuple(
            (name, value)
            for name, value in os.environ.items()
            if name.startswith("AWS_") or name.lower().endswith("_proxy") or name == "HOME"
        )
    )


@lru_cache(maxsize=1)
def _resolve(_environment: tuple[tuple[str, str], ...]) -> Settings:
    from botocore.credentials import RefreshableCredentials
    from botocore.session import Session

    # If it cannot renew credentials it logs a page of traceback; we raise an error of one line instead.
    logging.getLogger("botocore.credentials").setLevel(logging.ERROR)
    with _explained(RequestError):
        session = Session()
        region = _region(session)
        session.set_config_variable("region", region)  # for the service that gives out a role's credentials
        source, endpoint = _endpoint(session, region)
        proxy = proxy_before(endpoint)
        credentials = session.get_credentials()
        if credentials is None:
            raise RequestError(_no_credentials(session))
    found = Settings(
        endpoint, source, region, proxy, isinstance(credentials, RefreshableCredentials), credentials
    )
    with _explained(RequestError):  # fetched now, so that an expired login is reported before the run begins
        frozen = credentials.get_frozen_credentials()
    for name, value in zip(("access key", "secret key", "session token"), frozen[:3], strict=True):
        if value and not re.fullmatch(r"[!-~]+", value):  # obstore would panic
            raise RequestError(
                f"the S3 {name} (from {credentials.method}) contains a space, a line break or a character that "
                "keys never contain; set it again"
            )
    hide(*frozen[1:3])
    return found


def _region(session: Session) -> str:
    # botocore itself does not know AWS_REGION, which all newer libraries take first.
    region = str(os.environ.get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION)
    if not re.fullmatch(r"[A-Za-z0-9-]+", region):
        raise RequestError(
            f"the S3 region {region!r} is not valid; set AWS_REGION to a region such as {DEFAULT_REGION}"
        )
    return region


def _endpoint(session: Session, region: str) -> tuple[str, str]:
    """Return where the endpoint is set, and the endpoint. Same order as botocore, which cannot tell where."""
    if not session.get_config_variable("ignore_configured_endpoint_urls"):
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
            if value := os.environ.get(name):
                return name, checked_endpoint(name, value)
        profile = session.get_scoped_config()
        place = f"{session.get_config_variable('config_file')} [{session.profile or 'default'}]"
        if services := profile.get("services"):
            section = session.full_config.get("services", {}).get(services)
            if section is None:
                raise RequestError(
                    f"{place}: services={services!r}, but the section [services {services}] is missing; add it"
                )
            if value := section.get("s3", {}).get("endpoint_url"):
                source = f"{session.get_config_variable('config_file')} [services {services}] endpoint_url"
                return source, checked_endpoint(source, value)
        if value := profile.get("endpoint_url"):
            return f"{place} endpoint_url", checked_endpoint(f"{place} endpoint_url", value)
    # Always explicit: without an endpoint delta-rs looks for credentials and endpoint itself, obstore for an
    # endpoint.
    return "the region", f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _no_credentials(session: Session) -> str:
    files = " and ".join(str(session.get_config_variable(name)) for name in ("credentials_file", "config_file"))
    disabled = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    return (
        f"no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; looked in the "
        f"environment, in profile {session.profile or 'default'!r} of {files}, and for a role of this machine"
        f"{' (not asked: AWS_EC2_METADATA_DISABLED is set)' if disabled else ''}"
    )


@contextmanager
def _explained(refusal: type[RequestError | StorageError]) -> Iterator[None]:
    """Turn botocore's errors into one line: `refusal`, or a StorageError if a service did not answer."""
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        kind = StorageError if isinstance(error, (ConnectionError, HTTPClientError)) else refusal
        raise kind(f"S3 credentials and settings: {redacted(' '.join(str(error).split()))[:300]}") from error
