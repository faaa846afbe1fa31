"""What passes through redact holds no secret, and all the rest of it."""

import pytest

from pipeline.redact import redact, redact_tree

SECRET = "hunter2-Tr0ub4dor"


@pytest.mark.parametrize(
    "name", ["API_TOKEN", "DB_PASSWORD", "client_secret", "AWS_SECRET_ACCESS_KEY", "CREDENTIALS"]
)
def test_value_of_an_environment_variable_that_sounds_secret_is_masked(name, monkeypatch):
    """H04: planted in the environment, under each kind of name."""
    assert SECRET in redact(f"cannot log in with {SECRET}")  # the control: nothing planted yet
    monkeypatch.setenv(name, SECRET)
    assert redact(f"cannot log in with {SECRET}!") == "cannot log in with ***!"


def test_value_of_a_variable_that_does_not_sound_secret_stays(monkeypatch):
    monkeypatch.setenv("ONEURON_COLOUR", "turquoise")
    assert redact("turquoise") == "turquoise"


def test_short_value_stays_because_it_would_blank_out_ordinary_words(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "false")
    assert redact("false") == "false"


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
    "text",
    [
        "http://127.0.0.1:5000/#/experiments/1",
        "sqlite:////home/me@work/mlflow.db",
        "mail a@b.example about 3:4",
        "https://host/a?page=2",
        "",
    ],
)
def test_text_without_a_secret_stays_as_it_is(text):
    assert redact(text) == text


def test_every_text_of_a_tree_is_redacted_and_every_number_stays(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "123456789")
    tree = {"a": ["x 123456789", {"123456789": 123456789}], "b": None, "c": 0.1}
    assert redact_tree(tree) == {"a": ["x ***", {"***": 123456789}], "b": None, "c": 0.1}
