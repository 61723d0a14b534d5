"""The reference: pgbench with reference.sql in another database on the same server."""

import os
import re
import subprocess
from pathlib import Path

from wallgent.localdev import postgres

DATABASE = "reference"
_PLAIN = "\\set a random(1, 1000)\n\\set b 1 + mod(:a + random(0, 998), 1000)\n"
SCRIPTS = {
    "plain": _PLAIN + "SELECT transfer(:a, :b, 1);\n",
    "hot": "\\set b random(2, 1000)\nSELECT transfer(1, :b, 1);\n",
    "sets": "SELECT transfer_set(100, 0);\n",
}
TRANSFERS = {"plain": 1, "hot": 1, "sets": 100}
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_FAILED = re.compile(r"number of failed transactions: (\d+)")


class Reference:
    """The reference database on `cluster`."""

    def __init__(self, cluster: postgres.Cluster, folder: Path, *, protocol: str = "prepared"):
        self.cluster = cluster
        self.folder = folder
        self.protocol = protocol
        self.url = cluster.url_of(postgres.USER, DATABASE)

    def prepare(self) -> None:
        """Create the database of reference.sql."""
        self._run("psql", self.cluster.url, "-qXc", f"CREATE DATABASE {DATABASE}")
        script = Path(__file__).with_name("reference.sql")
        self._run("psql", self.url, "-qX1", "-v", "ON_ERROR_STOP=1", "-f", script)
        self._run("psql", self.url, "-qXc", "VACUUM ANALYZE")
        for name, text in SCRIPTS.items():
            (self.folder / f"{name}.pgbench").write_text(text)

    def run(self, script: str, *, clients: int, seconds: float) -> float:
        """Run a script. Return transfers per second."""
        options = f"-n -M {self.protocol} -c {clients} -j 2 -T {max(1, round(seconds))}"
        path = self.folder / f"{script}.pgbench"
        output = self._run("pgbench", *options.split(), "-f", path, self.url)
        failed = _FAILED.search(output)
        assert failed is None or failed[1] == "0", output
        return float(_TPS.search(output)[1]) * TRANSFERS[script]

    def _run(self, program: str, *arguments) -> str:
        command = [str(part) for part in (postgres.programs() / program, *arguments)]
        environment = os.environ | {"PGOPTIONS": "-c client_min_messages=warning"}
        result = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment
        )
        assert result.returncode == 0, f"{program}: {result.stderr}"
        return result.stdout
