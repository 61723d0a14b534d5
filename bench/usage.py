"""What processes have used, read from /proc. Other systems have none: there it is unknown."""

import contextlib
import math
import os
import re
from pathlib import Path

AVAILABLE = Path("/proc/self/smaps_rollup").exists()
_TICKS = os.sysconf("SC_CLK_TCK")


def family(root: int) -> list[int]:
    """A process and all that came from it."""
    found, at = [root], 0
    while at < len(found):
        with contextlib.suppress(OSError):  # it has just ended
            for task in Path(f"/proc/{found[at]}/task").iterdir():
                found += [int(pid) for pid in (task / "children").read_text().split()]
        at += 1
    return found


def command(pid: int) -> str:
    """Its command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def pss(pid: int) -> float:
    """Its memory in megabytes, with a fair share of what it shares with others."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1]) / 1024


def cpu_seconds() -> float:
    """Processor time of the bench and all that it started, the ended ones too."""
    if not AVAILABLE:
        return math.nan
    return sum(_cpu_ticks(pid) for pid in family(os.getpid())) / _TICKS


def _cpu_ticks(pid: int) -> int:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended, and its parent has its time
        return 0
    return sum(int(ticks) for ticks in after_name[11:15])
