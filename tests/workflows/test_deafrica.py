"""Reference tables over a wire that breaks, lies and refuses; and from a folder."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import NotFound, SpecMismatch, TableInvalid
from geotransfer.store.workspace import Workspace
from geotransfer.workflows import deafrica
from geotransfer.workflows.deafrica import fetch_tables, import_tables
from geotransfer.workflows.source import TABLES

REGIONS = ("eastern", "sahel")
FILES = {region: f"{region} ".encode() * 5000 for region in REGIONS}


@dataclass
class Source:
    """What the server does, and what it was asked."""

    files: dict[str, bytes]
    knows_ranges: bool = True
    breaks_after: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """A server on the loopback that can break off, forget ranges and lose files."""
    served = Source(files=dict(FILES))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            region = self.path.strip("/").split("/")[0]
            asked = self.headers.get("Range")
            served.asked.append((region, asked))
            if region not in served.files:
                self.send_error(404)
                return
            whole = served.files[region]
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if asked and served.knows_ranges and start >= len(whole):
                self.send_error(416)
                return
            is_part = bool(asked) and served.knows_ranges
            body = whole[start:] if is_part else whole
            self.send_response(206 if is_part else 200)
            if is_part:
                self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.breaks_after.pop(region, len(body))])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    sums = {region: hashlib.sha256(data).hexdigest() for region, data in FILES.items()}
    monkeypatch.setattr(deafrica, "SHA256", sums)
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def locate(workspace: Workspace, region: str) -> Path:
    return workspace.folder / TABLES / region / "training_data.txt"


def list_left(workspace: Workspace) -> list[str]:
    return sorted(p.name for p in (workspace.folder / TABLES).rglob("*") if p.is_file())


def test_tables_are_fetched_once(workspace: Workspace, source: Source) -> None:
    told: list[str] = []
    fetched = fetch_tables(
        workspace, base_url=source.url, progress=lambda _, __, what: told.append(what)
    )
    assert fetched == REGIONS
    assert all(locate(workspace, r).read_bytes() == FILES[r] for r in REGIONS)
    assert told == ["fetching eastern", "fetching sahel", "fetched"]
    fetch_tables(workspace, base_url=source.url)
    assert source.asked == [("eastern", None), ("sahel", None)], "nothing is fetched twice"


def test_a_broken_download_goes_on_where_it_stopped(workspace: Workspace, source: Source) -> None:
    source.breaks_after["sahel"] = 12_345
    with pytest.raises(NotFound, match=r"broke off.*run the command again"):
        fetch_tables(workspace, base_url=source.url)
    assert not locate(workspace, "sahel").exists(), "a part never passes for a table"
    fetch_tables(workspace, base_url=source.url)
    assert source.asked[-1] == ("sahel", "bytes=12345-")
    assert locate(workspace, "sahel").read_bytes() == FILES["sahel"]
    assert list_left(workspace) == ["training_data.txt"] * 2


def test_a_source_without_ranges_sends_it_all_again(workspace: Workspace, source: Source) -> None:
    source.knows_ranges = False
    source.breaks_after["eastern"] = 100
    with pytest.raises(NotFound):
        fetch_tables(workspace, base_url=source.url)
    fetch_tables(workspace, base_url=source.url)
    assert locate(workspace, "eastern").read_bytes() == FILES["eastern"]


def test_a_part_that_is_whole_already_is_used(workspace: Workspace, source: Source) -> None:
    part = locate(workspace, "eastern").with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES["eastern"])
    fetch_tables(workspace, base_url=source.url)
    assert locate(workspace, "eastern").read_bytes() == FILES["eastern"]


def test_a_table_with_another_sum_is_refused_and_removed(
    workspace: Workspace, source: Source
) -> None:
    source.files["sahel"] = b"another table"
    with pytest.raises(TableInvalid, match=r"sahel/training_data\.txt is not the file expected"):
        fetch_tables(workspace, base_url=source.url)
    assert list_left(workspace) == ["training_data.txt"], "only the good one is there"
    source.files["sahel"] = FILES["sahel"]
    assert fetch_tables(workspace, base_url=source.url) == REGIONS


def test_a_table_damaged_on_disk_is_fetched_again(workspace: Workspace, source: Source) -> None:
    fetch_tables(workspace, base_url=source.url)
    locate(workspace, "eastern").write_bytes(b"damaged")
    fetch_tables(workspace, base_url=source.url)
    assert locate(workspace, "eastern").read_bytes() == FILES["eastern"]


def test_a_missing_table_names_its_address(workspace: Workspace, source: Source) -> None:
    del source.files["eastern"]
    with pytest.raises(NotFound, match=r"/eastern/training_data\.txt answered 404"):
        fetch_tables(workspace, base_url=source.url)
    assert list_left(workspace) == []


def test_no_network_says_so(workspace: Workspace) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(NotFound, match="connect to the network and run the command again"):
            fetch_tables(workspace, base_url=url)


def write_table(folder: Path, *, n: int = 8, columns: tuple[str, ...] | None = None) -> None:
    folder.mkdir(parents=True)
    names = columns or ("Class", *S2_SEMIANNUAL.measured_names)
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.arange(n) % 2, rng.uniform(0.1, 0.3, (n, len(names) - 1))])
    np.savetxt(folder / "training_data.txt", rows, header=" ".join(names), fmt="%.5f")


def test_import_copies_what_it_has_read(workspace: Workspace, tmp_path: Path) -> None:
    for region in REGIONS:
        write_table(tmp_path / "tables" / region)
    assert import_tables(workspace, tmp_path / "tables") == REGIONS
    for region in REGIONS:
        given = tmp_path / "tables" / region / "training_data.txt"
        assert locate(workspace, region).read_bytes() == given.read_bytes()


def test_one_bad_table_and_none_is_imported(workspace: Workspace, tmp_path: Path) -> None:
    write_table(tmp_path / "tables" / "eastern")
    write_table(tmp_path / "tables" / "sahel", columns=("Class", "blue_S1"))
    with pytest.raises(SpecMismatch, match="sahel"):
        import_tables(workspace, tmp_path / "tables")
    assert list_left(workspace) == []


def test_a_folder_without_tables_says_what_is_looked_for(
    workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=r"no table found; give a folder that holds <region>"):
        import_tables(workspace, tmp_path)
