"""SQLite: no type but the value's own, no regular expression, no cast that fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from pipeline.errors import ConfigError
from pipeline.serving.sql_databases import (
    Database,
    DuckDB,
    Expression,
    Postgres,
    call,
    divided,
    integer,
    text,
)
from pipeline.serving.sql_dates import DAY, microseconds


class SQLite(Database):
    """SQLite 3.35 and later, with its functions of mathematics (EXP)."""

    name = "sqlite"
    float_types = ("real",)
    has_lateral = False

    def word(self, cell: Expression, *, may_be_whole: bool = False) -> Expression:
        """Return the text of a cell, compared by its bytes whatever the column's collation."""
        found = super().word(cell, may_be_whole=may_be_whole)
        return exp.Collate(this=exp.Paren(this=found), expression=exp.Var(this="BINARY"))

    def has_control(self, word: Expression) -> Expression:
        """Return whether a text has a control character."""
        pieces = (text("*["), call("CHAR", integer(1)), text("-"), call("CHAR", integer(31)),
                  call("CHAR", integer(127)), text("]*"))  # fmt: skip
        pattern = pieces[0]
        for piece in pieces[1:]:
            pattern = exp.DPipe(this=pattern, expression=piece)
        has_nul = call("INSTR", exp.cast(word, "blob"), exp.HexString(this="00"))
        return exp.or_(
            exp.Glob(this=word, expression=exp.Paren(this=pattern)),
            exp.GT(this=has_nul, expression=integer(0)),
        )

    def number(self, cell: Expression, word: Expression, form: Mapping[str, Any]) -> Expression:
        """Return a cell as a number; a text only where it has no mark of thousands.

        In a comparison with a number a text becomes one if all of it is one, and else is larger.
        """
        found = exp.Case().when(self._is(cell, "integer", "real"), exp.cast(cell, "double"))
        has_other = exp.Glob(this=word, expression=text(f"*[^0-9eE{form['decimal']}+-]*"))
        if form["decimal"] != ".":
            word = call("REPLACE", word, text(form["decimal"]), text("."))
        largest = exp.cast(text("9e999"), "double")
        is_number = exp.LTE(this=word, expression=largest)
        is_written = exp.and_(self._is(cell, "text"), exp.not_(has_other), is_number)
        return found.when(is_written, exp.cast(word, "double"))

    def moment(
        self,
        cell: Expression,  # noqa: ARG002
        word: Expression,
        form: str | None,
        column: str,
    ) -> Expression:
        """Return a cell of ISO 8601 as text; null where it is none."""
        if form is not None:
            raise ConfigError(
                f"column {column} must have dates of ISO 8601 to be expressed in sqlite, which "
                f"knows no other; got {form!r}: choose DIALECT=duckdb or postgres"
            )
        two = "[0-9]" * 2
        day, minute = f"{two}{two}-{two}-{two}", f"[ T]{two}:{two}"
        second = f"{minute}:{two}"
        times = (minute, second, *(f"{second}.{'[0-9]' * n}" for n in range(1, 7)))
        zones = ("", "Z", f"[+-]{two}:{two}")
        forms = (day, *(f"{day}{time}{zone}" for time in times for zone in zones))
        is_written = exp.or_(*(exp.Glob(this=word, expression=text(each)) for each in forms))
        date = call("SUBSTR", word, integer(1), integer(10))
        same_day = exp.EQ(this=call("DATE", date, text("+0 days")), expression=date.copy())
        is_time = exp.not_(call("STRFTIME", text("%s"), word).is_(exp.null()))
        return exp.Case().when(exp.and_(is_written, same_day, is_time), word)

    def part(self, part: str, moment: Expression) -> Expression:
        """Return a part of a moment."""
        unit = {"year": "%Y", "month": "%m", "weekday": "%w", "hour": "%H"}[part]
        found = exp.cast(call("STRFTIME", text(unit), moment), "int")
        if part == "month":
            return exp.Sub(this=found, expression=integer(1))
        if part == "weekday":  # from Sunday
            return exp.Mod(
                this=exp.Paren(this=exp.Add(this=found, expression=integer(6))),
                expression=integer(7),
            )
        return found

    def days(self, moment: Expression, reference: str) -> Expression:
        """Return the days since the reference, and parts of a day."""
        seconds = exp.cast(call("STRFTIME", text("%s"), moment), "int")
        micro = microseconds(reference)
        whole = exp.Sub(this=seconds, expression=exp.Literal.number(micro // 10**6))
        rest = exp.cast(
            exp.DPipe(this=text("0"), expression=call("SUBSTR", moment, integer(20))),
            "double",
        )
        since: Expression = exp.Add(this=whole, expression=rest)
        if micro % 10**6:
            since = exp.Sub(this=since, expression=self.double(micro % 10**6 / 1e6))
        return divided(exp.Paren(this=since), self.double(DAY))

    def _is(self, cell: Expression, *types: str) -> Expression:
        return self.is_in(call("TYPEOF", cell), types)


DATABASES: dict[str, Database] = {each.name: each for each in (DuckDB(), Postgres(), SQLite())}
