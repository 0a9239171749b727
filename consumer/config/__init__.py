"""The environment in, checked settings out."""

from consumer.config.loading import load, load_database, settings_table, unknown
from consumer.config.settings import PREFIX, DatabaseSettings, Settings

__all__ = [
    "PREFIX",
    "DatabaseSettings",
    "Settings",
    "load",
    "load_database",
    "settings_table",
    "unknown",
]
