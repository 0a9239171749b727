"""The environment in, checked settings out."""

from consumer.config.loading import load, load_database, load_keeping, settings_table, unknown
from consumer.config.settings import PREFIX, DatabaseSettings, KeepingSettings, Settings

__all__ = [
    "PREFIX",
    "DatabaseSettings",
    "KeepingSettings",
    "Settings",
    "load",
    "load_database",
    "load_keeping",
    "settings_table",
    "unknown",
]
