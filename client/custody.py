# SPDX-License-Identifier: Apache-2.0
"""Who keeps the key of a device: systemd, the owner's memory, or a file beside the data.

A random data key seals the store; it lies in `custody.json`, itself sealed by the first of

    credential   $CREDENTIALS_DIRECTORY/store-key, which systemd decrypts for the service alone
    passphrase   Argon2id of what the owner types, RFC 9106's second choice (64 MiB, 3 passes)
    file         `key`, mode 0600: whoever copies the folder has the key, so `status` warns

so that a passphrase can change without sealing everything anew, and erasing needs one file to go.

Source: Biryukov et al. (2021), "Argon2", RFC 9106; systemd.exec(5), "Credentials".
"""

import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from client.sealing import KEY, open_sealed, seal, subkey
from shared.atomic import replace_file
from shared.errors import EnvironmentFault, StoreLocked, UsageError, VerificationError

CUSTODY, KEY_FILE, CREDENTIAL = "custody.json", "key", "store-key"
FORMAT = "privet-custody/1"
LEVELS = ("credential", "passphrase", "file")
PASSES, LANES, MEMORY_KIB = 3, 4, 64 * 1024
MAX_MEMORY_KIB = 1024 * 1024
"""Most memory that a custody file can make Argon2id take."""
MIN_CREDENTIAL = 16
"""Fewest bytes of a credential."""
WARNING = (
    "the key lies beside the data (mode 0600): whoever copies the folder can read it; "
    "use a systemd credential or a passphrase where that matters."
)


def make_key(folder: Path, level: str = "auto", passphrase: str | None = None) -> tuple[bytes, str]:
    """Make a data key and put it into custody.

    Args:
        folder: The device's folder, already there.
        level: One of `LEVELS`, or "auto": a credential where systemd gives one, else a
            passphrase where there is one, else a file.
        passphrase: For custody by passphrase.

    Returns:
        The data key, 32 bytes, and the level.

    Raises:
        UsageError: there is no such level.
        StoreLocked: the credential or the passphrase is missing.
        EnvironmentFault: the folder cannot be written.
    """
    if level == "auto":
        level = "passphrase" if passphrase else "file"
        level = "credential" if _credential() is not None else level
    if level not in LEVELS:
        raise UsageError(
            f"custody must be auto, {', '.join(LEVELS)}, got {level}.", hint="leave it out."
        )
    data_key = os.urandom(KEY)
    words: dict[str, Any] = {"format": FORMAT, "level": level}
    if level == "passphrase":
        words |= {"salt": os.urandom(16).hex(), "passes": PASSES, "lanes": LANES,
                  "memory_kib": MEMORY_KIB}  # fmt: skip
    if level == "file":
        _write_private(folder / KEY_FILE, os.urandom(KEY).hex().encode())
    wrapping = _wrapping_key(folder, words, passphrase)
    words["sealed"] = seal(wrapping, data_key, "custody", _bound(words)).hex()
    replace_file(folder / CUSTODY, json.dumps(words, indent=1, sort_keys=True).encode())
    return data_key, level


def load_key(folder: Path, passphrase: str | None = None) -> bytes:
    """Return the data key.

    Raises:
        StoreLocked: credential, passphrase or key file is missing or wrong, or was erased.
        VerificationError: custody.json is not what it must be.
    """
    words = read_custody(folder)
    wrapping = _wrapping_key(folder, words, passphrase)
    try:
        return open_sealed(wrapping, bytes.fromhex(words["sealed"]), "custody", _bound(words))
    except (VerificationError, ValueError):
        raise StoreLocked(
            f"the {words['level']} must be the one that this device was locked with, got another.",
            hint="give the right one; without it nobody can read the device, not even you.",
        ) from None


def read_custody(folder: Path) -> dict[str, Any]:
    """Read custody.json: level and parameters, no secret.

    Raises:
        StoreLocked: it is gone: the device was erased.
        VerificationError: it is not what it must be.
    """
    try:
        words = json.loads((folder / CUSTODY).read_bytes())
        if words["format"] != FORMAT or words["level"] not in LEVELS or "sealed" not in words:
            raise ValueError("format")
        if words["level"] == "passphrase":
            bytes.fromhex(words["salt"])
            sizes = [words[name] for name in ("passes", "lanes", "memory_kib")]
            limits = [(1, 64), (1, 64), (1024, MAX_MEMORY_KIB)]
            if not all(
                type(n) is int and a <= n <= b for n, (a, b) in zip(sizes, limits, strict=True)
            ):
                raise ValueError("sizes")
    except FileNotFoundError:
        raise StoreLocked(
            f"{folder / CUSTODY} must hold the sealed key, it is not there.",
            hint="the device was erased, or is not whole: make a new one, or import an export.",
        ) from None
    except OSError as wrong:
        raise StoreLocked(
            f"{folder / CUSTODY} must be readable, got: {wrong.strerror}.", hint="check its rights."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise VerificationError(
            f"{folder / CUSTODY} must be as Privet wrote it, got another file.",
            hint="without it the store cannot be opened: import an export, or erase the device.",
        ) from None
    return dict(words)


def destroy_key(folder: Path) -> None:
    """Overwrite and remove whatever opens the store; what is sealed is then noise.

    Raises:
        EnvironmentFault: a file could not be overwritten.
    """
    for name in (CUSTODY, KEY_FILE):
        path = folder / name
        try:
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as wrong:
            raise EnvironmentFault(
                f"{path} must be writable to be erased, got: {wrong.strerror}.",
                hint="check its rights, then erase again.",
            ) from None


def passphrase_key(passphrase: str, salt: bytes, words: dict[str, Any]) -> bytes:
    """Stretch a passphrase with Argon2id."""
    try:
        stretch = Argon2id(
            salt=salt,
            length=KEY,
            iterations=words["passes"],
            lanes=words["lanes"],
            memory_cost=words["memory_kib"],
        )
    except UnsupportedAlgorithm:
        raise EnvironmentFault(
            "a passphrase needs Argon2id, which this machine's OpenSSL lacks.",
            hint="install cryptography from a wheel, or with OpenSSL 3.2 or newer.",
        ) from None
    return stretch.derive(passphrase.encode())


def _wrapping_key(folder: Path, words: dict[str, Any], passphrase: str | None) -> bytes:
    """Return the key that seals the data key."""
    level = words["level"]
    if level == "passphrase":
        if not passphrase:
            raise StoreLocked(
                "this device opens with a passphrase, got none.",
                hint="run the command on a terminal, or set PRIVET_PASSPHRASE_FILE to a file "
                "that holds it.",
            )
        return passphrase_key(passphrase, bytes.fromhex(words["salt"]), words)
    secret = _credential() if level == "credential" else _key_file(folder / KEY_FILE)
    if secret is None or len(secret) < MIN_CREDENTIAL:
        raise StoreLocked(
            f"this device opens with a {level} of {MIN_CREDENTIAL} bytes or more, got none.",
            hint="start it by its systemd unit with LoadCredentialEncrypted=store-key."
            if level == "credential"
            else f"put the file {KEY_FILE} back into the folder.",
        )
    return subkey(secret, f"custody/{level}")


def _credential() -> bytes | None:
    """Return the credential that systemd passes to this service, None where there is none."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    try:
        return (Path(folder) / CREDENTIAL).read_bytes()
    except OSError:
        return None


def _key_file(path: Path) -> bytes | None:
    """Return the content of the key file; refuse one that others may read."""
    try:
        if path.stat().st_mode & 0o077:
            raise StoreLocked(
                f"{path} must be readable by its owner alone, others may read it.",
                hint=f"`chmod 600 {path}`; if others could have read it, export and erase.",
            )
        return path.read_bytes()
    except OSError:
        return None


def _write_private(path: Path, data: bytes) -> None:
    """Write a new file, mode 0600, and wait until it is on disk."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as wrong:
        raise EnvironmentFault(
            f"{path} must be writable, got: {wrong.strerror}.", hint="check the folder's rights."
        ) from None


def _bound(words: dict[str, Any]) -> str:
    """Spell what the seal of the data key covers beside the key."""
    return json.dumps({k: v for k, v in words.items() if k != "sealed"}, sort_keys=True)
