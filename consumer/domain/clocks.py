"""Every delay that a guarantee rests on, in seconds; all stretch together (DESIGN, *clocks*)."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds, already scaled."""

    freeze_to_first_byte: float = 5.0
    """A frozen request whose first byte has not left by then is dissolved: stops a paused pod."""
    call_timeout: float = 90.0
    """A whole call to Xero, from the first byte to the last of the answer."""
    resend_after: float = 100.0
    """From the freeze: a request without any answer may be sent again, unchanged, from then on."""
    resend_until: float = 300.0
    """From the freeze: no longer sent again; looked up instead."""
    key_life: float = 360.0
    """How long Xero knows an idempotency key."""
    look_for_work: float = 1.0
    """How often a pod looks for work that another pod left."""
    home_wait: float = 600.0
    """How long an unlinked customer of several connections waits for a link."""
    residual_wait: float = 600.0
    """How long money without a payment's message waits for one."""
    chart_refresh: float = 86_400.0
    """How old a tenant's chart may become before it is read again."""
    missing_dependency_after: float = 86_400.0
    """A document waiting for an unknown one fails after this."""
    minute: float = 60.0
    """Xero's minute window; only a simulator's is another."""
    day: float = 86_400.0
    """Xero's day window; only a simulator's is another."""
    scale: float = 1.0
    """What all of them have been multiplied by."""

    @property
    def audit_after(self) -> float:
        """From the freeze: a request that was once in doubt is looked at again, for what may have arrived
        after it had been settled. By then nothing of it can arrive any more."""
        return self.freeze_to_first_byte + self.call_timeout + self.key_life + self.stretched(25)

    def scaled(self, factor: float) -> Clocks:
        """All of them multiplied by ``factor`` (> 0)."""
        return Clocks(**{name: seconds * factor for name, seconds in asdict(self).items()})

    def stretched(self, seconds: float) -> float:
        """A delay without a clock of its own, on the same scale."""
        return seconds * self.scale

    def backoff(self, failures: int, most: float = 900.0) -> float:
        """Seconds until the next try after so many failures: 5, 10, 20, … and at last ``most``."""
        return self.stretched(min(most, 5.0 * 2 ** min(failures, 20)))
