"""Databases that are a file of this machine."""

from __future__ import annotations

from pathlib import Path

from ...errors import StoreError

__all__ = ["check_file"]


def check_file(path: Path, *, create: bool) -> None:
    """See that the file is there, or with `create` that it can be.

    Raises:
        StoreError: there is neither file nor folder, or something else than a file.
    """
    # Path.exists answers False below a regular file; the folder is named in either case.
    try:
        folder_exists, exists = path.parent.is_dir(), path.exists()
    except OSError as error:
        raise StoreError(f"the store {path} cannot be reached: {error.strerror or error}") from error
    if not folder_exists:
        raise StoreError(f"the folder of the store does not exist: {path.parent}", hint="Create it, or check the path.")
    if exists and not path.is_file():
        raise StoreError(f"the store {path} is not a file", hint="Give the path of a file, such as shop.db.")
    if not exists and not create:
        raise StoreError(
            f"there is no store at {path}", hint="Check the path; publishing or importing creates a store."
        )
