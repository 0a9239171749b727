"""How to reach a Kafka cluster: addresses, SASL and TLS in, aiokafka's keyword values out."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from consumer.domain.errors import Halt

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Addresses (``host:port``, comma-separated) and credentials; files are PEM."""

    bootstrap_servers: str
    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "PLAIN"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_id: str = "lago-xero"

    def options(self) -> dict[str, Any]:
        """Keyword values that aiokafka's consumer and producer share.

        Raises:
            Halt: a certificate file cannot be used.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": [s.strip() for s in self.bootstrap_servers.split(",")],
            "client_id": self.client_id,
            "security_protocol": self.protocol,
        }
        if self.protocol in ("SSL", "SASL_SSL"):
            options["ssl_context"] = self._tls()
        if self.protocol.startswith("SASL_"):
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise Halt(
                "kafka_tls",
                f"The certificates for Kafka cannot be used: {error}.",
                "Check the LAGO_XERO_KAFKA_SSL_* files: PEM, readable, key and certificate match.",
            ) from error
        return context

    def unusable(self, error: Exception) -> Halt:
        """What to tell a person when a client does not start."""
        why = str(error) or type(error).__name__
        return Halt(
            "kafka_unusable",
            f"Kafka at {self.bootstrap_servers} cannot be used: {why}",
            "Check the addresses, the credentials, and the rights on topics and consumer group.",
        )

    def topics_missing(self, topics: Iterable[str]) -> Halt:
        """What to tell a person when there is nothing to read."""
        names = ", ".join(sorted(topics))
        return Halt(
            "kafka_topic_missing",
            f"Kafka at {self.bootstrap_servers} shows us no topic {names}.",
            "Create it, allow us to describe and read it, or correct its name: --topic, else "
            "LAGO_XERO_KAFKA_TOPICS.",
        )
