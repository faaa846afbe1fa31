"""Text for people is bounded, counted and escaped; what passes through redact holds no secret."""

import pytest

from pipeline import text
from pipeline.text import redact, redact_tree

SECRET = "hunter2-Tr0ub4dor"

# --- secrets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["API_TOKEN", "DB_PASSWORD", "client_secret", "AWS_SECRET_ACCESS_KEY", "CREDENTIALS"]
)
def test_value_of_an_environment_variable_that_sounds_secret_is_masked(name, monkeypatch):
    """H04: planted in the environment, under each kind of name."""
    assert SECRET in redact(f"cannot log in with {SECRET}")  # the control: nothing planted yet
    monkeypatch.setenv(name, SECRET)
    assert redact(f"cannot log in with {SECRET}!") == "cannot log in with ***!"


@pytest.mark.parametrize(
    ("name", "value"),
    [("ONEURON_COLOUR", "turquoise"), ("API_TOKEN", "false")],
    ids=["a name that hints at nothing", "a value so short that it is an ordinary word"],
)
def test_other_values_of_the_environment_stay(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert redact(value) == value


def test_secret_that_contains_another_leaves_no_rest(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "abcdef")
    monkeypatch.setenv("B_TOKEN", "abcdefghij")
    assert redact("abcdefghij abcdef") == "*** ***"


def test_secret_with_a_newline_around_it_is_found_without(monkeypatch):
    """A secret read from a file often carries the file's last newline."""
    monkeypatch.setenv("A_TOKEN", f"{SECRET}\n")
    assert redact(f"Bearer {SECRET}") == "Bearer ***"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://user:pw@host:5000/x", "http://***@host:5000/x"),
        ("postgresql+psycopg://u:p@ss/w:rd@db/mlflow", "postgresql+psycopg://***@db/mlflow"),
        ("https://ghp_token@github.com/a/b", "https://***@github.com/a/b"),
        ("https://host/a?token=abc&x=1#top", "https://host/a?token=***&x=1#top"),
        ("s3://bucket/key?X-Amz-Signature=abc", "s3://bucket/key?X-Amz-Signature=***"),
    ],
)
def test_credentials_of_an_address_are_masked_and_the_place_stays(address, shown):
    """H04: user and password, also where they should have been escaped."""
    assert redact(f"cannot reach {address}") == f"cannot reach {shown}"


@pytest.mark.parametrize(
    "harmless",
    [
        "http://127.0.0.1:5000/#/experiments/1",
        "sqlite:////home/me@work/mlflow.db",
        "mail a@b.example about 3:4",
        "https://host/a?page=2",
        "",
    ],
)
def test_text_without_a_secret_stays_as_it_is(harmless):
    assert redact(harmless) == harmless


def test_every_text_of_a_tree_is_redacted_and_every_number_stays(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "123456789")
    tree = {"a": ["x 123456789", {"123456789": 123456789}], "b": None, "c": (0.1, True)}
    assert redact_tree(tree) == {"a": ["x ***", {"***": 123456789}], "b": None, "c": [0.1, True]}


@pytest.mark.parametrize("error", [False, True])
def test_what_is_said_holds_no_secret_and_goes_to_its_stream(error, monkeypatch, capsys):
    monkeypatch.setenv("API_TOKEN", SECRET)
    text.say(f"with {SECRET}", error=error)
    said = capsys.readouterr()
    assert (said.err if error else said.out) == "with ***\n"
    assert (said.out if error else said.err) == ""


# --- length ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "length", "keep_end", "shown"),
    [
        ("abcdef", 6, 0, "abcdef"),
        ("abcdefg", 6, 0, "abcde…"),
        ("abcdefg", 6, 2, "abc…fg"),
        ("abcdefg", 1, 0, "…"),
        ("abcdefg", 0, 0, ""),
    ],
)
def test_text_is_cut_to_its_length_and_an_ellipsis_says_so(words, length, keep_end, shown):
    assert text.cut(words, length, keep_end) == shown
    assert len(shown) <= length


def test_text_of_many_lines_becomes_one_of_at_most_its_length():
    assert text.one_line("a\n  b\tc\n") == "a b c"
    assert text.one_line(ValueError("x" * 1000), 10) == "x" * 9 + "…"


@pytest.mark.parametrize("limit", [100, 2000])
def test_lines_that_are_left_out_are_counted(limit):
    lines = [f"line {i}" for i in range(1000)]
    bounded = text.bounded(lines, limit)
    *kept, last = bounded.splitlines()
    assert len(bounded) <= limit
    assert kept == lines[: len(kept)]
    assert last == f"… and {1000 - len(kept)} more"


def test_lines_that_fit_stay_and_a_long_one_is_cut():
    assert text.bounded(["a", "b"]) == "a\nb"
    assert text.bounded(iter(["a" * 1000])) == "a" * 399 + "…"
    assert text.bounded([]) == ""


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((1, "run"), "1 run"),
        ((0, "run"), "0 runs"),
        ((1234, "run"), "1,234 runs"),
        ((2, "is", "are"), "2 are"),
    ],
)
def test_a_count_agrees_with_its_noun(words, shown):
    assert text.counted(*words) == shown


# --- characters -----------------------------------------------------------------------------------


def test_characters_that_a_terminal_obeys_or_an_eye_does_not_see_are_escaped():
    assert text.printable("é 安 \x1b[2J\u200b\u202e\n") == "é 安 \\x1b[2J\\u200b\\u202e\\n"
    assert text.printable("a\nb\tc", keep="\n") == "a\nb\\tc"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("low", "'low'"),
        ("安全", "'安全'"),
        ("ѕmall", "'\\u0455mall'"),
        ("2–4", "'2\\u20134'"),
        ("lo\u200bw", "'lo\\u200bw'"),
        ("it's", '"it\'s"'),
        ("a" * 100, "'" + "a" * 60 + "'…"),
    ],
)
def test_a_value_is_quoted_and_a_look_alike_of_other_letters_is_escaped(value, shown):
    assert text.quoted(value) == shown


@pytest.mark.parametrize("value", ["low", " low ", "lo\u200bw", "l\u043ew", "\uff4cow", "low\x00"])
def test_values_that_look_alike_have_one_skeleton(value):
    assert text.skeleton(value) == "low"


def test_values_that_look_different_have_different_skeletons():
    """The negative control of the test above: case is seen, and so is an inner space."""
    assert len({text.skeleton(value) for value in ("low", "Low", "l ow", "lo", "1ow")}) == 5
