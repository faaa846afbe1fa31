"""How a table is written down: what turns the bytes of its file into named columns of cells."""

import codecs
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.config.strict import Settings, Texts, require

BLANKS = " \t\r\n\v\f\u00a0\u2007\u202f\u3000\ufeff"  # what strip takes away, and names never keep
MISSING_VALUES = ("", "?", "NA", "N/A", "NaN", "nan", "null", "None")  # in every contract
SYMBOLS = {  # a shell takes quotes away, and hands on a tab as a backslash and a t
    "comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "point": ".",
    "space": " ", "apostrophe": "'", "hash": "#", "quote": '"',
}  # fmt: skip
NO_FILE = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf_7"}


def once_each(names: Sequence[str], place: str = "") -> Sequence[str]:
    """Return the names; raise ValueError if one is there twice."""
    require(len({*names}) == len(names), f"{place} must hold each name once; got {[*names]}")
    return names


def is_utf8(encoding: str) -> bool:
    """Return whether an encoding is UTF-8, with or without a byte order mark."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _encoding(name: str) -> str:
    """Return the name of an encoding of text that Python has."""
    rule = f" must be an encoding, as utf-8, latin-1, cp1252 or utf-16; got {name!r}"
    try:
        "a".encode(name)
    except (LookupError, ValueError):
        raise ValueError(rule) from None
    require(name.lower().replace("-", "_") not in NO_FILE, rule)
    return name


def _symbol(value: object) -> object:
    """Return the character that the word for it means."""
    return SYMBOLS.get(value, value) if isinstance(value, str) else value


def _texts(values: object) -> object:
    """Return a list with its numbers as text: YAML and Hydra read -999 as one."""
    if not isinstance(values, list | tuple):
        return values
    is_number = (int, float)
    return [str(v) if isinstance(v, is_number) and not isinstance(v, bool) else v for v in values]


Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[Texts, AfterValidator(once_each)]
Encoding = Annotated[str, AfterValidator(_encoding)]
# blanks: any run of spaces and tabs
Delimiter = Annotated[str, BeforeValidator(_symbol), Field(pattern=r"^([^\r\n\x00]|blanks)$")]
Quote = Annotated[str, BeforeValidator(_symbol), Field(pattern=r"^[^\r\n\x00\s]$")]
Comment = Annotated[str, BeforeValidator(_symbol), Field(pattern=r"^[^\r\n\x00\s\"]{1,5}$")]
Decimal = Annotated[Literal[".", ","], BeforeValidator(_symbol)]
Thousands = Annotated[Literal[",", ".", " ", "'", "_"], BeforeValidator(_symbol)]
Marks = Annotated[Texts, BeforeValidator(_texts)]
Line = Annotated[int, Field(ge=1)]


class FileSettings(Settings):
    """The form of a file; the same for the rows to learn from and the rows to predict."""

    encoding: Encoding = "utf-8"
    delimiter: Delimiter = ","
    quote: Quote | None = '"'  # null: a quote is a character like any other
    comment: Comment | None = None  # a line that begins with it is skipped
    skip_rows: Annotated[int, Field(ge=0)] = 0  # lines at the top that are no part of the table
    header: bool | Line | None = None  # n: line n is it; null: there is one unless names are given
    names: Names | None = None  # null: the header holds them
    strip: bool = False  # take away blanks around cells
    decimal: Decimal = "."
    thousands: Thousands | None = None
    missing_values: Marks = ()  # besides MISSING_VALUES; as numbers where the column is numeric
    rest: Literal["refuse", "ignored"] = "refuse"  # columns that the contract does not name

    @property
    def has_header(self) -> bool:
        """Whether the first record is no row but a header."""
        return self.names is None if self.header is None else bool(self.header)

    @property
    def first_line(self) -> int:
        """The line at which the table begins, from 1."""
        is_line = isinstance(self.header, int) and not isinstance(self.header, bool)
        return int(self.header or 1) if is_line else self.skip_rows + 1

    @property
    def is_plain(self) -> bool:
        """Whether every reader of CSV reads such a file alike."""
        whole = self.first_line == 1 and self.comment is None
        return whole and is_utf8(self.encoding) and self.quote == '"' and self.delimiter != "blanks"

    @property
    def missing(self) -> tuple[str, ...]:
        """Every text that stands for a missing value."""
        return (*MISSING_VALUES, *self.missing_values)

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        signs = [sign for sign in (self.delimiter, self.quote, self.comment) if sign]
        require(
            len({*signs}) == len(signs),
            f".delimiter, quote and comment must differ; got {signs}",
        )
        require(
            self.decimal != self.thousands,
            f".thousands must differ from decimal, or be null; got {self.thousands!r} for both",
        )
        require(
            self.header is not False or self.names is not None,
            ".names must be given where header is false; got null",
        )
        require(
            self.skip_rows == 0 or self.first_line == self.skip_rows + 1,
            f".skip_rows must be 0 where header is a line; got {self.skip_rows}",
        )
        return self
