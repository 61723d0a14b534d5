"""Processor time and memory of processes, from /proc. Unknown on systems without it."""

import contextlib
import math
import os
import re
from pathlib import Path

AVAILABLE = Path("/proc/self/smaps_rollup").exists()
_TICKS = os.sysconf("SC_CLK_TCK")


def family(root: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    pids, index = [root], 0
    while index < len(pids):
        with contextlib.suppress(OSError):  # it has just ended
            for task in Path(f"/proc/{pids[index]}/task").iterdir():
                pids += [int(pid) for pid in (task / "children").read_text().split()]
        index += 1
    return pids


def command(pid: int) -> str:
    """Return the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def pss(pid: int) -> float:
    """Return the memory of a process in megabytes, with its share of shared memory."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1]) / 1024


def cpu_seconds() -> float:
    """Return the processor time of the bench and its descendants, the ended ones included."""
    if not AVAILABLE:
        return math.nan
    return sum(_cpu_ticks(pid) for pid in family(os.getpid())) / _TICKS


def _cpu_ticks(pid: int) -> int:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended, and its parent counts its time
        return 0
    return sum(int(ticks) for ticks in after_name[11:15])
