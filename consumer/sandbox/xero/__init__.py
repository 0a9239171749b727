"""A simulated Xero for tests and demos: its Accounting API, identity server and a control API.

It shares no model with the consumer: a simulator that shares our models shares our mistakes.
"""

from consumer.sandbox.xero.app import create_app
from consumer.sandbox.xero.server import Simulator, serve
from consumer.sandbox.xero.settings import SimulatorSettings

__all__ = ["Simulator", "SimulatorSettings", "create_app", "serve"]
