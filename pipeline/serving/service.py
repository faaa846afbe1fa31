"""A model as it is asked: the rows of a body, and the one row of a form."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from threading import Event
from typing import IO, Any

from pipeline.config.column_settings import Numeric
from pipeline.errors import DataError
from pipeline.serving.answer import answer
from pipeline.serving.compiled import compile_model
from pipeline.serving.file_form import csv_blocks, parquet_blocks
from pipeline.serving.json_form import json_blocks
from pipeline.serving.receive import How, chosen_on_bad_row
from pipeline.serving.rows import CSV, JSON, Body, RequestError
from pipeline.serving.scorer import Scorer
from pipeline.stages.predict import Model
from pipeline.text import listed, quoted


@dataclass(frozen=True)
class Filled:
    """What was typed into the form, by column, and what came of it.

    ``terms`` are what each attribute adds to the log-odds, the bias last.
    """

    cells: Mapping[str, str]
    faults: Mapping[str, str]
    probability: float | None = None
    decision: int | None = None
    terms: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Page:
    """The form: the page, the cells it opens with, and the files it links to with their types."""

    render: Callable[[Filled], str]
    cells: Mapping[str, str]
    files: Mapping[str, tuple[bytes, str]]


class Service:
    """A model, and how its requests are answered."""

    def __init__(
        self, model: Model, page: Page, *, skip: bool = False, hide_values: bool = False
    ) -> None:
        self.data, self.page = model.data, page
        self.on_bad_row, self.hide_values = "skip" if skip else "refuse", hide_values
        self.scorer = Scorer(compile_model(model), hide_values=hide_values)

    def example(self, address: str) -> str:
        """Return a request to paste: the row that the form opens with."""
        cells = {name: self._as_json(name, cell) for name, cell in self.page.cells.items()}
        body = json.dumps({"dataframe_records": [cells]}, ensure_ascii=False)
        return f"curl {address}invocations -H 'Content-Type: {JSON}' -d {shlex.quote(body)}"

    def _as_json(self, name: str, cell: str) -> Any:
        is_number = isinstance(self.data.features[name], Numeric) and self.data.decimal == "."
        return json.loads(cell) if is_number and cell else cell

    def answer(self, body: Body, how: How, stop: Event) -> IO[bytes]:
        """Return the answer to a body; RequestError where it is refused."""
        on_bad_row = how.on_bad_row
        try:
            if how.kind == JSON:
                params, blocks = json_blocks(body, self.data)
                on_bad_row = chosen_on_bad_row(params, "params", on_bad_row)
            else:
                read = csv_blocks if how.kind == CSV else parquet_blocks
                blocks = read(body, self.data)
            going_on = takewhile(lambda _: not stop.is_set(), blocks)
            return answer(
                going_on, self.scorer, skip=on_bad_row == "skip", hide_values=self.hide_values,
                as_csv=how.as_csv,
            )  # fmt: skip
        except DataError as error:
            raise RequestError(self._shown(str(error))) from None
        except UnicodeError:
            raise RequestError(f"request must be in {self.data.encoding}; got another") from None
        except MemoryError:
            raise RequestError("request must fit into memory", 413, "REQUEST_TOO_LARGE") from None

    def fill(self, cells: Mapping[str, str]) -> Filled:
        """Return what the model says to the cells of one row."""
        import pandas as pd

        names = self.data.features
        typed = {name: cells.get(name, "") for name in names}
        frame = pd.DataFrame({name: [cell] for name, cell in typed.items()}, dtype=object)
        faults: dict[str, str] = {}
        for fault in self.scorer.check(frame):
            faults.setdefault(fault.column, fault.rule)
        if faults:
            return Filled(typed, faults)
        scored, terms = self.scorer.score(frame).iloc[0], self.scorer.terms(frame).iloc[0]
        p, decision = float(scored.iloc[0]), int(scored.iloc[1])
        return Filled(typed, {}, p, decision, {str(k): float(v) for k, v in terms.items()})

    def _shown(self, message: str) -> str:
        """Return what is wrong with a file, or where values are hidden the rule and the columns.

        What stands in the place of a header may be values.
        """
        if not self.hide_values:
            return message
        known = [*self.data.columns, self.data.target.name]
        lines = []
        for line in message.splitlines():
            rule, _, got = line.partition("; got")
            about = [name for name in known if quoted(name, 40) in got]
            lines.append(f"{rule}: {listed(about)}" if about else rule)
        return "\n".join(lines)
