"""The ledger: its four parts behind the one port."""

from __future__ import annotations

from collections.abc import Sequence

from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.doubting import Doubter
from consumer.adapters.postgres.freezing import Freezer, Shape
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.releasing import Releaser
from consumer.adapters.postgres.settling import Settler
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Limits
from consumer.ports import Sink


class PostgresLedger:
    """Implements ``Ledger``."""

    def __init__(
        self,
        database: Database,
        configuration: Configuration,
        planner: Planner,
        *,
        limits: Limits,
        clocks: Clocks,
        sinks: Sequence[Sink],
        max_documents: int = 50,
    ) -> None:
        freezer = Freezer(
            database,
            configuration,
            limits=limits,
            clocks=clocks,
            sinks=sinks,
            shape=Shape(max_documents),
        )
        settler = Settler(database, limits=limits, clocks=clocks, sinks=sinks)
        doubter = Doubter(database, clocks=clocks, sinks=sinks)
        releaser = Releaser(database, planner, clocks=clocks, sinks=sinks)
        self.due, self.freeze = freezer.due, freezer.freeze
        self.settle, self.resolve = settler.settle, settler.resolve
        self.take_audit, self.audited = doubter.take_audit, settler.audited
        self.doubtful, self.take_doubt = doubter.doubtful, doubter.take_doubt
        self.release, self.expire = releaser.release, releaser.expire
        self.end_patience = releaser.end_patience
        self.postpone, self.look_failed = doubter.postpone, doubter.look_failed
        self.block, self.park = releaser.block, releaser.park
