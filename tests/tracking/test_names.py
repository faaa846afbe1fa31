"""Names and values arrive in MLflow unharmed, reversibly, and no two of them as one."""

import itertools
import re

import pytest

from pipeline.errors import ConfigError
from pipeline.text import canonical, flatten
from pipeline.tracking.names import (
    MAX_NAME,
    MAX_PARAM,
    MAX_RUN_NAME,
    grouped_name,
    run_name,
    safe_name,
    safe_names,
    safe_value,
)

REFUSED_CHARACTERS = [chr(i) for i in range(0x80) if not (chr(i).isalnum() or chr(i) in "/_.- :")]


def original_name(name: str) -> str:
    """The name that ``safe_name`` was given, unless it was shortened: the oracle."""
    return re.sub(
        "_x([0-9a-f]*)_", lambda found: chr(int(found[1] or "0", 16)) if found[1] else "", name
    )


@pytest.mark.parametrize("character", [*REFUSED_CHARACTERS, "\ud800", "€", "²́", "\u2028"])
def test_character_that_mlflow_refuses_in_a_name_is_mapped_and_read_back(character):
    """F01: MLflow's own check is the oracle."""
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    for name in (f"a{character}b", character, f"{character}{character}"):
        mapped = safe_name(name)
        _validate_metric_name(mapped)
        _validate_param_name(mapped)
        assert original_name(mapped) == name


@pytest.mark.parametrize(
    "name",
    ["", "/", "//", "/a", "a/", "a//b", ".", "..", "...", "./a", "../a", "a/./b", "a/../b", "..a",
     "a/.", "a/..", ".a", "a.", "a/.b", "_x3d_", "max_x", "__x", "_x_", "a_", "_", "a=_x", "日本"],
)  # fmt: skip
def test_name_that_would_be_another_path_or_an_escape_is_mapped_and_read_back(name):
    """F01."""
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(safe_name(name))
    assert original_name(safe_name(name)) == name


def test_mapping_of_names_is_reversible_and_valid_for_words_of_all_dangerous_letters():
    """F01: 5,461 names, none of them alike."""
    from mlflow.utils.validation import _validate_metric_name

    names = ["".join(w) for n in range(7) for w in itertools.product("_x/.", repeat=n)]
    mapped = [safe_name(name) for name in names]
    for name, new in zip(names, mapped, strict=True):
        _validate_metric_name(new)
        assert original_name(new) == name
    assert len(set(mapped)) == len(names)


def test_ordinary_name_stays_as_it_is():
    """F01: also with letters of any language (F12)."""
    for name in ("train/best_cost", "optimiser.learning_rate", "a b-c:d", "größe/価格"):
        assert safe_name(name) == name


def test_long_name_is_shortened_with_a_hash_of_the_whole():
    """F02."""
    a, b = "n" * 400 + "a", "n" * 400 + "b"
    assert len(safe_name(a)) == MAX_NAME
    assert safe_name(a) != safe_name(b)
    assert safe_name(a) == safe_name(a)
    assert safe_name("n" * 250) == "n" * 250


def test_two_names_that_would_be_one_are_refused():
    """F03."""
    pairs = flatten({"a": {"b": 1}, "a.b": 2})
    with pytest.raises(ConfigError, match=r"got \['a\.b', 'a\.b'\], each 'a\.b'"):
        safe_names([name for name, _ in pairs])
    safe_names(["a=b", "a_x3d_b", "a b"])  # the control: nearly alike


def test_long_value_is_a_hash_and_where_to_find_the_whole():
    """F04."""
    long = "v" * (MAX_PARAM + 1)
    assert safe_value(long, MAX_PARAM).startswith("sha256:")
    assert "config.yaml" in safe_value(long, MAX_PARAM)
    assert safe_value(long[1:], MAX_PARAM) == long[1:]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\0b", "a\\x00b"), ("a\ud800b", "a\\ud800b"), ("a\r\nb", "a\\r\\nb"), ("\u2028", "\\u2028"),
     ("naïve ✓", "naïve ✓"), ("C:\\new", "C:\\new")],
)  # fmt: skip
def test_characters_that_hang_or_break_a_store_are_written_out(text, shown):
    """F05."""
    assert safe_value(text, MAX_PARAM) == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [(float("1e-1"), "0.1"), (float("0.00000001"), "1e-08"), (float("1e-8"), "1e-08"), (1.0, "1.0"),
     (3, "3"), (True, "true"), (None, "null"), ("x", "x"), (["é", 1], '["é", 1]'), ({}, "{}")],
)  # fmt: skip
def test_value_has_one_text_however_it_was_typed(value, text):
    """F09."""
    assert canonical(value) == text


# --- names of metrics and runs ---------------------------------------------------------------


def test_the_page_groups_the_figures_and_curves_and_has_the_rest_at_its_end():
    """MLflow's rule: what stands before the last "/" is a heading; none is the last one."""
    names = [
        "train/loss", "valid/loss", "test/log_loss", "test/baseline_log_loss", "test/accuracy",
        "not_held_out/accuracy", "test/accuracy_low", "certificate/gap", "importance/safety",
        "importance/income/year", "rows/train", "l2", "train/best_loss", "sweep/tied",
    ]  # fmt: skip
    grouped = [grouped_name(name) for name in names]
    headings = {name.rpartition("/")[0] for name in grouped} - {""}
    assert headings == {"not_held_out", "test", "train", "valid"}
    assert {"train/loss", "valid/loss", "test/log_loss", "train/best_loss", "l2"} < set(grouped)
    assert {"certificate.gap", "importance.income_x2f_year", "rows.train"} < set(grouped)


def test_metrics_that_are_different_stay_different_on_the_page():
    pieces = ("a", "/", "_", ".", "x2f", "_x2f_", "_x5f_")
    texts = {"".join(some) for n in (1, 2, 3) for some in itertools.product(pieces, repeat=n)}
    names = [f"{group}/{text}" for group in ("importance", "rows") for text in sorted(texts)]
    assert len(names) > 600
    assert len({grouped_name(new) for new in safe_names(names).values()}) == len(names)


@pytest.mark.parametrize(
    ("words", "axes", "name"),
    [
        ("encode=crosses optimiser=momentum optimiser.learning_rate=1.0 seed=0 experiment=o",
         "encode optimiser optimiser.learning_rate seed", "crosses · momentum · lr 1 · seed 0"),
        ("seed=3 train.l2=0.00010 data=breast_cancer", "", "breast_cancer · l2 0.0001 · seed 3"),
        ("experiment=article", "", "article"),
        ("split.seed=2 seed=1 split=folds", "seed split.seed", "split seed 2 · seed 1"),
        ("a.rate=1 b.rate=2", "", "a rate 1 · b rate 2"),
        ("+train.epochs=1_000 'train.patience=\"5\"'", "", "epochs 1000 · patience 5"),
        ("", "", "car momentum 1a2b3c4d"),
        ("train.note=a\x1b[31m", "", "note a\\x1b[31m"),
    ],
)  # fmt: skip
def test_name_of_a_run_says_what_varies_first_and_short(words, axes, name):
    assert run_name(words.split(), axes.split(), "car momentum 1a2b3c4d").startswith(name)


def test_name_of_a_run_has_sixty_characters_at_most_and_keeps_the_seed():
    words = [*(f"train.setting_{i}={'v' * 99}" for i in range(9)), "seed=12"]
    found = {run_name([*words[:-1], f"seed={i}"], (), "x") for i in range(20)}
    assert len(found) == 20
    assert max(map(len, found)) == MAX_RUN_NAME == 60
