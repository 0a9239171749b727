"""What an organization sells and how it taxes: nothing in, its entities, items and taxes out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5


def stable_id(*names: str) -> str:
    """The same names always give the same UUID."""
    return str(uuid5(NAMESPACE_URL, "/".join(("lago", *names))))


@dataclass(frozen=True, slots=True)
class Tax:
    """A Lago tax; ``rate`` in percent."""

    code: str
    rate: Decimal

    @property
    def name(self) -> str:
        """What people read."""
        return self.code.replace("_", " ").upper()


@dataclass(frozen=True, slots=True)
class Item:
    """Something a fee can be for: a billable metric, an add-on or a plan."""

    code: str
    name: str
    lago_id: str

    @classmethod
    def named(cls, code: str, name: str) -> Item:
        """With an id derived from its code."""
        return cls(code, name, stable_id("item", code))


VAT_20 = Tax("vat_20", Decimal(20))
GST_15 = Tax("gst_15", Decimal(15))
VAT_5 = Tax("vat_5", Decimal(5))
VAT_0 = Tax("vat_0", Decimal(0))
VAT_8_1 = Tax("vat_8_1", Decimal("8.1"))
LEVY = Tax("levy_2_5", Decimal("2.5"))
UNMAPPED = Tax("vat_17_5_old", Decimal("17.5"))
"""Nobody maps this one."""
TAXES = (VAT_20, GST_15, VAT_5, VAT_0, VAT_8_1, LEVY)

TaxSet = tuple[Tax, ...]
"""The taxes of one fee; () for a fee that Lago does not tax."""
Regime = tuple[TaxSet, ...]
"""The tax sets that one invoice's fees may have."""

REGIMES: tuple[Regime, ...] = (
    ((VAT_20,),),
    ((),),
    ((GST_15,), ()),
    ((VAT_20,), (VAT_5,), (VAT_0,)),
    ((VAT_0,), (GST_15,)),
    ((VAT_20, LEVY), (VAT_20,), ()),
    ((VAT_8_1, LEVY), (VAT_8_1,), (LEVY,), ()),
)
"""In each, a fee's rate alone tells its taxes, as long as all taxes of the invoice are known."""

METRICS = (
    Item.named("storage", "Storage"),
    Item.named("seats", "Seats"),
    Item.named("api_calls", "API calls"),
)
UNKNOWN_METRIC = Item.named("gpu_hours", "GPU hours")
"""A metric that nobody maps; the fallback item takes it."""
ADD_ONS = (Item.named("setup", "Set-up"),)
PLANS = (Item.named("startup", "Startup"), Item.named("scale_yearly", "Scale <yearly>"))


@dataclass(frozen=True, slots=True)
class BillingEntity:
    """One seller within an organization.

    ``prefix`` begins its invoice numbers; ``connection`` is the code of its Xero connection.
    """

    code: str
    prefix: str
    country: str
    timezone: str
    currencies: tuple[str, ...]
    regimes: tuple[Regime, ...]
    connection: str


ACME_NZ = BillingEntity(
    "acme-nz",
    "ANZ",
    "NZ",
    "Pacific/Auckland",
    ("NZD", "USD"),
    (((GST_15,),), ((GST_15,), ()), ((VAT_0,),), ((),)),
    connection="acme-nz",
)
ACME_EU = BillingEntity(
    "acme-eu",
    "AEU",
    "DE",
    "Europe/Berlin",
    ("EUR", "GBP", "JPY", "HUF", "KWD"),
    (((VAT_20,),), ((VAT_20,), (VAT_5,)), ((VAT_0,),), ((VAT_5,), ()), ((),)),
    connection="acme-eu",
)


@dataclass(frozen=True, slots=True)
class Organization:
    """A Lago organization and its billing entities."""

    organization_id: str = "1a901a90-1a90-4a90-9a90-1a901a901a90"
    entities: tuple[BillingEntity, ...] = (ACME_NZ, ACME_EU)

    @property
    def connections(self) -> tuple[str, ...]:
        """The codes of its Xero connections, each once."""
        return tuple(dict.fromkeys(entity.connection for entity in self.entities))
