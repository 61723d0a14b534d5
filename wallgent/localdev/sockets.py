"""Folders for unix sockets. The path of a socket is limited to 107 bytes, so they are in /tmp."""

import hashlib
import os
import stat
from pathlib import Path

from wallgent.localdev.processes import LocalServerError

_PARENT = Path("/tmp")  # noqa: S108 - short on every system; the folder's owner is checked below


def folder_for(data: Path, *, owner: int) -> Path:
    """Return the folder, private to `owner`, for the sockets of the server with its data in `data`.

    It is always the same for the same data, so a URL stays valid after a restart. Raises
    LocalServerError if the folder belongs to another account or is open to others.
    """
    name = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]
    folder = _PARENT / f"wallgent-{owner}-{name}"
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, -1)
    except FileExistsError:
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == owner
        if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
            raise LocalServerError(f"{folder} was made by somebody else. Remove it.") from None
    return folder
