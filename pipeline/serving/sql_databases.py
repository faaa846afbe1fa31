"""What each database has for the same thing: numbers, text, dates, as expressions of sqlglot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from pipeline.serving.sql_dates import (
    CLOCK,
    DAY,
    DAY_OF,
    LEAP,
    LEAP_DAY,
    TIME,
    TOO_LONG,
    VALID,
    ZONE,
    microseconds,
    strptime_pattern,
)

Expression = exp.Expr


def text(value: str) -> Expression:
    """Return a text."""
    return exp.Literal.string(value)


def integer(value: int) -> Expression:
    """Return a whole number."""
    return exp.Literal.number(value)


def call(name: str, *words: Expression) -> Expression:
    """Return a call of a function that is written as it is in every dialect that has it."""
    return exp.Anonymous(this=name, expressions=[*words])


def clamped(value: Expression, most: Expression) -> Expression:
    """Return a number, but the nearest of plus and minus ``most`` where it is beyond."""
    low = exp.Greatest(this=value, expressions=[exp.Neg(this=most)], ignore_nulls=True)
    return exp.Least(this=low, expressions=[most], ignore_nulls=True)


def divided(value: Expression, by: Expression) -> Expression:
    """Return a quotient of numbers, the lower of which is never 0."""
    return exp.Div(this=value, expression=by, typed=True, safe=False)


class Database:
    """What is the same in most of them."""

    name = ""
    text_types: tuple[str, ...] = ()
    float_types: tuple[str, ...] = ()  # of which 1 is the text 1.0
    row = "rows"  # a row of the table, in the query
    has_whole_rows = False  # as values, which can be handed on
    has_lateral = True  # subqueries of FROM that see the tables before them

    def fenced(self, query: exp.Select) -> exp.Select:
        """Return a query whose results are computed once, however often they are used."""
        return query

    def double(self, value: float) -> Expression:
        """Return a number, read back to the last bit; without an exponent it might be a decimal."""
        digits = repr(abs(value))
        found: Expression = exp.Literal.number(digits if "e" in digits else f"{digits}e0")
        return exp.Neg(this=found) if math.copysign(1.0, value) < 0 else found

    def is_in(self, value: Expression, texts: Sequence[str]) -> Expression:
        """Return whether a text is one of several."""
        return exp.In(this=value, expressions=[text(each) for each in texts])

    def word(self, cell: Expression, *, may_be_whole: bool = False) -> Expression:
        """Return the text of a cell, "" where it is null; ``may_be_whole``: 1, not 1.0."""
        found: Expression = exp.Coalesce(this=exp.cast(cell, "text"), expressions=[text("")])
        if not (may_be_whole and self.float_types):
            return found
        whole = exp.TryCast(this=cell, to=exp.DataType.build("bigint"))
        number = exp.TryCast(this=cell, to=exp.DataType.build("double"))
        is_whole = exp.and_(
            self.is_in(call("TYPEOF", cell), self.float_types),
            exp.EQ(this=whole, expression=number),
        )
        return exp.Case().when(is_whole, exp.cast(whole.copy(), "text")).else_(found)

    def matches(self, word: Expression, pattern: str) -> Expression:
        """Return whether the whole text has a form."""
        return exp.RegexpLike(this=word, expression=text(f"^({pattern})$"))

    def has_control(self, word: Expression) -> Expression:
        """Return whether a text has a control character."""
        return exp.RegexpLike(this=word, expression=text(r"[\x00-\x1f\x7f]"))

    def is_text(self, cell: Expression) -> Expression:
        """Return whether the column of the cell is one of text."""
        return self.is_in(call("TYPEOF", cell), self.text_types)

    def number(self, cell: Expression, word: Expression, form: Mapping[str, Any]) -> Expression:
        """Return a cell, of this text, as a number; null or not finite where it is none."""
        typed = exp.TryCast(this=cell, to=exp.DataType.build("double"))
        of_text = self._parsed(word, form)
        return exp.Case().when(self.is_text(cell), of_text).else_(typed)

    def moment(
        self, cell: Expression, word: Expression, form: str | None, column: str
    ) -> Expression:
        """Return a cell as a moment without a zone; null where it is none."""
        return (
            exp.Case()
            .when(self.is_text(cell), self._parsed_moment(word, form, column))
            .when(*self._zoned(cell))
            .else_(exp.TryCast(this=cell, to=exp.DataType.build("timestamp")))
        )

    def _zoned(self, cell: Expression) -> tuple[Expression, Expression]:
        """Return whether a cell is a moment with a zone, and what it is without."""
        raise NotImplementedError

    def part(self, part: str, moment: Expression) -> Expression:
        """Return a part of a moment: year, month and weekday from 0, hour; null where it is."""
        unit = {"weekday": "ISODOW"}.get(part, part.upper())
        found = exp.Extract(this=exp.Var(this=unit), expression=moment)
        return exp.Sub(this=found, expression=integer(1)) if part in ("month", "weekday") else found

    def days(self, moment: Expression, reference: str) -> Expression:
        """Return the days since the reference, and parts of a day."""
        raise NotImplementedError

    def _parsed(self, word: Expression, form: Mapping[str, Any]) -> Expression:
        plain = word
        if form["thousands"] is not None:
            plain = exp.RegexpReplace(
                this=plain, expression=text(form["thousands"]), replacement=text("")
            )
        if form["decimal"] != ".":
            plain = call("REPLACE", plain, text(form["decimal"]), text("."))
        return exp.Case().when(self.matches(word, form["pattern"]), self._double_of(plain))

    def _double_of(self, word: Expression) -> Expression:
        return exp.TryCast(this=word, to=exp.DataType.build("double"))

    def _parsed_moment(self, word: Expression, form: str | None, column: str) -> Expression:
        if form is None:
            plain = exp.RegexpReplace(
                this=word, expression=text(f"{ZONE[:-1]}$"), replacement=text("")
            )
            is_written = self.matches(word, f"{DAY_OF}({TIME}{ZONE})?")
            moment: Expression = exp.Sub(
                this=exp.cast(plain, "timestamp"), expression=self._offset(word)
            )
        else:
            pattern, order = strptime_pattern(form, column, self.name)
            plain = exp.RegexpReplace(
                this=word, expression=text(f"^({pattern})$"), replacement=text(order)
            )
            is_written, moment = self.matches(word, pattern), exp.cast(plain, "timestamp")
        is_day = exp.and_(
            self.matches(plain, VALID),
            exp.not_(self.matches(plain, TOO_LONG)),
            exp.or_(exp.not_(self.matches(plain, LEAP_DAY)), self.matches(plain, LEAP)),
        )
        return exp.Case().when(exp.and_(is_written, is_day), moment)

    def _offset(self, word: Expression) -> Expression:
        """Return how far the zone of a text is from UTC."""

        def number(start: int, length: int) -> Expression:
            place = exp.Sub(this=call("LENGTH", word), expression=integer(start))
            return exp.cast(call("SUBSTR", word, place, integer(length)), "int")

        minutes = exp.Add(
            this=exp.Mul(this=number(4, 2), expression=integer(60)), expression=number(1, 2)
        )
        is_east, is_west = (
            exp.RegexpLike(this=word, expression=text(f"{sign}{CLOCK}$"))
            for sign in ("[+]", ":[0-9.:]*-")
        )
        found = (
            exp.Case()
            .when(is_east, minutes)
            .when(is_west, exp.Neg(this=exp.Paren(this=minutes.copy())))
            .else_(integer(0))
        )
        minute = exp.Interval(this=text("1"), unit=exp.Var(this="MINUTE"))
        return exp.Mul(this=found, expression=minute)


class DuckDB(Database):
    """DuckDB 1.0 and later."""

    name = "duckdb"
    row = "the row"  # no column of a table is likely to have its name
    has_whole_rows = True  # and LATERAL, which takes seconds to plan
    text_types = ("VARCHAR",)
    float_types = ("DOUBLE", "FLOAT")

    def is_in(self, value: Expression, texts: Sequence[str]) -> Expression:
        """Return whether a text is one of several; by IN it would be a join for each list."""
        ifs = [exp.If(this=text(each), true=exp.true()) for each in texts]
        return exp.Case(this=value, ifs=ifs, default=exp.false())

    def _zoned(self, cell: Expression) -> tuple[Expression, Expression]:
        """Return that a moment with a zone is none: a cast would take that of the session."""
        return self.is_in(call("TYPEOF", cell), ("TIMESTAMP WITH TIME ZONE",)), exp.null()

    def days(self, moment: Expression, reference: str) -> Expression:
        """Return the days since the reference, and parts of a day."""
        since = exp.Sub(
            this=call("EPOCH_US", moment), expression=exp.Literal.number(microseconds(reference))
        )
        return divided(exp.Paren(this=since), self.double(DAY * 1e6))


class Postgres(Database):
    """PostgreSQL 12 and later, where a cast that fails ends the query."""

    name = "postgres"
    text_types = ("text", "character varying", "character")

    def fenced(self, query: exp.Select) -> exp.Select:
        """Return a query that the planner does not dissolve in the one around it."""
        return query.offset(0)

    def double(self, value: float) -> Expression:
        """Return a number, which without a cast would be a decimal; the planner casts it once."""
        return exp.cast(super().double(value), "double")

    def is_text(self, cell: Expression) -> Expression:
        """Return whether the column of the cell is one of text."""
        return self._has_type(cell, self.text_types)

    def _has_type(self, cell: Expression, names: Sequence[str]) -> Expression:
        regtype = exp.DataType.build("regtype", udt=True)
        types = [exp.Cast(this=text(each), to=regtype) for each in names]
        return exp.In(this=call("PG_TYPEOF", cell), expressions=types)

    def _zoned(self, cell: Expression) -> tuple[Expression, Expression]:
        """Return whether a cell is a moment with a zone, and what it is in UTC."""
        in_utc = exp.AtTimeZone(this=exp.cast(cell, "timestamptz"), zone=text("UTC"))
        return self._has_type(cell, ("timestamp with time zone",)), in_utc

    def part(self, part: str, moment: Expression) -> Expression:
        """Return a part of a moment, which is a decimal, as a whole number."""
        return exp.cast(super().part(part, moment), "int")

    def days(self, moment: Expression, reference: str) -> Expression:
        """Return the days since the reference, and parts of a day."""
        epoch = exp.Extract(this=exp.Var(this="EPOCH"), expression=moment)
        since = exp.Sub(this=epoch, expression=self._seconds(reference))
        return divided(exp.cast(exp.Paren(this=since), "double"), self.double(DAY))

    def _seconds(self, reference: str) -> Expression:
        return exp.Literal.number(f"{microseconds(reference) / 1e6!r}")

    def _double_of(self, word: Expression) -> Expression:
        """Return the number of a text; where it might be too large or small, which is an error.

        Then it is taken as a decimal first.
        """
        is_extreme = exp.RegexpLike(this=word, expression=text("^.{100}|[eE][+-]?0*[1-9][0-9]{2}"))
        is_beyond = exp.RegexpLike(this=word, expression=text("[eE][+-]?0*[1-9][0-9]{3}"))
        size = exp.Abs(this=exp.cast(word, "decimal"))
        of_decimal = (
            exp.Case()
            .when(exp.GT(this=size, expression=exp.Literal.number("1e308")), exp.null())
            .when(
                exp.LT(this=size.copy(), expression=exp.Literal.number("1e-300")), self.double(0.0)
            )
            .else_(exp.cast(word, "double"))
        )
        is_large = exp.RegexpLike(this=word, expression=text("[eE][+]?[0-9]"))
        of_beyond = exp.Case().when(is_large, exp.null()).else_(self.double(0.0))
        return (
            exp.Case()
            .when(is_beyond, of_beyond)
            .when(is_extreme, of_decimal)
            .else_(exp.cast(word, "double"))
        )
