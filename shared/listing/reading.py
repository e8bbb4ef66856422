# SPDX-License-Identifier: Apache-2.0
"""From files to rows of strings, with the line of each row, and one typed error for a bad file.

Every reader is a generator, so that a file of gigabytes never lies in memory as strings.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any

from shared.errors import DataError

Row = tuple[int, tuple[str, ...]]
"""Line number, counted from 1, and the fields."""

LARGEST_FIELD = 1 << 26
"""Bytes of one CSV field; Python's own limit of 128 KiB would refuse a long comment."""


def refuse(path: Path, line: int, column: str, rule: str, got: str, hint: str = "") -> DataError:
    """Return the error for one bad row: file, line, column and kind, never the value."""
    where = f"{path} line {line}" + (f" column {column}" if column else "")
    return DataError(
        f"{where} must be {rule}, got {got}.", hint=hint or "correct the row or leave it out."
    )


def text_lines(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    """Yield the lines of a text file, plain or .gz, refusing wrong bytes by file and line."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                line = raw.decode(encoding)
                yield line.removeprefix("\ufeff") if number == 1 else line
    except UnicodeDecodeError:
        raise refuse(
            path, number, "", "UTF-8 text", "other bytes", "save the file as UTF-8."
        ) from None
    except FileNotFoundError:
        raise DataError(f"{path} must exist, got no such file.", hint="add it.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise refuse(
            path, number + 1, "", "readable gzip", "damaged bytes", "fetch the file again."
        ) from None
    except OSError as wrong:
        raise DataError(
            f"{path} must be a readable file, got {wrong.strerror}.", hint="check its permissions."
        ) from None


def split_rows(path: Path, separator: str, fields: int, encoding: str = "utf-8") -> Iterator[Row]:
    """Yield the rows of a file without header or quotes, every one of the same length."""
    for number, line in enumerate(text_lines(path, encoding), 1):
        row = tuple(line.rstrip("\r\n").split(separator))
        if row == ("",):
            continue
        if len(row) != fields:
            raise refuse(path, number, "", f"{fields} fields", str(len(row)))
        yield number, row


def csv_header(path: Path) -> list[str]:
    """Return the names of the columns of a CSV file."""
    for _, header in _csv_records(path):
        return [name.strip() for name in header]
    raise DataError(f"{path} must have a header, got an empty file.", hint="name its columns.")


def csv_rows(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the named columns of a CSV file, in the order asked; an absent optional one is ""."""
    header = csv_header(path)
    for name in required:
        if name not in header:
            raise DataError(
                f"{path} must have a column {name}, got {', '.join(header)[:200]}.",
                hint=f"required are {', '.join(required)}.",
            )
    width = len(header)
    places = [header.index(name) if name in header else width for name in (*required, *optional)]
    pick = itemgetter(*places, width)  # one more, because of one column it makes no tuple
    records = _csv_records(path)
    next(records)
    for number, fields in records:
        if not fields:
            continue
        if len(fields) != width:
            raise refuse(path, number, "", f"{width} fields", str(len(fields)))
        fields.append("")
        yield number, pick(fields)[:-1]


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the fields of each CSV record."""
    csv.field_size_limit(LARGEST_FIELD)
    reader = csv.reader(text_lines(path), strict=True)
    for _ in count():
        start = reader.line_num + 1
        try:
            yield start, next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise refuse(
                path, start, "", "well-formed CSV", "a broken quote, line end or huge field"
            ) from None


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line and the object of each line of a JSON-lines file, plain or .gz."""
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise refuse(path, number, "", "one JSON object", "something else")
        yield number, record
