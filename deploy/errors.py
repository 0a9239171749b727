"""The codes that ``consumer/`` gives its errors, and their meanings in, ``deploy/errors.md`` out.

What a code means is said in ``errors.yaml``; what to do is the code's own hint, unless there are several of
them, or one has words that only a document gives it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.codes import HOLE, Codes, Use

HEAD = """\
# Error codes

*Written by `make dashboards` from the code and `deploy/errors.yaml`; do not edit.*

A code is stable; its sentence is for people and may change. A failed document's code is in `lago-xero show`
and `documents --code`, on the dead-letter topic (`lago_xero.code`, its class in `lago_xero.class`), on the
webhook (`provider_error.error_code`), and in `lago_xero_failures_total{code}`. What to do is what the hint
says, in general words; `show` says it with names and figures.

What *follows by itself* is sent again once its cause has gone. All else that failed is sent again when a
message of Lago's changes the document, or by `lago-xero retry REF` or `retry --code CODE`; `lago-xero ignore
REF` sets it aside.

A command that refuses says why in a sentence, and what to do in a hint; it shows no code.
"""


@dataclass(frozen=True, slots=True)
class Code:
    """What it means; ``do`` where the hint in the code does not say all."""

    means: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Codes after which the same happens next."""

    title: str
    next: str
    codes: Mapping[str, Code]


def parts() -> tuple[Part, ...]:
    """As ``deploy/errors.yaml`` has them."""
    read = yaml.safe_load((Path(__file__).parent / "errors.yaml").read_text(encoding="utf-8"))
    return tuple(
        Part(
            part["title"], part["next"], {code: _code(said) for code, said in part["codes"].items()}
        )
        for part in read
    )


def _code(said: str | Mapping[str, str]) -> Code:
    return Code(said) if isinstance(said, str) else Code(**said)


def known() -> frozenset[str]:
    """The codes that are described here."""
    return frozenset(code for part in parts() for code in part.codes)


def page(uses: Sequence[Use] | None = None) -> str:
    """The whole file."""
    uses = Codes().uses if uses is None else uses
    text = [HEAD]
    for part in parts():
        head = f"## {part.title}\n\n{part.next}\n\n| code | what it means | what to do |\n|---|---|---|\n"
        rows = (
            f"| `{code}` | {one.means} | {one.do or _hint(code, uses)} |\n"
            for code, one in part.codes.items()
        )
        text.append(head + "".join(rows))
    return "\n".join(text)


def _hint(code: str, uses: Sequence[Use]) -> str:
    """The code's own. Raises ValueError if there is none, or not one."""
    hints = {use.hint for use in uses if use.means(code) and use.hint}
    if len(hints) == 1 and HOLE not in (hint := hints.pop()):
        return hint
    raise ValueError(
        f"{code} has no hint, several, or one with figures: say in deploy/errors.yaml what to do"
    )
