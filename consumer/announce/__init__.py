"""Announcing: failures from the outbox in, dead-letter records and webhook posts out."""

from consumer.announce.announcer import BACK_OFF, Announcer

__all__ = ["BACK_OFF", "Announcer"]
