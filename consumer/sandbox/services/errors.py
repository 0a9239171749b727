"""The one error of the service starters: what is missing goes in, one sentence comes out."""


class ServiceUnavailable(Exception):
    """A service cannot be had here; its text is one sentence saying what to install or set."""
