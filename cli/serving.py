"""`offerlift serve`: the live dashboard, read-only."""

from __future__ import annotations

import ipaddress
import socket

import click

from ..errors import InputError
from .options import database_option, open_store

__all__ = ["serve"]

TOKEN_ENV = "OFFERLIFT_TOKEN"


@click.command(epilog="Example: offerlift serve --port 8080 --fresh-for 300")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; others need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True, help="0: any that is free.")
@click.option(
    "--token",
    envvar=TOKEN_ENV,
    metavar="TEXT",
    help=f"What readers must give [env {TOKEN_ENV}, which other users of the machine cannot see].",
)
@click.option(
    "--allow-host", "hosts", metavar="NAME", multiple=True, help="A name by which the server is called; may repeat."
)
@click.option(
    "--fresh-for",
    "fresh_seconds",
    type=click.FloatRange(1, 86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How old numbers may be before they are computed anew.",
)
@database_option
def serve(host: str, port: int, token: str | None, hosts: tuple[str, ...], fresh_seconds: float, db: str) -> None:
    """Show all experiments live in a browser, read-only.

    It records no looks, and shows nothing that the review withholds. Numbers are computed in the background and shown
    with their age. At an address that others can reach it needs a token.
    """
    if not token and not _is_loopback(host):
        raise InputError(
            f"others could read the dashboard at {host}, and there is no token",
            hint=f"Set {TOKEN_ENV} to at least 16 characters, or leave out --host.",
        )
    try:
        import uvicorn

        from ..reports.web import app
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "anyio", "h11"):
            raise
        raise InputError(
            f"the dashboard needs {error.name}, which is not installed", hint="Run: pip install 'offerlift[serve]'"
        ) from None
    dashboard = app(db, token=token or None, hosts=[host, *hosts], fresh_seconds=fresh_seconds)
    # Said now rather than on every page: no store, or one that is to be upgraded.
    open_store(db, create=False).close()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"http://{shown}:{listening.getsockname()[1]}/ (Ctrl+C ends it)", err=True)
        # Its access log has addresses with the keys of experiments, and a token never.
        server = uvicorn.Server(uvicorn.Config(dashboard, log_level="warning", access_log=False, server_header=False))
        server.run(sockets=[listening])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
