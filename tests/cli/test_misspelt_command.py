"""A word that is no setting was probably meant to be a command."""

import pytest

from pipeline.cli.arguments import parse
from pipeline.errors import ConfigError


@pytest.mark.parametrize(("word", "near"), [("predct", "predict"), ("swep", "sweep")])
def test_a_misspelt_command_is_refused_with_the_nearest(word, near):
    with pytest.raises(ConfigError) as error:
        parse("run", [word, "seed=1"])
    assert repr(word) in str(error.value)
    assert str(error.value).endswith(f"did you mean {near}?")


def test_settings_are_no_commands():
    """The negative control."""
    assert parse("run", ["seed=1", "~experiment"]).words == ["seed=1", "~experiment"]
