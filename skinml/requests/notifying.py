"""Whom to tell: a setting that `status` and `up` share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from skinml.requests.base import SHARED, Request


class NotifyRequest(Request):
    """A verb that tells somebody of trouble."""

    notify: Annotated[str | None, SHARED] = Field(
        None,
        description="whom to tell: http(s)://..., or smtp(s)://[USER@]HOST[:PORT]/?from=ADDRESS&to=ADDRESS",
        repr=False,
    )

    @model_validator(mode="after")
    def _can_be_told(self) -> NotifyRequest:
        if self.notify is not None:
            from skinml.notify.address import parse_address

            try:
                parse_address(self.notify)
            except ValueError as error:  # which does not repeat the address: it may be a secret
                raise ValueError(f"--notify {error}") from error
        return self
