"""Folders for unix sockets. A socket's path may have 107 bytes at most, a home's may have more."""

import hashlib
import os
import stat
from pathlib import Path

from wallgent.localdev.processes import EngineError

_ROOM = Path("/tmp")  # noqa: S108 - short on every system; who owns the folder is checked below


def folder_for(place: Path, *, owner: int) -> Path:
    """The folder, closed to all but `owner`, for the sockets of the server that lives in `place`.

    The same place always has the same folder, so an address outlives a restart.
    """
    name = hashlib.sha256(str(place.resolve()).encode()).hexdigest()[:16]
    folder = _ROOM / f"wallgent-{owner}-{name}"
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, -1)
    except FileExistsError:
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == owner
        if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
            raise EngineError(f"{folder} was made by somebody else. Remove it.") from None
    return folder
