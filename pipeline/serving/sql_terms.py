"""What an attribute adds to the log-odds, as SQL: a weight, a straight line, or a curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from pipeline.serving.sql_columns import Attribute, bound
from pipeline.serving.sql_databases import Database, clamped, divided

FARTHEST = 1e100  # deviations: with more a logit might overflow
SCALED = ", scaled"
Attributes = Mapping[str, Attribute]
Expression = exp.Expr


def words_term(term: Mapping[str, Any], attributes: Attributes, database: Database) -> Expression:
    """Return the weight of the row's category, or of its combination of categories."""
    zero = database.double(0.0)
    options = [database.double(weight) for weight in term["weights"]]
    for part, size in zip(reversed(term["parts"]), reversed(term["sizes"]), strict=True):
        attribute = attributes[part["attribute"]]
        groups = [options[at : at + size] for at in range(0, len(options), size)]
        choose = _binned(attribute, part, database) if "edges" in part else attribute.choose
        options = [choose(group, zero) for group in groups]
    (found,) = options
    return found


def _binned(
    attribute: Attribute, part: Mapping[str, Any], database: Database
) -> Callable[[list[Expression], Expression], Expression]:
    *codes, missing = part["codes"]

    def choose(options: list[Expression], default: Expression) -> Expression:
        def option(code: int) -> Expression:
            return (options[code] if code >= 0 else default).copy()

        cases: list[tuple[Expression, int]] = [
            (exp.LT(this=attribute.number, expression=database.double(edge)), code)
            for edge, code in zip(part["edges"], codes, strict=False)
        ]
        if attribute.is_known is not None:
            cases.insert(0, (_unknown(attribute.is_known), missing))
        ifs = [exp.If(this=condition, true=option(code)) for condition, code in cases]
        last = option(codes[-1])
        return exp.Case(ifs=ifs, default=last) if ifs else last

    return choose


def line_term(term: Mapping[str, Any], attributes: Attributes, database: Database) -> Expression:
    """Return the weight of a number in deviations from the mean, plus the bends of a curve."""
    attribute = attributes[term["attribute"]]
    weight = database.double(term["weight"])
    is_curve = "knots" in term
    z = bound(scaled_name(term)) if is_curve else scaled(term, attribute, database)
    found: Expression = exp.Mul(this=weight, expression=z)
    if is_curve:
        found = exp.Add(this=found, expression=_curve(term, database))
    if attribute.is_known is None:
        return found
    is_missing = _unknown(attribute.is_known)
    return exp.Case().when(is_missing, database.double(term["missing"])).else_(found)


def scaled_name(term: Mapping[str, Any]) -> str:
    """Return the name of a number in deviations, which a curve needs often."""
    return f"{term['attribute']}{SCALED}"


def scaled(term: Mapping[str, Any], attribute: Attribute, database: Database) -> Expression:
    """Return the number in deviations; clamped before it is divided: an overflow is an error."""
    if term["deviation"] == 0:
        return database.double(0.0)
    difference: Expression = attribute.number
    for shift in (term["mean"], term["rest"]):
        if shift:
            difference = exp.Sub(this=difference, expression=database.double(shift))
    most = FARTHEST * term["deviation"]
    if most < 2 * FARTHEST + abs(term["mean"]):
        difference = clamped(difference, database.double(most))
    return exp.Paren(this=divided(exp.Paren(this=difference), database.double(term["deviation"])))


def _curve(term: Mapping[str, Any], database: Database) -> Expression:
    """Return the piece between two knots, by Horner's rule from its origin."""
    z = bound(scaled_name(term))

    def piece(start: float, *coefficients: float) -> Expression:
        t = exp.Paren(this=exp.Sub(this=z.copy(), expression=database.double(start)))
        needed = max((i for i, c in enumerate(coefficients) if c), default=0)
        found: Expression = database.double(coefficients[needed])
        for coefficient in reversed(coefficients[:needed]):
            product = exp.Mul(this=t.copy(), expression=exp.Paren(this=found))
            found = exp.Add(this=database.double(coefficient), expression=product)
        return found

    *pieces, last = (piece(*numbers) for numbers in term["pieces"])
    found = exp.Case()
    for knot, each in zip(term["knots"], pieces, strict=True):
        is_below = exp.LT(this=z.copy(), expression=database.double(knot))
        found = found.when(is_below, each)
    return found.else_(last)


def _unknown(is_known: Expression) -> Expression:
    """Return whether it is false or null."""
    return exp.not_(exp.Coalesce(this=is_known, expressions=[exp.false()]))


TERMS: dict[str, Callable[[Mapping[str, Any], Attributes, Database], Expression]] = {
    "words": words_term, "line": line_term, "curve": line_term,
}  # fmt: skip
