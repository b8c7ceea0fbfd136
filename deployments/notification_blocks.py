"""The Prefect block by which automations tell: a webhook, or mail. Addresses and passwords are its secrets.

Prefect 3.8.8 has no block for mail. Its block for Slack hands any URL that is not Slack's to Apprise, which is
part of Prefect and sends mail for mailto:// and mailtos://.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import cast
from urllib.parse import quote, urlencode
from uuid import UUID

from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from skinml.notify.address import Address, Mail, Webhook
from skinml.process.switches import NOTIFY_PASSWORD
from skinml.storage.redaction import hide

WEBHOOK, MAIL = "skinml-notify-webhook", "skinml-notify-mail"
"""The names of the blocks."""


def save_block(client: SyncPrefectClient, address: Address) -> UUID:
    """Make or update the block for an address, and return the id of its document."""
    block: CustomWebhookNotificationBlock | SlackWebhook
    if isinstance(address, Webhook):
        name = WEBHOOK
        block = CustomWebhookNotificationBlock(
            name="skinml",
            url="{{address}}",
            json_data={"text": "{{subject}}\n{{body}}", "subject": "{{subject}}", "body": "{{body}}"},
            secrets=SecretDict({"address": address.url}),
        )
    else:
        name, block = MAIL, SlackWebhook(url=SecretStr(_apprise_url(address)))
    return cast(UUID, block.save(name, overwrite=True))


def remove_blocks(client: SyncPrefectClient) -> None:
    """Remove our blocks: without an address no secret stays on the server."""
    for kind, name in ((CustomWebhookNotificationBlock, WEBHOOK), (SlackWebhook, MAIL)):
        with suppress(ObjectNotFound):
            document = client.read_block_document_by_name(name, kind.get_block_type_slug())
            if document.id is not None:
                client.delete_block_document(document.id)


def _apprise_url(mail: Mail) -> str:
    """The address as Apprise writes it. It knows no STARTTLS "if offered": without a user it sends in clear."""
    password = mail.password or os.environ.get(NOTIFY_PASSWORD) or ""
    hide(password)
    user = f"{quote(mail.user, safe='')}:{quote(password, safe='')}@" if mail.user else ""
    mode = {"always": "ssl", "starttls": "starttls"}.get(mail.tls, "starttls" if mail.user else "insecure")
    asked = {"from": mail.sender, "to": ",".join(mail.receivers), "mode": mode, "format": "text"}
    scheme = "mailto" if mode == "insecure" else "mailtos"
    host = f"[{mail.host}]" if ":" in mail.host else mail.host
    return f"{scheme}://{user}{host}:{mail.port}?{urlencode(asked)}"
