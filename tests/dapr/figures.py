"""What a fault cost, as a row of a table."""

from dataclasses import astuple, dataclass, fields
from typing import Self

import pytest

from tests.kill.traffic import Figures


@dataclass(frozen=True)
class Row:
    """One fault, how often it struck, and what the clients saw of it; times are in seconds."""

    fault: str
    times: int
    answered: int
    refused_503: int
    no_connection: int
    retries: int
    longest_request: float
    catch_up: float

    @classmethod
    def of(cls, fault: str, times: int, seen: Figures, catch_up: float) -> Self:
        """Make a row of what the traffic has counted."""
        return cls(fault, times, seen.answered, seen.refused, seen.cut, seen.retries, seen.longest, catch_up)


FIGURES = pytest.StashKey[list[Row]]()


def table(rows: list[Row]) -> str:
    cells = [tuple(field.name.replace("_", " ") for field in fields(Row))]
    cells += [tuple(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in astuple(row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in cells
    )
