"""A claim is one process's alone, and ends with it however that ends."""

import os
import signal

import pytest

from pipeline.sweeps.claims import Claims

ONE, OTHER = "0" * 31 + "1", "f" * 32


@pytest.fixture
def held(tmp_path, fork):
    """A child that holds ONE; it is killed with SIGKILL when the test lets go of it."""
    ready, tell = os.pipe()

    def hold():
        Claims(tmp_path).take(ONE)
        os.write(tell, b"!")
        signal.pause()

    child = fork(hold)
    os.read(ready, 1)
    yield child
    if child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_another_process_has_cannot_be_claimed_and_the_rest_can(held, tmp_path):
    claims = Claims(tmp_path)
    assert not claims.take(ONE)
    assert claims.take(OTHER)


def test_a_claim_ends_with_its_process(tmp_path, fork, exit_codes):
    assert exit_codes([fork(lambda: os._exit(0 if Claims(tmp_path).take(ONE) else 1))]) == [0]
    claims = Claims(tmp_path)
    assert claims.take(ONE)
    # The control: as long as we hold it, a child does not get it; once released, it does.
    tries = lambda: os._exit(0 if Claims(tmp_path).take(ONE) else 3)  # noqa: E731
    assert exit_codes([fork(tries)]) == [3]
    claims.release(ONE)
    assert exit_codes([fork(tries)]) == [0]


def test_the_file_is_its_owners_alone(tmp_path):
    Claims(tmp_path / "runs").close()
    assert (tmp_path / "runs" / ".claims").stat().st_mode & 0o777 == 0o600
