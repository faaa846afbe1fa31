"""A model becomes one SQL query: the probability, the decision, or why a row breaks its contract.

It is built as a tree and written by sqlglot: no name and no word is ever pasted into a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from pipeline.errors import ConfigError
from pipeline.serving.compiled import compile_model
from pipeline.serving.sql_columns import CELLS, COLUMNS, Attribute, Fault
from pipeline.serving.sql_databases import Database, call, clamped, divided, text
from pipeline.serving.sql_sqlite import DATABASES
from pipeline.serving.sql_terms import TERMS, scaled, scaled_name
from pipeline.stages.predict import DECISION, PROBABILITY, REASON, RESULTS, Model
from pipeline.text import listed

DEPTH = 60  # of an expression, which SQLite and the writer of sqlglot limit
FLAT = 700.0  # a logit beyond has a probability of 0 or 1, and EXP of it might be an error
Expression = exp.Expr


def to_sql(model: Model, dialect: str, table: str) -> str:
    """Return the query that scores every row of a table.

    It gives the columns of the table and three more: ``probability`` of class 1, ``decision`` 0 or
    1, and ``reason``, which is null, or says why the row breaks the contract: then the others are
    null.

    Raises
    ------
    ConfigError
        If the dialect is unknown or lacks what the model needs, the table has no name of one, or
        a column of the contract has the name of a result.
    """
    if dialect not in DATABASES:
        raise ConfigError(f"DIALECT must be one of {', '.join(DATABASES)}; got {dialect!r}")
    taken = [name for name in RESULTS if name in {*model.data.columns, model.data.target.name}]
    if taken:
        raise ConfigError(
            f"columns of the contract must not be named as what the query adds; got "
            f"{listed(taken)}: rename them in the table and its contract, and train again"
        )
    database = DATABASES[dialect]
    source = _table(table, dialect)
    query = _query(compile_model(model), database, source)
    return query.sql(dialect=dialect, pretty=True, comments=False)


def _table(name: str, dialect: str) -> exp.Table:
    try:
        found = exp.to_table(name, dialect=dialect)
    except (ParseError, TokenError):
        found = exp.Table()
    parts = [part for part in found.args.values() if part]
    if not parts or not all(isinstance(p, exp.Identifier) for p in parts) or found.comments:
        raise ConfigError(f"TABLE must be the name of a table, as rows or shop.rows; got {name!r}")
    return found


def _query(model: Mapping[str, Any], database: Database, source: exp.Table) -> exp.Select:
    probability = _result(PROBABILITY)
    is_positive = exp.GTE(this=probability, expression=database.double(model["threshold"]))
    decision = (
        exp.Case()
        .when(is_positive, exp.Literal.number(1))
        .when(exp.not_(_result(PROBABILITY).is_(exp.null())), exp.Literal.number(0))
    )
    results = {PROBABILITY: probability, DECISION: decision, REASON: _result(REASON)}
    named = [exp.alias_(each, name) for name, each in results.items()]
    rows_of: exp.Expr = exp.alias_(source, exp.to_identifier(database.row), table=True)
    if database.has_whole_rows:
        row = call("UNNEST", exp.column(exp.to_identifier(database.row), table=CELLS))
        return exp.select(row, *named).from_(_scored(model, database, rows_of).subquery(CELLS))
    scored = _scored(model, database)
    rows = exp.select(exp.Column(this=exp.Star(), table=exp.to_identifier(database.row)))
    rows = rows.from_(rows_of)
    if database.has_lateral:
        return rows.select(*named).join(
            exp.Lateral(
                this=scored.subquery(), alias=exp.TableAlias(this=exp.to_identifier(CELLS))
            ),
            join_type="cross",
        )
    selects = {
        name: exp.select(each).from_(scored.subquery(CELLS)) for name, each in results.items()
    }
    return rows.select(*(exp.alias_(each.subquery(), name) for name, each in selects.items()))


def _result(name: str) -> Expression:
    return exp.column(name, table=CELLS)


def _scored(
    model: Mapping[str, Any], database: Database, source: exp.Expr | None = None
) -> exp.Select:
    """Return the select of reason and probability of a row, step by step: none is taken twice."""
    columns = {
        name: COLUMNS[column["kind"]](name, column, model, database)
        for name, column in model["columns"].items()
    }
    attributes = {name: a for column in columns.values() for name, a in column.attributes()}
    curves = {
        scaled_name(term): scaled(term, attributes[term["attribute"]], database)
        for term in model["terms"]
        if "knots" in term
    }
    faults = [fault for column in columns.values() for fault in column.faults()]
    p = exp.Case().when(
        _result(REASON).is_(exp.null()), _sigmoid(_logit(model, attributes, database), database)
    )
    bindings = [
        binding
        for name, column in columns.items()
        for binding in column.bindings(_cell(name, database))
    ]
    names = [database.row, *(name for name, _ in bindings), *curves]
    if twice := sorted(name for name, n in Counter(names).items() if n > 1):
        raise ConfigError(
            f"columns of the contract must not be named as steps of the query; got {listed(twice)}:"
            " rename them in the table and its contract, and train again"
        )
    steps: list[dict[str, Expression]] = [
        dict(bindings),
        curves,
        {REASON: _reason(faults)},
        {PROBABILITY: p},
    ]
    found = exp.Select()
    if source is not None:
        row = exp.column(exp.to_identifier(database.row))
        steps[0] = {database.row: row, **steps[0]}
    for step in filter(None, steps):
        before = found
        found = exp.select(*(exp.alias_(value, name, quoted=True) for name, value in step.items()))
        if before.selects:
            star = exp.Column(this=exp.Star(), table=exp.to_identifier(CELLS))
            found = found.select(star).from_(before.subquery(CELLS))
        elif source is not None:
            found = found.from_(source)
        found = database.fenced(found)
    return found


def _cell(name: str, database: Database) -> exp.Column:
    """Return a cell, qualified: SQLite takes a name of no column for a text."""
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(database.row))


def _logit(
    model: Mapping[str, Any], attributes: Mapping[str, Attribute], database: Database
) -> Expression:
    terms = (TERMS[term["kind"]](term, attributes, database) for term in model["terms"])
    return _chained(exp.Add, [database.double(model["bias"]), *terms])


def _chained(operator: type[exp.Binary], values: list[Expression]) -> Expression:
    """Return the values joined from the first to the last, in groups: depth is bounded."""
    if len(values) > DEPTH:
        groups = (values[at : at + DEPTH] for at in range(0, len(values), DEPTH))
        values = [exp.Paren(this=_chained(operator, group)) for group in groups]
        return _chained(operator, values)
    return reduce(lambda one, two: operator(this=one, expression=two), values)


def _reason(faults: Sequence[Fault]) -> Expression:
    """Return what is said of all faults, null where there is none."""
    joint = "; and "
    texts: list[Expression] = [
        exp.Case().when(fault.is_broken, text(joint + fault.text)).else_(text(""))
        for fault in faults
    ]
    joined = _chained(exp.DPipe, texts)
    start = exp.Literal.number(len(joint) + 1)
    return exp.Nullif(
        this=exp.Substring(this=exp.Paren(this=joined), start=start), expression=text("")
    )


def _sigmoid(z: Expression, database: Database) -> Expression:
    minus = clamped(exp.Neg(this=exp.Paren(this=z)), database.double(FLAT))
    below = exp.Add(this=database.double(1.0), expression=exp.Exp(this=minus))
    return divided(database.double(1.0), exp.Paren(this=below))
