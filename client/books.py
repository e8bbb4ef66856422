# SPDX-License-Identifier: Apache-2.0
"""What the sealed store of a device means: settings, events, receipts, the answer in hand."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from client.events import Event
from client.receipts import Chain
from client.settings import Settings
from client.store import Record, Store
from shared.privacy.query import SparseVector
from shared.schema import Floats


class Books:
    """Typed access to the tables of one store; every change is one commit.

    settings   one record                       events     ratings and comments, oldest first
    receipts   signed links                     outbox     the last answer, as long as it may be
    vectors    of comments, by encoder          acts       what was done with comments
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._settings: Settings | None = None
        self._chain: Chain | None = None

    @property
    def settings(self) -> Settings:
        """The one record of settings."""
        if self._settings is None:
            self._settings = Settings.of(self.store.table("settings")[0])
        return self._settings

    @property
    def events(self) -> list[Event]:
        """Ratings and comments, oldest first; private."""
        return [Event.of(record) for record in self.store.table("events")]

    @property
    def chain(self) -> Chain:
        """The receipts; what is added to them is on disk after the next commit of them."""
        if self._chain is None:
            self._chain = Chain(self.store.table("receipts"))
        return self._chain

    @property
    def outbox(self) -> Record | None:
        """The last answer, None before the first."""
        records = self.store.table("outbox")
        return dict(records[0]) if records else None

    def commit(
        self,
        *,
        settings: Settings | None = None,
        events: Sequence[Event] | None = None,
        chain: Chain | None = None,
        outbox: Record | None = None,
        tables: dict[str, list[Record]] | None = None,
        scrub: bool = False,
    ) -> None:
        """Write what is given in one transaction; on disk when this returns.

        Raises:
            EnvironmentFault: the disk is full or cannot be written; all is as before.
        """
        changes: dict[str, list[Record]] = dict(tables or {})
        if settings is not None:
            changes["settings"] = [settings.record()]
        if events is not None:
            changes["events"] = [event.record() for event in events]
        if chain is not None:
            changes["receipts"] = chain.records
        if outbox is not None:
            changes["outbox"] = [outbox]
        try:
            self.store.commit(changes, scrub=scrub)
        except BaseException:
            self._settings = self._chain = None  # as they are on disk
            raise
        self._settings = settings or self._settings


def pack(array: npt.NDArray[Any]) -> str:
    """Spell the bytes of an array."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def unpack(text: str, kind: str) -> npt.NDArray[Any]:
    """Read an array of one dimension."""
    return np.frombuffer(base64.b64decode(text), dtype=kind).copy()


def pack_vector(vector: Floats | SparseVector) -> Record:
    """Spell a vector by its coordinates that are not zero."""
    if isinstance(vector, SparseVector):
        places, values = vector.indices, vector.values
    else:
        places = np.flatnonzero(vector)
        values = vector[places]
    size = vector.dimension if isinstance(vector, SparseVector) else len(vector)
    return {
        "size": size,
        "places": pack(places.astype("<i8")),
        "values": pack(np.asarray(values, dtype="<f8")),
    }


def unpack_vector(record: Record) -> SparseVector:
    """Read a vector."""
    places, values = unpack(record["places"], "<i8"), unpack(record["values"], "<f8")
    return SparseVector(int(record["size"]), places.astype(np.int64), values.astype(np.float64))
