# SPDX-License-Identifier: Apache-2.0
"""`privet doctor DIR` for an operator's folder: keys, certificate, policy, ports, database, ledger.

Nothing is written, nobody outside is asked, no key is printed.
"""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from server.folder import OperatorFolder
from server.start import running_supervisor
from shared.errors import DataError
from shared.health import (
    GIB,
    Check,
    check_certificate,
    check_clock,
    check_flower,
    check_free,
    check_private,
    looked,
)
from shared.ledger.replay import replay

DATABASE_MAX = 2 * GIB
"""Size above which Flower's database is worth a word: it never shrinks by itself."""
PUBLIC = ("ca.pem", "tls.pem")
"""Files among the keys that anybody may read."""
REACH_S = 3.0


def is_operator(folder: Path) -> bool:
    """Say whether a folder is an operator's; a run of the simulator has no keys."""
    return (folder / "config.toml").exists() and (folder / "keys").is_dir()


def examine_operator(path: Path) -> Iterator[Check]:
    """Look at an operator's folder, in the order that is shown."""
    folder = OperatorFolder(path)
    now = datetime.now(UTC)
    looks = {
        "config": lambda: _config(folder),
        "keys": lambda: _keys(folder),
        "certificate": lambda: _certificate(folder, now),
        "policy": lambda: _policy(folder),
        "flower": check_flower,
        "guard port": lambda: _port(folder, "guard port", folder.config.listen, folder.config.port),
        "link port": lambda: _port(folder, "link port", "127.0.0.1", folder.config.link_port),
        "disk": lambda: check_free(folder.path, 2 * GIB),
        "database": lambda: _database(folder),
        "ledger": lambda: _ledger(folder),
        "clock": lambda: check_clock(int(time.time()), _last(folder), "the last of the ledger"),
    }
    return (looked(name, look) for name, look in looks.items())


def _config(folder: OperatorFolder) -> Check:
    """Look whether the choices can be read."""
    config = folder.config
    return Check("config", True, f"{config.users} devices, {config.address}")


def _keys(folder: OperatorFolder) -> Check:
    """Look whether keys, invitations and Flower's secrets are their owner's alone."""
    secret = [p for p in folder.keys.iterdir() if p.is_file() and p.name not in PUBLIC]
    folder.server_key  # noqa: B018 - refuses what is no key
    invited = [*(folder.path / "invitations").glob("*.json")]
    return check_private("keys", [folder.keys, *secret, *invited])


def _certificate(folder: OperatorFolder, now: datetime) -> Check:
    """Look at the authority's and the server's certificate, and whose names they bear."""
    renew = "make a new folder for the next run: devices pin this authority."
    authority = check_certificate("certificate", (folder.keys / "ca.pem").read_bytes(), now, renew)
    pem = (folder.keys / "tls.pem").read_bytes()
    found = check_certificate("certificate", pem, now, "renew tls.pem under the same authority.")
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    known = {str(name.value) for name in names.value}
    host = folder.config.address.rpartition(":")[0].strip("[]")
    if host not in known:
        return Check(
            "certificate",
            False,
            f"for {', '.join(sorted(known))}, not for {host}",
            "devices connect to the address of config.toml: it must be in the certificate.",
        )
    return found if authority.ok and not authority.hint else authority


def _policy(folder: OperatorFolder) -> Check:
    """Look whether the officer signed the policy, and whether it covers the plan."""
    from server.operate import covered_plan

    folder.signed_policy  # noqa: B018 - refuses what is not signed
    plan = covered_plan(folder, folder.catalogue, folder.draft)
    rounds = sum(release.rounds for release in plan.releases)
    demo = (
        "fewer than 16 noise shares: for made-up ratings only." if folder.draft.floor.demo else ""
    )
    return Check("policy", True, f"signed, covers the plan of {rounds} rounds", demo)


def _port(folder: OperatorFolder, name: str, host: str, port: int) -> Check:
    """Look whether a port is free, or ours while the server runs."""
    if running_supervisor(folder):
        return _answers(folder, name, port)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as wrong:
            return Check(
                name,
                False,
                f"{port} cannot be had: {wrong.strerror}",
                "stop what uses it, or choose another in config.toml.",
            )
    return Check(name, True, f"{port} is free")


def _answers(folder: OperatorFolder, name: str, port: int) -> Check:
    """Look whether what listens on this machine speaks TLS under the folder's own authority."""
    trust = ssl.create_default_context(cafile=str(folder.keys / "ca.pem"))
    try:
        with (
            socket.create_connection(("127.0.0.1", port), REACH_S) as line,
            trust.wrap_socket(line, server_hostname="127.0.0.1") as shut,
        ):
            shut.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            first = shut.recv(64)
    except (OSError, ssl.SSLError):
        first = b""
    if b" 200 " in first:
        return Check(name, True, f"{port} is held by this server, which answers")
    return Check(
        name,
        False,
        f"{port} does not answer as this server",
        "see the server's log; it may be starting, or another program has the port.",
    )


def _database(folder: OperatorFolder) -> Check:
    """Look at the size of Flower's database."""
    parts = folder.path.glob("flower/superlink.db*")
    size = sum(path.stat().st_size for path in parts)
    detail = f"{size / 2**20:.0f} MiB"
    big = "`privet server stop`, then VACUUM it with sqlite3: it does not shrink by itself."
    return Check("database", True, detail, big if size > DATABASE_MAX else "")


def _ledger(folder: OperatorFolder) -> Check:
    """Replay the ledger."""
    path = folder.path / "ledger"
    if not (path / "records.jsonl").exists():
        return Check("ledger", True, "not begun")
    book = replay(path).book
    return Check("ledger", True, f"replays: {book.rounds} rounds, {book.released} released")


def _last(folder: OperatorFolder) -> int:
    """Return when the ledger was last written to, 0 before it was begun."""
    path = folder.path / "ledger" / "records.jsonl"
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines()
    try:
        return int(json.loads(lines[-1])["at"]) if lines else 0
    except (ValueError, KeyError, TypeError):
        raise DataError(
            "the last record must say when it was written.", hint="see `ledger`."
        ) from None
