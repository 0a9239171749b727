"""The connections file: YAML text in, strict frozen models out, or every mistake by its path."""

from __future__ import annotations

import datetime
import difflib
from inspect import isclass
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from schemas.mistakes import Mistake, Mistakes, path_of
from schemas.strict_yaml import Unquoted, load


def _text(value: Any) -> Any:
    if isinstance(value, Unquoted):
        raise ValueError(f'is a number to YAML; put it in quotes: "{value}"')
    if isinstance(value, bool):
        raise ValueError("is true or false to YAML; put the word in quotes")
    if isinstance(value, datetime.date):
        raise ValueError("is a date to YAML; put it in quotes")
    return value


def _tax_target(value: Any) -> Any:
    return value if isinstance(value, dict) else {"tax_type": _text(value)}


def _payment_accounts(value: Any) -> Any:
    accounts = value if isinstance(value, dict) else {"default": _text(value)}
    if value is not None and "default" not in accounts:
        raise ValueError('names no default; write {default: "880", EUR: "881"}')
    return accounts


_Text = Annotated[str, BeforeValidator(_text), StringConstraints(strict=True, min_length=1)]
Text = Annotated[_Text, StringConstraints(max_length=255)]
"""A name, code or id of Lago's."""
ItemCode = Annotated[_Text, StringConstraints(max_length=30)]
AccountCode = Annotated[_Text, StringConstraints(max_length=10)]
"""Xero's limits (xero.md 5)."""
NumberPrefix = Annotated[
    str, BeforeValidator(_text), StringConstraints(strict=True, max_length=50, pattern=r"^[ -~]*$")
]
"""Xero's document numbers are printable ASCII."""
CurrencyKey = Annotated[_Text, StringConstraints(pattern=r"^(default|[A-Z]{3})$")]


class Part(BaseModel):
    """A strict, frozen part of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SecretSource(Part):
    """Where a secret is: an environment variable or a file beside the connections file."""

    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    file: Annotated[str, StringConstraints(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_place(cls, value: Any) -> Any:
        # Whatever was written instead may be the secret itself: never repeated.
        if not isinstance(value, dict) or list(value) not in (["env"], ["file"]):
            raise ValueError(
                "must say where the secret is, {env: NAME} or {file: path}; "
                "the secret itself does not belong in this file"
            )
        return value


class XeroClient(Part):
    """A tenant and the client it is reached through; connections may share a client.

    A custom connection has a secret. With ``consent`` a person lets the client in (``lago-xero
    connect``); it needs no secret if it is one that proves itself by PKCE alone.
    """

    tenant_id: UUID | None = None
    client_id: Text
    client_secret: SecretSource | None = None
    consent: bool = False


class Serves(Part):
    """Which of the organization's customers come here without a Lago link."""

    billing_entities: tuple[Text, ...] = ()
    default: bool = False


class Syncs(Part):
    """What is posted."""

    invoices: bool = True
    credit_notes: bool = True
    payments: bool = True


class Policies(Part):
    """What to do where more than one way is right."""

    zero_invoices: Literal["post", "skip"] = "post"
    drafts: Literal["skip", "post"] = "skip"
    locked_period: Literal["hold", "first_open_day", "draft", "fail"] = "hold"
    residual_payments: Literal["post", "ignore"] = "post"
    lookup: Literal["specific", "lago"] = "specific"
    voids: Literal["sync", "report"] = "sync"
    excess: Literal["fail", "overpayment"] = "fail"
    linked_contacts: Literal["leave", "update"] = "leave"
    consumed_credits: Literal["allocate", "negative_line"] = "allocate"
    refunds: Literal["at_once", "when_succeeded"] = "at_once"


class ItemTarget(Part):
    """Xero's codes for a line; the account may come from the item."""

    item: ItemCode | None = None
    account: AccountCode | None = None
    tax_type: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> ItemTarget:
        if self.item is None and self.account is None:
            raise ValueError("names neither an item nor an account")
        return self


class TaxTarget(Part):
    """A Xero tax type; a plain string is short for it."""

    tax_type: Text


TaxType = Annotated[TaxTarget, BeforeValidator(_tax_target)]


class EntityMappings(Part):
    """What a billing entity has of its own."""

    fallback_item: ItemTarget | None = None
    subscription_fee: ItemTarget | None = None
    minimum_commitment: ItemTarget | None = None
    coupon: ItemTarget | None = None
    prepaid_credit: ItemTarget | None = None
    prepaid_granted_credit: ItemTarget | None = None
    credit_note: ItemTarget | None = None
    no_tax: TaxType | None = None
    outside_tax: TaxType | None = None
    provider_tax: TaxType | None = None
    taxes: dict[Text, TaxType] = {}
    billable_metrics: dict[Text, ItemTarget] = {}
    add_ons: dict[Text, ItemTarget] = {}


class Mappings(EntityMappings):
    """The connection's mappings; four are mandatory, and the clearing account where a policy uses it."""

    fallback_item: ItemTarget
    payment_account: Annotated[dict[CurrencyKey, AccountCode], BeforeValidator(_payment_accounts)]
    refund_account: Annotated[
        dict[CurrencyKey, AccountCode], BeforeValidator(_payment_accounts)
    ] = {}
    clearing_account: AccountCode | None = None
    no_tax: TaxType
    outside_tax: TaxType
    entities: dict[Text, EntityMappings] = {}


class Connection(Part):
    """One connection of a Lago organization to a Xero tenant."""

    code: Text
    name: Text | None = None
    organization_id: UUID
    xero: XeroClient
    customers: Literal["create", "linked"] = "create"
    serves: Serves = Serves()
    default: bool = False
    start_date: datetime.date | None = None
    number_prefix: NumberPrefix = ""
    syncs: Syncs = Syncs()
    policies: Policies = Policies()
    mappings: Mappings


class File(Part):
    """The whole file."""

    connections: tuple[Connection, ...]


def parse(text: str) -> File:
    """Read the file.

    Raises:
        Mistakes: all of them at once; what was written is only repeated where it cannot be secret.
    """
    try:
        file = File.model_validate(load(text))
    except ValidationError as error:
        raise _refused(error, File) from None
    if not file.connections:
        raise Mistakes([Mistake("connections", "is empty")])
    codes = [connection.code for connection in file.connections]
    twice = [
        Mistake(f"connections[{i}].code", f"{code!r} is taken by connections[{codes.index(code)}]")
        for i, code in enumerate(codes)
        if codes.index(code) < i
    ]
    bare = [
        Mistake(f"connections[{i}].xero.client_secret", "is missing", _NEEDED["client_secret"])
        for i, connection in enumerate(file.connections)
        if connection.xero.client_secret is None and not connection.xero.consent
    ]
    unclear = [
        Mistake(f"connections[{i}].mappings.clearing_account", "is missing", _NEEDED["clearing"])
        for i, connection in enumerate(file.connections)
        if connection.policies.consumed_credits == "negative_line"
        and connection.mappings.clearing_account is None
    ]
    if twice or bare or unclear:
        raise Mistakes([*twice, *bare, *unclear])
    return file


def parse_mappings(value: Any) -> Mappings:
    """Check the part ``mappings`` of a connection by itself.

    Raises:
        Mistakes: as ``parse``; their paths begin at ``mappings``.
    """
    try:
        return Mappings.model_validate(value)
    except ValidationError as error:
        raise _refused(error, Mappings, "mappings") from None


# ── Mistakes ──────────────────────────────────────────────────────────────────────────────────────

_NEEDED = {
    "client_secret": "say where it is, {env: NAME}; only with consent: true may it be left out",
    "clearing": "consumed_credits: negative_line passes credit notes through it: an account code",
    "fallback_item": 'it takes what no other mapping covers: {item: LAGO, account: "200"}',
    "payment_account": 'payments are booked there: "880", or {default: "880", EUR: "881"}',
    "no_tax": "the Xero tax type of fees that Lago does not tax, such as ZERORATED",
    "outside_tax": "the Xero tax type of prepaid and other balance-sheet lines, such as NONE",
}
_KINDS = {
    "missing": "is missing",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "extra_forbidden": "is not a known key",
}
_FAMILIES = {
    "uuid": "must be an id like 1a901a90-1a90-1a90-1a90-1a901a901a90",
    "date": "must be a date like 2026-01-31",
}


def _refused(error: ValidationError, model: type[Part], *within: str) -> Mistakes:
    errors = error.errors(include_url=False, include_input=False)
    return Mistakes(tuple(dict.fromkeys(_mistake(one, model, within) for one in errors)))


def _mistake(error: ErrorDetails, model: type[Part], within: tuple[str, ...]) -> Mistake:
    kind, at = error["type"], error["loc"]
    said = _KINDS.get(kind) or _FAMILIES.get(kind.partition("_")[0])
    hint = ""
    if kind == "missing":
        hint = _NEEDED.get(str(at[-1]), "")
    elif kind == "extra_forbidden":
        hint = _known_keys(at, model)
    elif kind in ("too_long", "string_too_long"):
        said = f"has more than {error['ctx']['max_length']} characters"
    elif kind == "value_error":
        said = str(error["ctx"]["error"])
    elif kind == "string_pattern_mismatch" and at[-1] == "env":
        said = "must be the name of an environment variable"
    elif kind == "string_pattern_mismatch" and at[-1] == "number_prefix":
        said = "must be printable ASCII"
    elif kind == "string_pattern_mismatch":
        said, at = "must be default or a currency like EUR", at[:-1]
    elif said is None:
        said = error["msg"][0].lower() + error["msg"][1:]
    if at and at[-1] == "[key]":
        at = at[:-1]
    return Mistake(path_of((*within, *at)) or "file", said or kind, hint)


def _known_keys(at: tuple[str | int, ...], model: type[Part]) -> str:
    here: Any = model
    for part in at[:-1]:
        fields = _fields(here)
        # In a list or a mapping of our own keys the type of its values stands there already.
        here = fields[part].annotation if isinstance(part, str) and part in fields else here
    close = difflib.get_close_matches(str(at[-1]), _fields(here), n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(_fields(here))}"


def _fields(annotation: Any) -> dict[str, FieldInfo]:
    """Of the one model that an annotation such as ``dict[str, Model] | None`` holds."""
    if isclass(annotation) and issubclass(annotation, Part):
        return annotation.model_fields
    found: dict[str, FieldInfo] = {}
    for part in get_args(annotation):
        found = found or _fields(part)
    return found
