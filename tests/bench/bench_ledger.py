# SPDX-License-Identifier: Apache-2.0
"""How long an auditor waits: `python -m tests.bench.bench_ledger [RECORDS]`, one core."""

import sys
import tempfile
import time
from pathlib import Path

from shared.ledger import replay
from tests.shared.ledger import made


def main(count):
    """Write and replay ``count`` records: rounds of 100 records, a checkpoint each."""
    steps, number = [("run_open", made.run_open(rho_cap="2000000", participations_max=10**9))], 0
    while len(steps) < count:
        number += 1
        steps.append(("round_open", made.round_open(number, sigma2=10**12)))
        steps += [("publication", {"count": 1})] * min(98, max(0, count - len(steps) - 1))
        steps.append(("round_close", made.round_close(number)))
    with tempfile.TemporaryDirectory() as folder:
        made.forge(Path(folder) / "l", steps[:count])
        start = time.perf_counter()
        found = replay.replay(Path(folder) / "l")
        seconds = time.perf_counter() - start
    print(f"{found.records} records, {found.checkpoints} checkpoints: {seconds:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
