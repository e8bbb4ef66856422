# SPDX-License-Identifier: Apache-2.0
"""`privet key new`: an Ed25519 key that signs policies, rounds or ledgers."""

import os
from pathlib import Path
from typing import Annotated

import click
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.errors import DataError

key = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make signing keys.",
)


@key.callback()
def _group() -> None:
    """Make signing keys."""


@key.command()
def new(file: Annotated[Path, typer.Argument(help="Where to write the private key.")]) -> None:
    """Write a new private key (PEM, readable by its owner alone) and print the public one."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as wrong:
        raise DataError(
            f"the key's file must be new and writable, got {wrong.strerror}: {file}.",
            hint="choose another name; an existing key is never overwritten.",
        ) from None
    with os.fdopen(handle, "wb") as out:
        out.write(pem)
        out.flush()
        os.fsync(out.fileno())
    click.echo(private.public_key().public_bytes_raw().hex())
