"""Settings: what the environment says in, one checked value out; every setting stands here.

Connections and mappings are data, not settings.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from consumer.adapters import lago_api
from consumer.adapters.kafka.cluster import Cluster, Mechanism, Protocol
from consumer.adapters.postgres.pruning import Keeping
from consumer.adapters.vault import Vault
from consumer.domain.clocks import Clocks

PREFIX = "LAGO_XERO_"


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Days = Annotated[int, Field(ge=1, le=36_500)]


def _postgres(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("it should begin with postgresql://")
    return url


def _lago(url: str | None) -> str | None:
    wrong = lago_api.unusable(url) if url is not None else None
    if wrong is not None:
        raise ValueError(wrong)
    return url


def _header(key: SecretStr | None) -> SecretStr | None:
    said = key.get_secret_value() if key is not None else ""
    if not (said.isascii() and said.isprintable()) or " " in said:
        raise ValueError("it holds what no key of Lago's has")
    return key


DatabaseUrl = Annotated[SecretStr, AfterValidator(_postgres)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)]


class DatabaseSettings(BaseSettings):
    """How to reach Postgres: all that commands need which only read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    database_url: DatabaseUrl = Field(
        description="PostgreSQL: postgresql://user:password@host/name."
    )
    database_pool_size: Count = Field(10, description="Most connections of one process.")
    database_statement_cache: int = Field(
        256, ge=0, description="Prepared statements kept a connection; 0 for an old PgBouncer."
    )
    database_statement_timeout: Seconds = Field(10.0, description="Seconds for one statement.")
    database_lock_timeout: Seconds = Field(5.0, description="Seconds to wait for a lock.")
    database_idle_timeout: Seconds = Field(
        5.0, description="Seconds that a transaction of a paused process may stay open."
    )


class KeepingSettings(DatabaseSettings):
    """How long the ledger keeps what it needs no more: all that ``prune`` needs beside Postgres."""

    keep_messages: Days = Field(
        30, description="Days that a message's bytes are kept once nothing that it made is open."
    )
    keep_announcements: Days = Field(30, description="Days that announcements made are kept.")
    keep_requests: int = Field(
        90,
        ge=2,
        le=36_500,
        description="Days that calls to Xero are kept; documents' last ones stay.",
    )
    keep_findings: Days = Field(365, description="Days that closed findings are kept.")
    keep_events: int = Field(
        365,
        ge=365,
        le=36_500,
        description="Days that a message is known again at least; a payment's always.",
    )

    def keeping(self) -> Keeping:
        """How long each is kept."""
        return Keeping(
            **{f.name: timedelta(days=getattr(self, f"keep_{f.name}")) for f in fields(Keeping)}
        )


class Settings(KeepingSettings):
    """All settings of the service, as read from the environment."""

    kafka_bootstrap_servers: str = Field(description="Kafka brokers: host:port, comma-separated.")
    kafka_topics: Names = Field(("lago.webhooks",), description="Topics to read, comma-separated.")
    kafka_group_id: str = Field("lago-xero", description="Consumer group.")
    kafka_security_protocol: Protocol = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: Mechanism = Field(
        "PLAIN", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."
    )
    kafka_sasl_username: str | None = Field(None, description="SASL user.")
    kafka_sasl_password: SecretStr | None = Field(None, description="SASL password.")
    kafka_ssl_ca_file: Path | None = Field(
        None, description="PEM file of the authorities to trust; else the system's."
    )
    kafka_ssl_certificate_file: Path | None = Field(
        None, description="PEM file of our certificate, for mutual TLS."
    )
    kafka_ssl_key_file: Path | None = Field(
        None, description="PEM file of its key, if not in the certificate's file."
    )
    kafka_max_poll_records: Count = Field(500, description="Most records in one transaction.")
    dead_letter_topic: str = Field("lago.xero.dlq", description="Where failed records go.")
    dead_letter_max_bytes: Count = Field(
        1_000_000, description="Larger ones go there without their value."
    )

    xero_api_url: str = Field(
        "https://api.xero.com/api.xro/2.0",
        pattern=r"^https?://\S+$",
        description="Base of Xero's Accounting API.",
    )
    xero_identity_url: str = Field(
        "https://identity.xero.com",
        pattern=r"^https?://\S+$",
        description="Base of Xero's identity server.",
    )
    xero_login_url: str = Field(
        "https://login.xero.com",
        pattern=r"^https?://\S+$",
        description="Base of the page where people consent.",
    )
    xero_minute_limit: Count = Field(60, description="Calls a minute and tenant.")
    xero_day_limit: Count = Field(5_000, description="Calls a day and tenant.")
    xero_concurrency: Count = Field(5, description="Calls at a time and tenant.")
    xero_app_minute_limit: Count = Field(
        10_000, description="Calls a minute and client id, over all its tenants."
    )

    batch_documents: Count = Field(50, description="Most documents in one call.")

    prune: bool = Field(True, description="Also drop by itself what is kept no longer.")

    time_scale: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="Multiplies the clocks down to MISSING_DEPENDENCY_AFTER; for tests.",
    )
    freeze_to_first_byte: Seconds = Field(
        5.0, description="Seconds from the freeze by which a request must leave."
    )
    call_timeout: Seconds = Field(90.0, description="Seconds for a whole call to Xero.")
    resend_after: Seconds = Field(
        100.0, description="Seconds from the freeze to sending again what nothing came back for."
    )
    resend_until: Seconds = Field(
        300.0, description="Seconds from the freeze after which it is looked up instead."
    )
    key_life: Seconds = Field(360.0, description="Seconds that Xero knows an idempotency key.")
    look_for_work: Seconds = Field(1.0, description="Seconds between looks for others' work.")
    home_wait: Seconds = Field(
        600.0, description="Seconds that an unlinked customer waits for a link."
    )
    residual_wait: Seconds = Field(
        600.0, description="Seconds that money without a payment's message waits for one."
    )
    chart_refresh: Seconds = Field(
        86_400.0,
        description="Seconds until a tenant's accounts, items and tax rates are read again.",
    )
    missing_dependency_after: Seconds = Field(
        86_400.0, description="Seconds until waiting for an unknown document is a failure."
    )

    encryption_keys: SecretStr = Field(
        description="Fernet keys, comma-separated: the first encrypts, all decrypt."
    )
    webhook_url: str | None = Field(
        None, pattern=r"^https?://\S+$", description="Where failures are posted; unset: nowhere."
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Signs the posts (Standard Webhooks): whsec_…."
    )
    webhook_allow_http: bool = Field(
        False, description="Also post over plain HTTP beyond this machine."
    )

    lago_api_url: Annotated[str | None, AfterValidator(_lago)] = Field(
        None, description="Lago's API, to ask for what messages lack: https://api.getlago.com."
    )
    lago_api_key: Annotated[SecretStr | None, AfterValidator(_header)] = Field(
        None, description="Key of the Lago organization for it."
    )

    http_host: str = Field("0.0.0.0", description="Address of probes and metrics.")  # noqa: S104
    http_port: int = Field(8080, ge=0, le=65_535, description="Port of probes and metrics.")
    liveness_after: Seconds = Field(
        120.0, description="Seconds without a poll or progress until /healthz fails."
    )
    log_format: Literal["json", "console"] = Field("json", description="json or console.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR; libraries log from WARNING on."
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        problems = [sentence for wrong, sentence in self._disagreements() if wrong]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _disagreements(self) -> list[tuple[bool, str]]:
        sasl = self.kafka_security_protocol.startswith("SASL_")
        return [
            (
                self.dead_letter_topic in self.kafka_topics,
                f"{PREFIX}KAFKA_TOPICS names our own dead-letter topic: "
                "its records would come back for ever.",
            ),
            (
                sasl and not (self.kafka_sasl_username and self.kafka_sasl_password),
                f"{PREFIX}KAFKA_SASL_USERNAME and {PREFIX}KAFKA_SASL_PASSWORD are needed with "
                f"{PREFIX}KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}.",
            ),
            (
                self.kafka_ssl_key_file is not None and self.kafka_ssl_certificate_file is None,
                f"{PREFIX}KAFKA_SSL_KEY_FILE is of no use without "
                f"{PREFIX}KAFKA_SSL_CERTIFICATE_FILE.",
            ),
            (
                self.webhook_url is not None and self.webhook_secret is None,
                f"{PREFIX}WEBHOOK_SECRET is missing: posts to {PREFIX}WEBHOOK_URL are signed.",
            ),
            (
                (self.lago_api_url is None) != (self.lago_api_key is None),
                f"{PREFIX}LAGO_API_URL and {PREFIX}LAGO_API_KEY go together: give both or neither.",
            ),
            (
                self.freeze_to_first_byte + self.call_timeout > self.resend_after,
                f"{PREFIX}RESEND_AFTER must leave room for {PREFIX}FREEZE_TO_FIRST_BYTE and "
                f"{PREFIX}CALL_TIMEOUT: the first sending must be over before the second.",
            ),
            (
                not self.resend_after <= self.resend_until < self.key_life,
                f"{PREFIX}RESEND_AFTER, {PREFIX}RESEND_UNTIL and {PREFIX}KEY_LIFE must follow in "
                "this order: a key that Xero forgot protects nothing.",
            ),
            (_unusable(self.encryption_keys), f"{PREFIX}ENCRYPTION_KEYS {_KEYS}."),
        ]

    def clocks(self) -> Clocks:
        """All clocks, scaled."""
        own = {f.name: getattr(self, f.name) for f in fields(Clocks) if f.name not in _NOT_SET}
        return Clocks(**own).scaled(self.time_scale)

    def cluster(self) -> Cluster:
        """How to reach Kafka."""
        password = self.kafka_sasl_password
        return Cluster(
            bootstrap_servers=self.kafka_bootstrap_servers,
            protocol=self.kafka_security_protocol,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            ca_file=self.kafka_ssl_ca_file,
            certificate_file=self.kafka_ssl_certificate_file,
            key_file=self.kafka_ssl_key_file,
        )

    def vault(self) -> Vault:
        """Encryption with the given keys."""
        return Vault(_split(self.encryption_keys.get_secret_value()))


_NOT_SET = ("minute", "day", "scale")
"""Xero's clocks, which only the time scale changes, and that scale."""
_KEYS = "must be one or more Fernet keys (32 bytes, URL-safe Base64), comma-separated"


def _unusable(keys: SecretStr) -> bool:
    try:
        Vault(_split(keys.get_secret_value()))
    except ValueError:
        return True
    return False
