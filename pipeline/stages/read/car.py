"""The Car Evaluation table, regenerated from the decision model that it was derived from.

M. Bohanec and V. Rajkovic, "Knowledge acquisition and explanation for multi-attribute decision
making", 8th International Workshop on Expert Systems and their Applications, Avignon 1988.
UCI Machine Learning Repository, doi 10.24432/C5JP48, CC BY 4.0.

A car's class follows from two intermediate concepts, PRICE and TECH, and TECH in turn from COMFORT
and safety. One neuron sees only the six attributes: what it cannot say with 21 weights, and can say
when attributes are joined along these concepts, is the story of ``experiment=crosses``.
"""

import hashlib
import itertools

SHA256 = "b703a9ac69f11e64ce8c223c0a40de4d2e9d769f7fb20be5f8f2e8a619893d83"  # the published file's

# Values from the first to the last of each attribute; in the file the last changes fastest.
ATTRIBUTES = {
    "buying": ("vhigh", "high", "med", "low"),
    "maint": ("vhigh", "high", "med", "low"),
    "doors": ("2", "3", "4", "5more"),
    "persons": ("2", "4", "more"),
    "lug_boot": ("small", "med", "big"),
    "safety": ("low", "med", "high"),
}

# Ranks go from the worst, 0; rows and digits follow the order of the values above.
PRICE = ("0011", "0111", "1123", "1233")  # by buying, then maint
COMFORT = (  # by doors, then persons, then lug_boot
    ("000", "112", "012"),
    ("000", "112", "122"),
    ("000", "122", "122"),
    ("000", "122", "122"),
)
TECH = ("000", "012", "023")  # by comfort, then safety
CAR = (  # by price, then tech
    ("unacc", "unacc", "unacc", "unacc"),
    ("unacc", "unacc", "acc", "acc"),
    ("unacc", "acc", "acc", "vgood"),
    ("unacc", "acc", "good", "vgood"),
)


def rows() -> list[tuple[str, ...]]:
    """Return all 1,728 cars in the order of the file: six attributes and the class."""
    ranks = itertools.product(*(range(len(values)) for values in ATTRIBUTES.values()))
    cars = itertools.product(*ATTRIBUTES.values())
    return [(*car, _class(*rank)) for car, rank in zip(cars, ranks, strict=True)]


def content() -> bytes:
    """Return the file, byte by byte as published; AssertionError where the model was changed."""
    text = "".join(",".join(row) + "\n" for row in rows()).encode()
    digest = hashlib.sha256(text).hexdigest()
    if digest != SHA256:
        raise AssertionError(f"car.data must have sha256 {SHA256}; got {digest}")
    return text


def _class(buying: int, maint: int, doors: int, persons: int, lug_boot: int, safety: int) -> str:
    comfort = int(COMFORT[doors][persons][lug_boot])
    return CAR[int(PRICE[buying][maint])][int(TECH[comfort][safety])]
