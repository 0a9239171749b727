"""Checks of the webhook's receiver and of Lago's API: the settings in, whether they can be used out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from consumer.adapters.lago_api import HttpLagoApi
from consumer.adapters.reaching import Forbidden, reach
from consumer.app import webhook_of
from consumer.cli.doctor.findings import Finding, ok, problem, warning
from consumer.config import Settings
from consumer.ports import Unanswered


async def webhook(settings: Settings) -> Sequence[Finding]:
    """Is its address allowed, and does its host take connections? Nothing is posted."""
    made = webhook_of(settings)  # Halt where address or secret cannot be used
    if made is None or settings.webhook_url is None:
        said = "Failures are told on the dead-letter topic only."
        return [warning("webhook", said, "Set LAGO_XERO_WEBHOOK_URL and …_SECRET.")]
    await made.close()
    try:
        await reach(settings.webhook_url, plain=settings.webhook_allow_http)
    except Forbidden as error:
        fix = "Correct LAGO_XERO_WEBHOOK_URL; LAGO_XERO_WEBHOOK_ALLOW_HTTP allows plain HTTP."
        return [problem("webhook", f"The webhook must not be reached: {error}.", fix)]
    except OSError as error:
        said = f"The webhook's host takes no connection ({type(error).__name__})."
        return [problem("webhook", said, "Check its name, port, and the way there.")]
    return [ok("webhook", "The webhook's host takes connections; nothing was posted.")]


async def lago_api(settings: Settings, organizations: Collection[UUID]) -> Sequence[Finding]:
    """Is the key good, and whose is it?"""
    url, key = settings.lago_api_url, settings.lago_api_key
    if url is None or key is None:
        return [ok("lago", "Lago's API is not used.")]
    api = HttpLagoApi(url, key.get_secret_value())
    try:
        whose = await api.organization()
    except Unanswered as error:
        fix = "Correct LAGO_XERO_LAGO_API_URL or …_KEY."
        return [problem("lago", f"Lago's API: {error.why}.", fix)]
    finally:
        await api.close()
    if organizations and whose not in organizations:
        said = f"The key is of organization {whose}, which no connection follows."
        return [warning("lago", said, "Take a key of an organization in connections.yaml.")]
    return [ok("lago", "Lago's API takes the key.")]
