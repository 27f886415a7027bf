"""Delimited text: any delimiter, encoding, quoting; each row keeps the line it stands on."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from geotransfer.errors import LabelsInvalid
from geotransfer.labels.columns import count_known_names
from geotransfer.labels.limits import MAX_CELL_CHARS, MAX_COLUMNS, MAX_ROWS, shorten
from geotransfer.labels.raw import Fault, FaultKind, RawTable, fill_objects

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar", " ": "space"}
"""Delimiters tried, with their names; at a tie the earlier wins."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_DECIMAL = re.compile(r"[-+]?\d+[.,]\d+(?:[eE][-+]?\d+)?")
_SAMPLE_ROWS = 50
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


def decode_text(data: bytes, *, file_name: str) -> tuple[str, str, tuple[str, ...]]:
    """Decode text: by its byte-order mark, else UTF-16 by its zeros, UTF-8, Windows-1252.

    Returns
    -------
    The text, the encoding's name and warnings.

    Raises
    ------
    LabelsInvalid
        The bytes are no text.
    """
    marked = next(((c, n) for mark, c, n in _MARKS if data.startswith(mark)), None)
    codec, name = marked or _guess_wide(data) or ("utf-8", "UTF-8")
    warnings: tuple[str, ...] = ()
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        if codec != "utf-8":
            raise LabelsInvalid(
                f"{file_name}: byte {error.start + 1:,} is not {name}, which the file starts as;"
                " it is cut off or damaged: save it again as UTF-8."
            ) from error
        name = "Windows-1252"
        text = data.decode("cp1252", errors="replace")
        warnings = (
            (
                f"{file_name} is not UTF-8 and was read as Windows-1252 (Latin-1); look at names"
                " with accents, and save the file as UTF-8 if they are wrong."
            ),
        )
    control = _CONTROL.search(text.rstrip("\x1a"))
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise LabelsInvalid(
            f"{file_name}: line {line:,} holds bytes that are no text, so this is not the text"
            " table its name promises; export the labels again as UTF-8."
        )
    return text.rstrip("\x1a"), name, warnings


def _guess_wide(data: bytes) -> tuple[str, str] | None:
    """UTF-16 without a mark: in text of western scripts every second byte is zero."""
    head = data[:4000]
    if len(head) < 4 or head.count(0) * 5 < len(head):
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    return ("utf-16-le", "UTF-16") if odd > even else ("utf-16-be", "UTF-16")


def read_delimited(
    data: bytes, file_name: str, *, spec_names: frozenset[str] = frozenset()
) -> RawTable:
    """Read delimited text.

    Parameters
    ----------
    spec_names
        Names of feature columns; a header that holds them is recognised by them.

    Raises
    ------
    LabelsInvalid
        The file is empty, holds a header only, has no delimiter or is no table.
    """
    text, encoding, warnings = decode_text(data, file_name=file_name)
    first_line, text = _skip_separator_line(text)
    if not text.strip():
        raise LabelsInvalid(
            f"{file_name} is empty; export the labels again, with one header line and one line a"
            " label."
        )
    delimiter = first_line or _choose_delimiter(
        text, file_name=file_name, spec_names=spec_names, encoding=encoding
    )
    offset = 1 if first_line else 0
    records = _iterate_records(text, delimiter, file_name=file_name, offset=offset)
    header_line, header = next(records)
    names, width = _name_columns(header, file_name=file_name)
    lines: list[int] = []
    cells: list[list[str]] = []
    ragged: dict[int, int] = {}
    for line, record in records:
        if len(record) != width:
            record, n_cells = _fit_record(record, width)
            if n_cells != width:
                ragged[len(lines)] = n_cells
        lines.append(line)
        cells.append(record)
        if len(lines) > MAX_ROWS:
            raise LabelsInvalid(
                f"{file_name}: it holds more than {MAX_ROWS:,} rows; split the file."
            )
    if not lines:
        raise LabelsInvalid(
            f"{file_name}: line {header_line} is a header and no label follows; add one line a"
            " label."
        )
    _check_header(names, file_name=file_name, line=header_line)
    _check_width(ragged, width, lines, delimiter, file_name=file_name, header=header_line)
    columns = zip(*cells, strict=True)
    escaped = "'" in text
    word = DELIMITERS.get(delimiter, repr(delimiter))
    return RawTable(
        file_name=file_name,
        format="CSV",
        row_word="line",
        rows=np.array(lines, dtype=np.int64),
        columns={
            name: fill_objects(list(map(_unescape, column)) if escaped else list(column))
            for name, column in zip(names, columns, strict=True)
        },
        faults={
            index: Fault(
                FaultKind.ROW,
                f"it has {_count_cells(n)} where the header has {width}",
                f"write one cell a column, separated by {word}; put text that holds it in"
                " quotation marks",
            )
            for index, n in ragged.items()
        },
        delimiter=delimiter,
        encoding=encoding,
        warnings=warnings,
    )


def _skip_separator_line(text: str) -> tuple[str, str]:
    """Take the ``sep=;`` line that Excel writes; return its delimiter and the rest."""
    match = re.match(r'"?sep=([,;\t| ])"?\r?\n', text, re.IGNORECASE)
    return (match[1], text[match.end() :]) if match else ("", text)


def _iterate_records(
    text: str, delimiter: str, *, file_name: str, offset: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank with the line it starts on."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        skipinitialspace=delimiter == " ",
        strict=True,
    )
    line = 1
    try:
        for record in reader:
            if record and (record[0] or any(record)):
                if delimiter == " " and record[-1] == "":
                    record = record[:-1]
                yield line + offset, record
            line = reader.line_num + 1
    except csv.Error as error:
        if "field" in str(error):
            raise LabelsInvalid(
                f"{file_name}: line {line + offset:,} holds a cell of more than"
                f" {MAX_CELL_CHARS:,} characters; close its quotation mark, or simplify the"
                " outline in it."
            ) from error
        raise LabelsInvalid(
            f"{file_name}: line {line + offset:,} has a quotation mark that is not closed, or text"
            " after one that is; put the whole cell in quotation marks and double those inside."
        ) from error


def _choose_delimiter(
    text: str, *, file_name: str, spec_names: frozenset[str], encoding: str
) -> str:
    """Take the delimiter under which the header holds known names and rows have its width."""
    # The sample ends at a line end; a quoted cell may still be cut, which only lowers its score.
    lines = list(itertools.islice(io.StringIO(text, newline=""), _SAMPLE_ROWS))
    sample = "".join(line[:10_000] for line in lines)
    best, best_score = "", (0, 0.0, 0)
    for delimiter in DELIMITERS:
        records = _sample_records(sample, delimiter)
        if not records or len(records[0]) < 2:
            continue
        header = [clean_name(name) for name in records[0]]
        known = count_known_names(header, spec_names=spec_names)
        width = len(records[0])
        even = sum(len(record) == width for record in records) / len(records)
        score = (known, even, width)
        if score > best_score:
            best, best_score = delimiter, score
    if best:
        return best
    first = next(line for line in lines if line.strip())
    read_as = "" if encoding == "UTF-8" else f" (read as {encoding})"
    raise LabelsInvalid(
        f"{file_name}: its first line {shorten(first, limit=40)!r}{read_as} is one cell under every"
        " delimiter tried (comma, semicolon, tab, vertical bar, space); export the labels as CSV"
        " with a header such as 'lon,lat,class'."
    )


def _sample_records(sample: str, delimiter: str) -> list[list[str]]:
    records: list[list[str]] = []
    reader = csv.reader(
        io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=delimiter == " "
    )
    try:
        records.extend(record for record in reader if any(record))
    except csv.Error:
        return records
    return records


def clean_name(name: str) -> str:
    """Return a column name in composed form, without spaces around it or a leading ``#``."""
    return " ".join(unicodedata.normalize("NFC", name).lstrip("#").split())


def _name_columns(header: list[str], *, file_name: str) -> tuple[list[str], int]:
    """Names of the columns, each once, and how many cells a record has."""
    if header and header[0] == "#":  # as numpy and R write it
        header = header[1:]
    if len(header) > MAX_COLUMNS:
        raise LabelsInvalid(
            f"{file_name}: its header has {len(header):,} columns, more than the {MAX_COLUMNS:,} a"
            " file may have; keep place, class, date and the features of one spec."
        )
    return make_unique(clean_name(name) for name in header), len(header)


def make_unique(names: Iterable[str]) -> list[str]:
    """Return the names with empty ones numbered and repeated ones told apart."""
    seen: Counter[str] = Counter()
    unique: list[str] = []
    for position, name in enumerate(names, start=1):
        name = name or f"column {position}"
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _fit_record(record: list[str], width: int) -> tuple[list[str], int]:
    """Cut or fill a record to ``width``; return it and how many cells it really has."""
    n_cells = len(record)
    while n_cells > width and not record[n_cells - 1].strip():
        n_cells -= 1
    return [*record[:width], *[""] * (width - n_cells)], n_cells


def _check_header(names: list[str], *, file_name: str, line: int) -> None:
    decimals = sum(_DECIMAL.fullmatch(name) is not None for name in names)
    if decimals >= 2 or all(name.isdigit() for name in names):
        raise LabelsInvalid(
            f"{file_name}: line {line} holds numbers where column names belong; add a header line"
            " such as 'lon,lat,class'."
        )


def _check_width(
    ragged: dict[int, int],
    width: int,
    lines: list[int],
    delimiter: str,
    *,
    file_name: str,
    header: int,
) -> None:
    """Refuse a file most of whose rows do not fit the header: another delimiter was meant."""
    if len(ragged) * 2 <= len(lines):
        return
    index, n_cells = next(iter(ragged.items()))
    word = DELIMITERS.get(delimiter, repr(delimiter))
    hint = (
        "save it with semicolons, since its numbers seem to have decimal commas"
        if delimiter == "," and n_cells > width
        else "use one delimiter throughout"
    )
    raise LabelsInvalid(
        f"{file_name}: by {word}, line {header} has {width} cells but line {lines[index]}"
        f" has {_count_cells(n_cells)}, as have {len(ragged):,} of {len(lines):,} rows; {hint}."
    )


def _count_cells(n: int) -> str:
    return "1 cell" if n == 1 else f"{n} cells"


ACTIVE_CELL = re.compile(r"[\t\r\n]|[\s\ufeff]*[=+\-@＝＋－＠]")
"""What a spreadsheet may take for the start of a formula."""


def _unescape(cell: str) -> str:
    """Take away the apostrophe that our own exports put before ``=``, ``+``, ``-``, ``@``."""
    return cell[1:] if cell[:1] == "'" and ACTIVE_CELL.match(cell, 1) else cell
