"""How S3 is reached: credentials, region and endpoint, found once a process where botocore finds them.

obstore, s3fs and delta-rs each read another part of what people set (AWS_PROFILE, ~/.aws, AWS_DEFAULT_REGION,
AWS_ENDPOINT_URL_S3, ...), so none of them is left to look for itself: `connection` hands all of them this.
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
"""How long obstore is told that temporary credentials hold. It asks again 5 minutes before, so once a minute;
botocore renews them 15 minutes before they end, and answers from memory until then."""


@dataclass(frozen=True)
class Settings:
    """How S3 is reached from this process.

    Attributes:
        endpoint: http://host:port or https://host.
        endpoint_source: what names it, to be shown.
        region: that requests are signed for.
        proxy: which the environment names for this endpoint.
        temporary: whether the credentials end and are renewed, as those of a role.
    """

    endpoint: str
    endpoint_source: str
    region: str
    proxy: Proxy | None
    temporary: bool
    _credentials: Any = field(repr=False)  # botocore's: it renews them

    def keys(self) -> tuple[str, str, str | None]:
        """Access key, secret key and session token as they are now.

        Raises:
            StorageError: they have ended and could not be renewed.
        """
        with _explained(StorageError):
            frozen = self._credentials.get_frozen_credentials()
        hide(frozen.secret_key, frozen.token)
        return frozen.access_key, frozen.secret_key, frozen.token or None

    def credential(self) -> S3Credential:
        """The same for obstore, which asks again before they end."""
        access_key, secret_key, token = self.keys()
        return {
            "access_key_id": access_key,
            "secret_access_key": secret_key,
            "token": token,
            "expires_at": datetime.now(UTC) + SHARED_FOR if self.temporary else None,
        }


def settings() -> Settings:
    """How S3 is reached; worked out again only where the environment has changed.

    Raises:
        RequestError: there are no credentials, or something is set that cannot be used.
        StorageError: what gives out credentials, such as a role's service, could not be reached.
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

    # What it cannot renew it says in a page of traceback; here it is an error in one line.
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
    with _explained(
        RequestError
    ):  # they are fetched now: a login that has ended is said before anything is done
        frozen = credentials.get_frozen_credentials()
    for name, value in zip(("access key", "secret key", "session token"), frozen[:3], strict=True):
        if value and not re.fullmatch(r"[!-~]+", value):  # obstore would panic
            raise RequestError(
                f"the S3 {name} (from {credentials.method}) has a blank, a line break or a letter in it "
                "that no key has; set it again"
            )
    hide(*frozen[1:3])
    return found


def _region(session: Session) -> str:
    # botocore itself does not know AWS_REGION, which all newer libraries take first.
    region = str(os.environ.get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION)
    if not re.fullmatch(r"[A-Za-z0-9-]+", region):
        raise RequestError(f"the S3 region {region!r} is none; set AWS_REGION to one such as {DEFAULT_REGION}")
    return region


def _endpoint(session: Session, region: str) -> tuple[str, str]:
    """What names the endpoint, and the endpoint: in botocore's order, which can tell only the second."""
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
                    f"{place}: services={services!r}, but there is no section [services {services}]"
                )
            if value := section.get("s3", {}).get("endpoint_url"):
                source = f"{session.get_config_variable('config_file')} [services {services}] endpoint_url"
                return source, checked_endpoint(source, value)
        if value := profile.get("endpoint_url"):
            return f"{place} endpoint_url", checked_endpoint(f"{place} endpoint_url", value)
    # Named in any case: without one delta-rs looks for credentials of its own, and both for an endpoint.
    return "the region", f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _no_credentials(session: Session) -> str:
    files = " and ".join(str(session.get_config_variable(name)) for name in ("credentials_file", "config_file"))
    disabled = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    return (
        f"no S3 credentials: looked at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, at profile "
        f"{session.profile or 'default'!r} in {files}, and for a role of this machine"
        f"{' (not asked: AWS_EC2_METADATA_DISABLED is set)' if disabled else ''}"
    )


@contextmanager
def _explained(refusal: type[RequestError | StorageError]) -> Iterator[None]:
    """Turn what botocore raises into one line: `refusal`, or a StorageError where a service did not answer."""
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        kind = StorageError if isinstance(error, (ConnectionError, HTTPClientError)) else refusal
        raise kind(f"S3 credentials and settings: {redacted(' '.join(str(error).split()))[:300]}") from error
