"""The connections file and people's consents in; connections, checked against Xero, stored out."""

from consumer.apply.applying import Applied, Apply
from consumer.apply.charts import ChartReader
from consumer.apply.client_secrets import read_secrets
from consumer.apply.connecting import Connect, Connected
from consumer.apply.disconnecting import Disconnect

__all__ = [
    "Applied",
    "Apply",
    "ChartReader",
    "Connect",
    "Connected",
    "Disconnect",
    "read_secrets",
]
