# SPDX-License-Identifier: Apache-2.0
"""How long an auditor waits: `python -m tests.bench.bench_ledger [RECORDS [PER_CHECKPOINT]]`.

One core. A run writes two records for each checkpoint (open, close), so that is the default. The
floor is what the signatures of all checkpoints would cost alone, were each of them checked.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.shared.ledger import made


def steps(count, per_checkpoint):
    """Return ``count`` records: rounds of ``per_checkpoint`` records, each closed and signed."""
    made_so_far = [("run_open", made.run_open(rho_cap="2000000", participations_max=10**9))]
    number = 0
    while len(made_so_far) < count:
        number += 1
        made_so_far.append(("round_open", made.round_open(number, sigma2=10**12)))
        made_so_far += [("publication", {"count": 1})] * (per_checkpoint - 2)
        made_so_far.append(("round_close", made.round_close(number)))
    return made_so_far[:count]


def signature_seconds(tries=2000):
    """Return the seconds of one Ed25519 check."""
    message, public = bytes(400), made.KEY.public_key()
    signature = made.KEY.sign(message)
    start = time.process_time()
    for _ in range(tries):
        public.verify(signature, message)
    return (time.process_time() - start) / tries


def main(count, per_checkpoint):
    """Write a ledger, run the auditor's tool on it, print what the tool took."""
    with tempfile.TemporaryDirectory() as folder:
        made.forge(Path(folder) / "l", steps(count, per_checkpoint))
        start = time.perf_counter()
        words = [sys.executable, "-m", "shared.ledger.replay", folder + "/l", "--format", "json"]
        done = subprocess.run(words, capture_output=True, check=True)
        clock = time.perf_counter() - start
    found, used = json.loads(done.stdout), resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{found['records']} records, {found['checkpoints']} checkpoints: "
        f"{used.ru_utime + used.ru_stime:.1f} s of one core, {clock:.1f} s by the clock, "
        f"{used.ru_maxrss / 1e6:.1f} GB; checking every signature would add "
        f"{signature_seconds() * found['checkpoints']:.0f} s"
    )


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    main(*(words + [1_000_000, 2][len(words) :]))
