"""Servers of a test's own, that can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from random import SystemRandom
from tempfile import mkdtemp
from types import TracebackType
from typing import NoReturn

import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

_DEBIAN = Path("/usr/lib/postgresql")


def _find(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    versions = sorted(_DEBIAN.glob(f"*/bin/{program}")) if _DEBIAN.is_dir() else []
    if found is None and not versions:
        _not_possible(f"no {program} to run a server of our own")
    return found or str(versions[-1])


def _not_possible(reason: str) -> NoReturn:
    """Skip where nobody promised a server, fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class PrivateServer:
    """What the servers have in common: a folder, the process, and its end.

    They listen where nobody else does while they are down, as somebody might at a port of 127.0.0.1. With `disk` all
    of their files are on a disk of that size.
    """

    owner: str

    def __init__(self, disk: str | None = None) -> None:
        # Below pytest's private folder, the server's own user could not reach it.
        self._folder = Path(mkdtemp(prefix="offerlift-server-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._mounted = disk is not None
        if disk is not None:
            self._mount(disk)
        if os.geteuid() == 0:
            shutil.chown(self._folder, self.owner)
        self._data = self._folder / "data"

    def _mount(self, size: str) -> None:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self._folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            self._folder.rmdir()
            pytest.skip("only root can mount a small disk, and not everywhere")

    def _remove(self) -> None:
        if self._mounted:
            subprocess.run(["umount", str(self._folder)], check=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where all of its files are."""
        return self._folder

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        self._remove()

    @property
    def url(self) -> str:
        """Of a database that is there."""
        raise NotImplementedError

    def _create(self) -> None:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=self._folder, stdout=log, stderr=log)
        engine = sqlalchemy.create_engine(self.url)
        deadline = time.monotonic() + 120
        while True:
            try:
                return engine.connect().close()
            except OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            finally:
                engine.dispose()

    @property
    def runs(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as a power cut does to the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _run(self, *command: object) -> None:
        done = subprocess.run(
            list(map(str, command)), cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, done.stdout


class PrivatePostgreSQL(PrivateServer):
    """A PostgreSQL server, which refuses to run as root."""

    owner = "postgres"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self._folder}"

    def _create(self) -> None:
        self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        if self._user and shutil.which("setpriv") is None:
            _not_possible("PostgreSQL does not run as root, and there is no setpriv to change the user")
        options = ["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        self._run(*self._user, _find("initdb"), "-D", self._data, *options)

    def _command(self) -> list[str]:
        settings = {"listen_addresses": "", "unix_socket_directories": self._folder, "fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self._user, _find("postgres"), "-D", str(self._data), *options]

    def kill(self) -> None:
        """End it at once; killed with SIGKILL, its children would live on for a while and refuse the next one."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None


class PrivateMariaDB(PrivateServer):
    """A MariaDB server, at an address of its own: PyMySQL leaks what failed to connect to a socket file."""

    owner = "mysql"

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@{self._host}:3307/test"

    def _create(self) -> None:
        self._host = ".".join(["127", *(str(SystemRandom().randrange(1, 255)) for _ in range(3))])
        self._user = ["--user=mysql"] if os.geteuid() == 0 else []
        options = ["--no-defaults", *self._user, f"--datadir={self._data}", "--auth-root-authentication-method=normal"]
        self._run(_find("mariadb-install-db"), *options)

    def _command(self) -> list[str]:
        return [
            _find("mariadbd"),
            "--no-defaults",
            *self._user,
            f"--datadir={self._data}",
            f"--socket={self._folder}/socket",
            f"--bind-address={self._host}",
            "--port=3307",
            "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=2",
        ]
