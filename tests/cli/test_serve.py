"""`offerlift serve`: where it may listen, what it refuses, and a real server that is asked over HTTP."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
from offerlift.cli.app import run
from offerlift.storage import Store

TOKEN = "a-token-that-nobody-knows"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A store without experiments."""
    monkeypatch.delenv("OFFERLIFT_TOKEN", raising=False)
    Store.open(tmp_path / "shop.db").close()
    return tmp_path / "shop.db"


@contextmanager
def serving(path, *options: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Host and port of a server in a process of its own, and the process."""
    program = "from offerlift.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", "--db", f"sqlite:///{path}", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("http://"), line
            yield urlsplit(line.split()[0]).netloc, process
        finally:
            process.terminate()


def get(host: str, place: str, **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(host, timeout=60)) as connection:
        connection.request("GET", place, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "shop.example"])
def test_others_are_let_in_only_with_a_token(path, capsys, host):
    """Anywhere but on this machine itself it does not start without one."""
    assert run(["serve", "--db", f"sqlite:///{path}", "--host", host]) == 2
    error = capsys.readouterr().err
    assert f"others could read the dashboard at {host}" in error
    assert "OFFERLIFT_TOKEN" in error


def test_a_short_token_is_refused_before_anything_is_served(path, capsys):
    """With how to make a good one."""
    assert run(["serve", "--db", f"sqlite:///{path}", "--host", "0.0.0.0", "--token", "secret"]) == 2
    assert "needs at least 16" in capsys.readouterr().err


def test_without_a_store_it_does_not_start(tmp_path, capsys):
    """Exit code 3, as for every command, and none is made."""
    assert run(["serve", "--db", f"sqlite:///{tmp_path / 'none.db'}"]) == 3
    assert "none.db" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_an_error(path, capsys):
    """Exit code 3: another may be free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "--db", f"sqlite:///{path}", "--port", str(port)]) == 3
    assert "in use" in capsys.readouterr().err


def test_it_listens_to_this_machine_and_ends_when_told(path):
    """Pages over HTTP at 127.0.0.1, another name is refused, and Ctrl+C ends it within seconds."""
    with serving(path) as (host, process):
        assert host.startswith("127.0.0.1:")
        assert get(host, "/")[0] == 200
        assert get(host, "/", Host="evil.example")[0] == 400
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def test_the_token_is_never_printed(path):
    """Taken from the environment, asked for at every page, and in no line that the server writes."""
    with serving(path, "--host", "0.0.0.0", OFFERLIFT_TOKEN=TOKEN) as (host, process):
        host = host.replace("0.0.0.0", "127.0.0.1")
        assert get(host, "/")[0] == 401
        assert get(host, f"/?token={TOKEN}")[0] == 401
        assert get(host, "/", Authorization=f"Bearer {TOKEN}x")[0] == 401
        status, page = get(host, "/", Authorization=f"Bearer {TOKEN}")
        assert (status, TOKEN in page) == (200, False)
        process.terminate()
        assert process.stderr is not None
        assert TOKEN not in process.stderr.read()


def test_a_name_that_is_allowed_is_answered(path):
    """As behind a proxy that passes the name on."""
    with serving(path, "--allow-host", "offers.shop.example") as (host, _):
        assert get(host, "/", Host="offers.shop.example")[0] == 200
        assert get(host, "/", Host="shop.example")[0] == 400
