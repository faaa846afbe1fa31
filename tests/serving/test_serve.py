"""The command serves on this machine alone, whoever connects, and ends when it is told to."""

import contextlib
import http.client
import json
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from builders import copy_project, make_record, start

from pipeline.cli.arguments import parse
from pipeline.cli.commands import use
from pipeline.errors import ConfigError

ROW = b'{"dataframe_records": [{"safety": "low"}]}'
HEAD = "POST /invocations HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the project with a run."""
    folder = copy_project(tmp_path_factory.mktemp("serve") / "project")
    make_record(folder=folder / "runs")
    return folder


@contextlib.contextmanager
def serving(folder, *words, **variables):
    """The server, its host and port, and what it has printed."""
    process = start(folder, "serve", *words, **variables)
    try:
        printed = ""
        while "Ctrl-C" not in printed:
            line = process.stdout.readline()
            assert line, process.communicate()
            printed += line
        yield process, re.findall(r"http://([\d.:]+)/", printed)[0], printed
    finally:
        process.kill()
        process.communicate()


def ask(host, body=ROW, kind="application/json", **headers):
    connection = http.client.HTTPConnection(host, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/invocations", body, {"Content-Type": kind, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def served(folder):
    """A server for every test, which nothing makes say a word more, and Ctrl-C ends."""
    with serving(folder, "--port", "0") as (process, host, printed):
        yield process, host, printed
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


@pytest.fixture
def host(served):
    return served[1]


def test_the_request_that_is_printed_is_answered_as_it_is_pasted(served):
    _, host, printed = served
    assert host.startswith("127.0.0.1:")
    words = shlex.split(next(line for line in printed.splitlines() if line.startswith("curl")))
    done = subprocess.run([*words, "--silent"], capture_output=True, check=True)
    assert [*json.loads(done.stdout)["predictions"][0]] == ["probability", "decision"]


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--on-bad-row", "drop", "ON_BAD_ROW must be refuse or skip; got 'drop'"),
        ("--port", "70000", "must be from 0 (any) to 65535; got '70000'"),
        ("--run", "ffffffffffff", "ffffffffffff"),
    ],
)
def test_a_wrong_word_is_refused_before_anything_listens(project, option, value, rule):
    with pytest.raises(ConfigError, match=re.escape(rule)):
        use.serve(parse("serve", [option, value]))


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.exhaustive)]
)
def test_make_hands_its_variables_on_and_a_signal_ends_it_in_a_request(folder, number):
    """No value that was sent is in a message."""
    variables = {"HIDE_VALUES": "yes", "ON_BAD_ROW": "skip", "PORT": "0", "RUN": "latest"}
    with serving(folder, "--make", **variables) as (process, host, _):
        status, body = ask(host, b'{"inputs": [{"safety": "secret"}, {"safety": "low"}]}')
        bad, good = json.loads(body)["predictions"]
        assert (status, bad["probability"], good["reason"]) == (200, None, None)
        assert bad["reason"] == "column safety must be one of low, high"
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port))) as slow:
            head = HEAD.format(host, "text/csv") + "Content-Length: 999\r\n\r\nsafety\nsecret"
            slow.sendall(head.encode())
            time.sleep(0.2)
            process.send_signal(number)
            _, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (128 + number, "")


@pytest.mark.parametrize(
    "headers", [{"Host": "10.evil.com"}, {"Origin": "http://evil.com"}, {"Origin": "null"}]
)
def test_strangers_are_refused(host, headers):
    status, body = ask(host, **headers)
    assert (status, json.loads(body)["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(host):
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=20) as client:
        client.sendall(
            (
                HEAD.format(host, "application/json") + "Content-Length: 999999999999\r\n\r\n"
            ).encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_clients_that_wait_do_not_keep_others_waiting(host):
    name, _, port = host.partition(":")
    with contextlib.ExitStack() as stack:
        for i in range(150):
            client = stack.enter_context(socket.create_connection((name, int(port))))
            head = HEAD.format(host, "text/csv") + "Content-Length: 100\r\n\r\nsaf"
            client.sendall(head.encode() if i % 2 else head[:30].encode())
        started = time.perf_counter()
        assert ask(host)[0] == 200
        assert time.perf_counter() - started < 5


def test_many_at_once_are_each_answered_with_their_own(host):
    expected = {word: ask(host, ROW.replace(b"low", word))[1] for word in (b"low", b"high")}
    wrong = []

    def many(word):
        answers = [ask(host, ROW.replace(b"low", word))[1] for _ in range(20)]
        wrong.extend(answer for answer in answers if answer != expected[word])

    threads = [threading.Thread(target=many, args=(w,)) for w in (b"low", b"high") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len({*expected.values()}) == 2


def test_a_stream_is_answered_whole_in_little_memory(served):
    """The last row of another stream is bad, and none of it is answered."""
    n = 200_000
    good = b"safety\n" + b"low\nhigh\n" * (n // 2)
    process, host, _ = served
    before = peak_memory(process)
    status, body = ask(host, good, "text/csv", Accept="text/csv")
    assert (status, body.count(b"\n")) == (200, n + 1)
    status, body = ask(host, good + b"medium\n", "text/csv", Accept="text/csv")
    assert (status, len(body) < 2048) == (400, True)
    assert f"in row {n}" in json.loads(body)["message"]
    assert peak_memory(process) - before < 50  # as cells they are 100


def peak_memory(process) -> float:
    """The most memory that a process has ever had, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000
