"""Commands about mappings: a connection's code and a path in; rows, YAML, or what changed out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.output import AsJson, DryRun, Row, ask, print_rows
from consumer.cli.person import person

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database
    from consumer.cli.errors import Failure
    from consumer.domain.chart import Chart
    from consumer.domain.coverage import SeenFee, SeenTax
    from consumer.domain.mapping import Connection, MappingKey, Target

app = typer.Typer(
    help="What goes where in Xero: list, change, export, and what has no mapping of its own.",
    no_args_is_help=True,
)
Code = Annotated[str, typer.Argument(help="A connection's code.")]
Path = Annotated[
    str,
    typer.Argument(
        help="As in the connections file: taxes.vat_20, billable_metrics.storage, payment_account.EUR, "
        "entities.acme-eu.coupon.",
    ),
]


@app.command("list", epilog="Example: lago-xero mappings list acme-nz --history")
def list_(
    code: Code,
    history: Annotated[
        bool, typer.Option("--history", help="Also mappings that are no longer so.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List a connection's mappings: who set them when, and what does not fit Xero's chart."""
    from consumer.adapters.postgres import mappings

    async def work(db: Database) -> list[Row]:
        await _known(db, code)
        return await mappings.rows(db, code, history=history)

    columns = ["path", "item", "account", "tax_type", "set_by", "set_at", "problem"]
    if history:
        columns.insert(6, "unset_at")
    print_rows(ask(work), columns, as_json)


@app.command(
    "set",
    epilog="Example: lago-xero mappings set acme billable_metrics.api item=API account=200",
)
def set_(
    code: Code,
    path: Path,
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="VALUE...",
            help="item=CODE, account=CODE, tax_type=CODE: all that the mapping shall have. A tax's type "
            "and a payment account may stand alone: OUTPUT2.",
        ),
    ],
    dry_run: DryRun = False,
) -> None:
    """Set one mapping. It is checked against Xero's chart as last read, as apply checks it.

    What failed or waits for want of it goes out. The connections file wins: apply makes its mappings
    those of the file, and its diff shows that; export prints them for the file.
    """
    _change(code, path, values, dry_run=dry_run)


@app.command(epilog="Example: lago-xero mappings unset acme-nz taxes.vat_20")
def unset(code: Code, path: Path, dry_run: DryRun = False) -> None:
    """Take one mapping away; what it was stays in the history."""
    _change(code, path, None, dry_run=dry_run)


@app.command(epilog="Example: lago-xero mappings export acme-nz   (> mappings.yaml keeps it)")
def export(code: Code) -> None:
    """Print what stands under mappings: in a connections file that says what is stored."""
    import yaml

    from consumer.domain.remapping import exported

    connection = ask(lambda db: _known(db, code))
    text = yaml.safe_dump(
        {"mappings": exported(connection)}, sort_keys=False, allow_unicode=True, width=110
    )
    typer.echo(text, nl=False)


@app.command(epilog="Example: lago-xero mappings coverage acme-nz --json")
def coverage(code: Code, as_json: AsJson = False) -> None:
    """List the metrics, add-ons, other fees and taxes of stored invoices without a mapping of their own.

    Judged by the mappings as they are now. A fee that has none takes the fallback item; a tax, its item's
    tax type if that has Lago's rate, else its invoices fail. posted is the net amount that is in Xero so.
    """
    print_rows(
        ask(lambda db: gaps_of(db, code)),
        ("path", "how", "currency", "invoices", "posted"),
        as_json,
    )


async def gaps_of(db: Database, code: str) -> list[Row]:
    """What was billed without a mapping of its own, as ``coverage`` lists it."""
    """What was billed without a mapping of its own, as ``coverage`` lists it."""
    from consumer.adapters.postgres import mappings
    from consumer.domain.coverage import gaps
    from consumer.domain.money import CENT

    connection = await _known(db, code)
    fees: list[SeenFee] = []
    taxes: list[SeenTax] = []
    async for some_fees, some_taxes in mappings.seen(db, connection.id):
        fees += some_fees
        taxes += some_taxes
    return [
        {
            "path": gap.key.path.removeprefix("mappings."),
            "how": gap.how,
            "currency": gap.currency,
            "invoices": gap.invoices,
            "posted": str(gap.amount.quantize(CENT)),
        }
        for gap in gaps(connection, fees, taxes)
    ]


async def _known(db: Database, code: str) -> Connection:
    """The connection with its mappings."""
    from consumer.adapters.postgres import mappings

    found = await mappings.read(db, code)
    if found is None:
        raise no_connection(code)
    return found[0]


def _asked(path: str, words: list[str] | None) -> tuple[MappingKey, Target | None]:
    from consumer.cli.errors import USAGE, Failure
    from consumer.domain.remapping import parse_path, parse_words
    from schemas.mistakes import Mistakes

    try:
        key = parse_path(path)
        return key, None if words is None else parse_words(key, words)
    except Mistakes as mistakes:
        raise Failure(USAGE, str(mistakes)) from None


def _change(code: str, path: str, words: list[str] | None, *, dry_run: bool) -> None:
    """Set the mapping to these words, or unset it without any."""
    from consumer.adapters.postgres import mappings
    from consumer.cli.errors import NOT_FOUND, REFUSED, Failure
    from consumer.domain.remapping import remapped
    from schemas.mistakes import Mistakes

    key, target = _asked(path, words)

    def to(connection: Connection, chart: Chart | None) -> Connection:
        if target is None and key not in connection.mappings:
            hint = f"lago-xero mappings list {code} lists what is"
            raise Failure(NOT_FOUND, f"{code} has no mapping {path}.", hint)
        return remapped(connection, key, target, chart)

    try:
        lines = ask(lambda db: mappings.change(db, code, to, person(), dry_run=dry_run))
    except Mistakes as mistakes:
        hint = f"nothing was stored; lago-xero chart refresh {code} reads what is new in Xero"
        raise Failure(REFUSED, str(mistakes), hint) from None
    if lines is None:
        raise no_connection(code)
    for line in lines:
        typer.echo(line)
    if not lines:
        typer.echo("nothing to change", err=True)
    else:
        typer.echo("dry run: nothing was stored" if dry_run else "stored", err=True)


def no_connection(code: str) -> Failure:
    """What a command ends with that names none."""
    from consumer.cli.errors import NOT_FOUND, Failure

    hint = "lago-xero connections lists connections"
    return Failure(NOT_FOUND, f"There is no connection {code}.", hint)
