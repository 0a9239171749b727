"""What can be turned on the simulated Xero: limits, clocks and the behaviours nobody proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

MINUTE = 60.0
DAY = 86_400.0
CODE_LIFE = 300.0
ACCESS_TOKEN_LIFE = 1_800.0
REFRESH_TOKEN_LIFE = 60 * DAY
REFRESH_GRACE = 1_800.0
IDEMPOTENCY_LIFE = 360.0
MAX_BODY_BYTES = 3_500_000


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Limits count calls; times are seconds of real Xero, multiplied by ``time_scale``."""

    minute_limit: int = 60
    """Per tenant and app."""
    day_limit: int = 5000
    """Per tenant and app."""
    concurrency: int = 5
    """Calls in flight per tenant and app."""
    app_minute_limit: int = 10_000
    """Per app over all tenants."""
    time_scale: float = 1.0
    """Multiplies the minute, the day and the lives of tokens and idempotency keys."""
    latency: float = 0.0
    """Real seconds before a call's work is done; the call is in flight meanwhile."""
    window: Literal["fixed", "rolling"] = "fixed"
    """Xero's text says fixed windows, begun at another moment per tenant; vendors say rolling."""

    # Behaviours that are not proven. The default is what is more likely, or what asks more of us.
    refused_calls_count: bool = False
    """Whether a call answered 429 still uses up the minute and the day."""
    put_contact_overwrites_on_contact_number: bool = False
    """PUT of a contact whose ContactNumber exists: refused as documented, or updated as one saw."""
    put_voided_number_rejected: bool = True
    """Whether PUT refuses the number of a voided invoice (POST does)."""
    put_deleted_number_rejected: bool = True
    """Whether PUT refuses the number of a deleted draft (deleted purchase orders keep theirs)."""
    concurrent_same_key: Literal["conflict", "wait", "execute"] = "conflict"
    """A second call with a key in flight: 409, the first one's answer, or the work twice."""
    by_id_honours_summarize_errors: bool = False
    """Whether POST by id obeys ``summarizeErrors=false`` (absent from its documentation)."""
    unknown_id_in_batch: Literal["404", "element"] = "404"
    """An unknown id in a batch: the whole request is 404 (seen once), or only its element fails."""
    tax_on_zero_rate_refused: bool = True
    """Whether a TaxAmount other than 0 is refused on a tax type of 0 %."""
    tax_amount_tolerance: float | None = None
    """How far a TaxAmount may be from rate × LineAmount; None: any amount is taken."""
    line_total_tolerance: float = 0.0
    """How far a LineAmount may be from the rounded quantity × price less discount."""
    zero_line_refused: Literal["explicit", "always", "never"] = "explicit"
    """Approved line of a quantity at no price: refused if LineAmount is sent, always, never."""
    zero_discounted_line_refused: bool = True
    """LineAmount 0.00 on a discounted line: Xero takes the discount off a second time."""
    discounted_line_rounding: Literal["half_up", "truncate"] = "half_up"
    """How the third decimal of a discounted line is treated; one user saw it cut off."""
    zero_total_becomes_paid: bool = True
    """Whether an approved invoice with nothing to pay is PAID at once."""
    overpayment_keeps_reference: bool = False
    """Whether an overpayment's Reference is kept: it is for plain receipts, says the OpenAPI file."""
    deleted_overpayment_status: Literal["DELETED", "VOIDED"] = "VOIDED"
    """What an overpayment is that was deleted by status; bank transactions of either are listed."""
    url_with_xero_refused: bool = True
    """Whether a Url that contains "xero" is refused (one vendor says so)."""
    email_validated: bool = True
    """Whether an e-mail address must look like one."""
    name_spaces: Literal["refused", "trimmed"] = "refused"
    """Edge and double spaces in a contact's name: refused, or tidied silently."""

    def __post_init__(self) -> None:
        if self.time_scale <= 0:
            raise ValueError("time_scale must be above 0")
        if min(self.minute_limit, self.day_limit, self.concurrency, self.app_minute_limit) < 0:
            raise ValueError("limits cannot be negative")
        if self.latency < 0:
            raise ValueError("latency cannot be negative")
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise ValueError(f"{name} must be one of {', '.join(get_args(hint))}")
