"""The headers of a dead-letter record: each header's text by its name.

``__connect.errors.*`` as Kafka Connect writes them, ``lago_xero.*`` our own; beside them stand the
headers of the record as received. Key and value are the record's own bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

CONNECT = "__connect.errors."
OURS = "lago_xero."
BOUND = 1_000
"""Characters of a header's text."""

Text = Annotated[str, Field(max_length=BOUND)]
Count = Annotated[str, Field(pattern=r"^[0-9]+$")]
Instant = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


def _told(name: str, description: str | None = None) -> Any:
    """A header that every record has."""
    return Field(alias=name, description=description)


def _known(name: str, description: str | None = None) -> Any:
    """A header that is left out where nothing is known of it."""
    # Not null: a header that is there has a text.
    return Field(default="", alias=name, description=description, json_schema_extra=_no_default)


def _no_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _only_these_of_ours(schema: dict[str, Any]) -> None:
    """Whatever else there is came with the record."""
    prefixes = "|".join(prefix.replace(".", r"\.") for prefix in (CONNECT, OURS))
    others = {"not": {"pattern": f"^({prefixes})"}}
    schema["propertyNames"] = {"anyOf": [{"enum": sorted(schema["properties"])}, others]}


class DeadLetterHeaders(BaseModel):
    """All headers of a dead-letter record."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_only_these_of_ours)

    topic: Text = _known(f"{CONNECT}topic", "Where the record came from.")
    partition: Count = _known(f"{CONNECT}partition")
    offset: Count = _known(f"{CONNECT}offset")
    connector: Literal["lago-xero"] = _told(f"{CONNECT}connector.name")
    stage: Literal["VALUE_CONVERTER", "TASK_PUT"] = _told(
        f"{CONNECT}stage", "Whether it was not understood, or its document failed."
    )
    exception: Text = _told(f"{CONNECT}exception.class.name")
    message: Text = _told(f"{CONNECT}exception.message", "One plain sentence.")
    notice: Count = _told(
        f"{OURS}notice", "One failure is one notice: the same after a repetition."
    )
    code: Text = _told(f"{OURS}code", "Stable.")
    error_class: Text = _told(f"{OURS}class")
    hint: Text = _known(f"{OURS}hint")
    kind: Text = _known(f"{OURS}kind", "Of the document.")
    document: Id = _known(f"{OURS}document", "The Lago id of the document's object.")
    number: Text = _known(f"{OURS}number")
    organization: Id = _known(f"{OURS}organization")
    connection: Text = _known(f"{OURS}connection", "The connection's code.")
    attempts: Count = _told(f"{OURS}attempts", "How often the document was tried.")
    first_failed_at: Instant = _told(f"{OURS}first_failed_at")
    last_failed_at: Instant = _told(f"{OURS}last_failed_at")
    event_key: Digest = _known(f"{OURS}event_key", "SHA-256 of the record's value as received.")
    version: Text = _told(f"{OURS}version", "Of the service.")
    value_size: Count = _known(f"{OURS}value.size", "Where the value is too large for the topic.")
    value_sha256: Digest = _known(f"{OURS}value.sha256")
    value_kept: Text = _known(
        f"{OURS}value.kept", "Where the value is, if it is not in the record."
    )
