"""Columns of a table as SQL: the rules that their cells must keep, and the attributes they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlglot import exp

from pipeline.config.file_settings import BLANKS
from pipeline.serving.sql_databases import Database, integer, text

WHOLE = re.compile(r"-?[0-9]+")
CELLS = "cells"  # the select that has what was computed once
RAW = ", cell"
FINITE = 1.7976931348623157e308
Expression = exp.Expr
Options = Sequence[Expression]


def bound(name: str) -> exp.Column:
    """Return a value that was computed once."""
    return exp.column(exp.to_identifier(name, quoted=True), table=CELLS)


class Fault(NamedTuple):
    """When a row breaks a rule (true; else false or null), and what is said of it."""

    is_broken: Expression
    text: str


class Attribute:
    """What a term sees of a column: a choice among codes, or a number."""

    def choose(self, options: Options, default: Expression) -> Expression:
        """Return the option at the code of the row, the default where it has none."""
        raise NotImplementedError

    @property
    def number(self) -> Expression:
        """The number."""
        raise NotImplementedError

    @property
    def is_known(self) -> Expression | None:
        """Whether there is a number; None where there always is."""
        raise NotImplementedError


class Column:
    """A column of the table.

    ``bindings`` are what is computed of a cell once, by name; all else is made of them.
    """

    def __init__(
        self, name: str, column: Mapping[str, Any], model: Mapping[str, Any], database: Database
    ) -> None:
        self.name, self.column, self.database = name, column, database
        self.strip = model["strip"]

    def bindings(self, cell: Expression) -> Iterator[tuple[str, Expression]]:
        """Yield the name and the value of what is computed of the cell of a row."""
        raise NotImplementedError

    def word_of(self, cell: Expression, *, may_be_whole: bool = False) -> Expression:
        """Return the text of the cell."""
        word = self.database.word(cell, may_be_whole=may_be_whole)
        return exp.Trim(this=word, expression=text(BLANKS)) if self.strip else word

    def attributes(self) -> Iterator[tuple[str, Attribute]]:
        """Yield the attributes that the column is."""
        raise NotImplementedError

    def faults(self) -> Iterator[Fault]:
        """Yield the rules in the order of the contract."""
        raise NotImplementedError

    def fault(self, is_broken: Expression, rule: str) -> Fault:
        """Return a rule of the column."""
        return Fault(is_broken, f"column {self.name} {rule}")

    @property
    def is_mark(self) -> Expression:
        """Whether the cell holds what stands for a missing value."""
        return self.database.is_in(self.word_of(bound(f"{self.name}{RAW}")), self.column["marks"])


class Words(Column, Attribute):
    """A column of words, each of which has a code or breaks a rule."""

    @property
    def word(self) -> Expression:
        """The word."""
        return bound(self.name)

    def bindings(self, cell: Expression) -> Iterator[tuple[str, Expression]]:
        """Yield the word."""
        words = (*self.column["exact"], *(self.column["folded"] or ()))
        yield self.name, self.word_of(cell, may_be_whole=any(map(WHOLE.fullmatch, words)))

    def attributes(self) -> Iterator[tuple[str, Attribute]]:
        """Yield the attribute."""
        yield self.name, self

    def faults(self) -> Iterator[Fault]:
        """Yield the rules of words that are listed, and of all others."""
        exact, other = self.column["exact"], self.column["other"]
        is_other = [exp.not_(self.database.is_in(self.word, [*exact]))]
        if plain := self.column["plain"]:
            is_bad = self.database.has_control(self.word)
            yield self.fault(exp.and_(*is_other, is_bad), plain)
        for rule in dict.fromkeys(r for r in exact.values() if isinstance(r, str)):
            words = [word for word, verdict in exact.items() if verdict == rule]
            yield self.fault(self.database.is_in(self.word, words), rule)
        if isinstance(other, str):
            if folded := self.column["folded"]:
                is_other.append(exp.not_(self.database.is_in(exp.Lower(this=self.word), [*folded])))
            yield self.fault(exp.and_(*is_other), other)

    def choose(self, options: Options, default: Expression) -> Expression:
        """Return the option of the word."""
        other = self.column["other"]
        rest = default
        if isinstance(other, int) and other >= 0:
            rest = options[other]
        if folded := self.column["folded"]:
            rest = _cases(exp.Lower(this=self.word), folded, options, rest)
        return _cases(self.word, self.column["exact"], options, rest, default)


def _cases(
    value: Expression,
    codes: Mapping[str, int | str],
    options: Options,
    rest: Expression,
    default: Expression | None = None,
) -> Expression:
    """Return the option at the code of a text; a word that breaks a rule needs none."""
    default = rest if default is None else default
    ifs = [
        exp.If(this=text(word), true=(options[code] if code >= 0 else default).copy())
        for word, code in codes.items()
        if isinstance(code, int)
    ]
    return exp.Case(this=value, ifs=ifs, default=rest.copy()) if ifs else rest.copy()


class Number(Column, Attribute):
    """A column of numbers."""

    def attributes(self) -> Iterator[tuple[str, Attribute]]:
        """Yield the attribute."""
        yield self.name, self

    def bindings(self, cell: Expression) -> Iterator[tuple[str, Expression]]:
        """Yield the cell, and it as a number; null or not finite where it is none."""
        yield f"{self.name}{RAW}", cell
        yield self.name, self.database.number(cell, self.word_of(cell), self.column["form"])

    @property
    def number(self) -> Expression:
        """The cell as a number; null or not finite where it is none."""
        return bound(self.name)

    @property
    def is_finite(self) -> Expression:
        """Whether the cell is a number: false or null where it is none."""
        most = self.database.double(FINITE)
        return exp.Between(this=self.number, low=exp.Neg(this=most), high=most.copy())

    @property
    def is_known(self) -> Expression | None:
        """Whether the cell is a number that does not stand for a missing value."""
        if self.column["missing"] is not None:
            return None
        return self._is_value()

    def _is_value(self) -> Expression:
        if not self.column["numbers"]:
            return self.is_finite
        return exp.and_(self.is_finite, exp.not_(self._is_sentinel()))

    def _is_sentinel(self) -> Expression:
        numbers = [self.database.double(number) for number in self.column["numbers"]]
        return exp.In(this=self.number, expressions=numbers)

    def _unless_finite(self, value: Expression, is_broken: Expression) -> Expression:
        """Return one condition where the cell is a number, and another where it is not."""
        return exp.Case().when(self.is_finite, value).else_(is_broken)

    def faults(self) -> Iterator[Fault]:
        """Yield the rules: not missing, a number, in bounds."""
        if rule := self.column["missing"]:
            is_sentinel = self._is_sentinel() if self.column["numbers"] else exp.false()
            yield self.fault(self._unless_finite(is_sentinel, self.is_mark), rule)
        no_number = self._unless_finite(exp.false(), exp.not_(self.is_mark))
        yield self.fault(no_number, self.column["number"])
        for bound in self.column["bounds"]:
            off = [
                kind(this=self.number, expression=self.database.double(bound[end]))
                for kind, end in ((exp.LT, "low"), (exp.GT, "high"))
                if bound[end] is not None
            ]
            yield self.fault(exp.and_(self._is_value(), exp.or_(*off)), bound["rule"])


class Date(Column):
    """A column of dates."""

    def bindings(self, cell: Expression) -> Iterator[tuple[str, Expression]]:
        """Yield the cell, and it as a moment; null where it is none."""
        form = self.column["format"]
        yield f"{self.name}{RAW}", cell
        yield self.name, self.database.moment(cell, self.word_of(cell), form, self.name)

    @property
    def moment(self) -> Expression:
        """The moment; null where there is none."""
        return bound(self.name)

    def attributes(self) -> Iterator[tuple[str, Attribute]]:
        """Yield the parts of a date that are attributes."""
        for part, spec in self.column["parts"].items():
            yield f"{self.name}.{part}", _Part(self, part, spec)

    def faults(self) -> Iterator[Fault]:
        """Yield the rules: not missing, a date."""
        if rule := self.column["missing"]:
            yield self.fault(self.is_mark, rule)
        no_date = exp.and_(self.moment.is_(exp.null()), exp.not_(self.is_mark))
        yield self.fault(no_date, self.column["date"])


class _Part(Attribute):
    """A part of a date: a number of days, a year, or a code."""

    def __init__(self, date: Date, part: str, spec: Mapping[str, Any]) -> None:
        self.date, self.part, self.spec = date, part, spec

    @property
    def number(self) -> Expression:
        """Days since the reference, or the year."""
        database, moment = self.date.database, self.date.moment
        if self.part == "days":
            return database.days(moment, self.spec["reference"])
        return exp.cast(database.part(self.part, moment), "double")

    @property
    def is_known(self) -> Expression | None:
        """Whether there is a date."""
        if self.date.column["missing"] is not None:
            return None
        return exp.not_(self.date.moment.is_(exp.null()))

    def choose(self, options: Options, default: Expression) -> Expression:
        """Return the option of the month, weekday or hour."""
        missing = self.spec["missing"]
        rest = options[missing] if missing >= 0 else default
        ifs = [
            exp.If(this=integer(i), true=(options[code] if code >= 0 else default).copy())
            for i, code in enumerate(self.spec["codes"])
        ]
        value = self.date.database.part(self.part, self.date.moment)
        return exp.Case(this=value, ifs=ifs, default=rest.copy())


COLUMNS: dict[str, Callable[..., Column]] = {"words": Words, "number": Number, "date": Date}
