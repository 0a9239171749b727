"""The connections file and people's consents in; connections, checked against Xero, stored out."""

from consumer.apply.applying import Applied, Apply
from consumer.apply.charts import ChartReader
from consumer.apply.client_secrets import read_secrets
from consumer.apply.connecting import Connect, Connected
from consumer.apply.disconnecting import Disconnect
from consumer.apply.refreshing import ChartWatch, Refresh

__all__ = [
    "Applied",
    "Apply",
    "ChartReader",
    "ChartWatch",
    "Connect",
    "Connected",
    "Disconnect",
    "Refresh",
    "read_secrets",
]
