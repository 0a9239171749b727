"""Kafka and Postgres for tests and the sandbox: each is taken from the settings, else started in
Docker, else as a local process; one sentence says what is missing where none of them works."""

from .apache_kafka import KafkaService, kafka
from .errors import ServiceUnavailable
from .postgresql import PostgresService, postgres

__all__ = ["KafkaService", "PostgresService", "ServiceUnavailable", "kafka", "postgres"]
