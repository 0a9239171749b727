"""Values as Lago writes them: JSON in; numbers, days and instants within bounds out.

Lago writes big integers as JSON numbers, decimals as strings and some rates as numbers, and older versions
differ, so each number is accepted in either form. "Cents" are Lago subunits: how many make one unit depends
on the currency. An instant without a zone is UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is expected, not true or false")
    return value


def _bounded(value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -30 or value.adjusted() > 18:
        raise ValueError("a number of at most 18 digits before and 30 after the point is expected")
    return value


D = TypeVar("D", bound=date)


def _of_an_age(value: D) -> D:
    if not 1900 <= value.year <= 2999:
        raise ValueError("a year between 1900 and 2999 is expected")
    return value


def _utc(value: datetime) -> datetime:
    _of_an_age(value)
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def or_else(default: Any, type: Any) -> BeforeValidator:
    """Null stands for the default; ``type`` is that of what is not null."""
    return BeforeValidator(
        lambda value: default if value is None else value, json_schema_input_type=type | None
    )


Cents = Annotated[int, Field(ge=-(10**15), le=10**15), BeforeValidator(_not_bool)]
"""An amount in Lago subunits."""
Sum = Annotated[int, Field(ge=0, le=10**15), BeforeValidator(_not_bool)]
"""An amount in Lago subunits that is never less than nothing: money received, credit given."""
SumOrZero = Annotated[Sum, or_else(0, Sum)]
OrZero = Annotated[Cents, or_else(0, Cents)]
"""An amount that Lago leaves out or calls null where there is none."""
OrFalse = Annotated[bool, or_else(False, bool)]
Version = Annotated[int, BeforeValidator(_not_bool), or_else(4, int)]
"""Of Lago's arithmetic: 4 is today's."""
Moment = Annotated[datetime, AfterValidator(_utc)]
"""An instant; one without a zone is UTC, wherever we run. Absurd years, which cannot be turned into
every zone's time, are refused."""
Day = Annotated[date, AfterValidator(_of_an_age)]
"""A calendar day."""
Number = Annotated[Decimal, BeforeValidator(_not_bool), AfterValidator(_bounded)]
"""A decimal number; NaN, infinities and absurd sizes are refused."""
Text = str
"""A string; codes that look like numbers sometimes arrive as numbers, which every model takes."""
