"""Panels in this house's style: a title, a unit and queries in; Grafana's panels out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Lines
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

SOURCE = DataSourceRef("prometheus", "${datasource}")
OURS = 'job=~"$job"'
"""Picks the deployment: a Prometheus may watch several."""

Panel = TypeVar("Panel", Lines, Stat)


def lines(
    title: str, unit: str, queries: Mapping[str, str], *, about: str = "", stacked: bool = False
) -> Lines:
    """Time series; ``queries`` by legend, which may use ``{{label}}``. ``unit`` is one of Grafana's."""
    panel = _panel(Lines(), title, unit, queries.items(), about).span(8).height(8).min(0)
    panel.legend(
        VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
    )
    panel.tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    if stacked:
        panel.fill_opacity(30).stacking(StackingConfig().mode(StackingMode.NORMAL))
    return panel


def stat(
    title: str,
    unit: str,
    query: str,
    *,
    about: str = "",
    red_from: float | None = None,
    red_below: float | None = None,
    legend: str = "",
) -> Stat:
    """The newest value, red from a value on or below one."""
    panel = _panel(Stat(), title, unit, [(legend, query)], about).span(4).height(4)
    panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    steps = [Threshold(None, "green")]
    if red_from is not None:
        steps.append(Threshold(red_from, "red"))
    if red_below is not None:
        steps = [Threshold(None, "red"), Threshold(red_below, "green")]
    panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    return panel.color_mode(BigValueColorMode.VALUE)


def quantiles(title: str, metric: str, *, by: str = "", about: str = "") -> Lines:
    """Half of a histogram's seconds, and all but one in a hundred."""
    label, legend = (f", {by}", f" {{{{{by}}}}}") if by else ("", "")
    rate = f"sum by (le{label}) (rate({metric}_bucket{{{OURS}}}[$__rate_interval]))"
    shown = {f"p{round(q * 100)}{legend}": f"histogram_quantile({q}, {rate})" for q in (0.5, 0.99)}
    return lines(title, "s", shown, about=about)


def rate(metric: str, by: str = "", more: str = "") -> str:
    """Increases a second of a counter, of all replicas together."""
    labels = f"{OURS},{more}" if more else OURS
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def sampled(metric: str, by: str = "", more: str = "") -> str:
    """A gauge of the ledger, which all replicas show."""
    labels = f"{OURS},{more}" if more else OURS
    return f"max by ({by}) ({metric}{{{labels}}})"


def dashboard(
    uid: str, title: str, about: str, rows: Mapping[str, Iterable[Lines | Stat]]
) -> Dashboard:
    """Panels under rows, with the variables that they use."""
    board = (
        Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["lago-xero"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            QueryVariable("job")
            .label("Deployment")
            .datasource(SOURCE)
            .query("label_values(lago_xero_build_info, job)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".+")
        )
    )
    for name, panels in rows.items():
        board.with_row(Row(name))
        for panel in panels:
            board.with_panel(panel)
    return board


def _panel(
    panel: Panel, title: str, unit: str, queries: Iterable[tuple[str, str]], about: str
) -> Panel:
    panel.title(title).unit(unit).datasource(SOURCE)
    if about:
        panel.description(about)
    for place, (legend, query) in enumerate(queries):
        target = Dataquery().expr(query).ref_id(chr(ord("A") + place)).datasource(SOURCE)
        panel.with_target(target.legend_format(legend) if legend else target)
    return panel
