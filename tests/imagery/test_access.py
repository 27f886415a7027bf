"""Files elsewhere: bounded retries, nothing remembered across runs, and no key anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.errors import DefinitionInvalid, NotFound, SceneUnreadable, SettingInvalid
from geotransfer.imagery import signers as signers_module
from geotransfer.imagery.access import (
    Access,
    read_chunks,
    read_document,
    sign,
    strip_item_secrets,
    strip_secrets,
    use_access,
)
from geotransfer.imagery.raster_files import close_files, open_raster
from geotransfer.imagery.signers import find_signer, read_signers
from tests.faulty_server import FOREVER, Server, serve

QUICK = Access(n_retries=2, retry_delay_s=0.01, timeout_s=0.5)
AFFINE = Affine(10, 0, 500000, 0, -10, 5000000)


def write_raster(path: Path, value: int, *, size: int = 64) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=1, dtype="uint16",
        crs="EPSG:32631", transform=AFFINE, tiled=True, blockxsize=16, blockysize=16,
    ) as file:  # fmt: skip
        file.write(np.full((1, size, size), value, dtype=np.uint16))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "www"
    folder.mkdir()
    with serve(folder) as running:
        yield running
    close_files()


def read_pixel(server: Server, name: str, access: Access) -> int:
    with use_access(access), open_raster(f"{server.url}/{name}") as file:
        return int(file.dataset.read(1, window=((0, 1), (0, 1)))[0, 0])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://a.org/x.tif", "https://a.org/x.tif"),
        ("https://a.org/x.tif?v=2", "https://a.org/x.tif?v=2"),
        ("https://a.org/x.tif?st=1&se=2&sp=r&sig=abc%3D", "https://a.org/x.tif"),
        ("https://a.org/x.tif?se=2", "https://a.org/x.tif?se=2"),
        ("https://a.org/x?id=7&X-Amz-Signature=abc&X-Amz-Date=1", "https://a.org/x?id=7"),
        ("https://me:pw@a.org/x.tif", "https://a.org/x.tif"),
        ("s3://bucket/x.tif", "s3://bucket/x.tif"),
        (
            "cannot open '/vsicurl/https://a.org/x?token=abc'",
            "cannot open '/vsicurl/https://a.org/x'",
        ),
    ],
)
def test_signatures_and_logins_leave_an_address(given: str, kept: str) -> None:
    assert strip_secrets(given) == kept
    assert strip_secrets(kept) == kept


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["id", "v", "sig", "token", "se", "X-Goog-Signature", "apikey"]),
            st.text("abcdefgh0123456789%", min_size=1, max_size=8),
        ),
        max_size=6,
    )
)
def test_what_is_left_of_a_query_is_what_is_no_secret(pairs: list[tuple[str, str]]) -> None:
    """Against an obvious reference that parses the query."""
    address = "https://a.org/x.tif" + ("?" if pairs else "")
    address += "&".join(f"{name}={value}" for name, value in pairs)
    secret = {"sig", "token", "X-Goog-Signature", "apikey"}
    is_signed = any(name in secret for name, _ in pairs)
    expected = [n for n, _ in pairs if n not in secret and not (is_signed and n == "se")]
    left = parse_qsl(urlsplit(strip_secrets(address)).query, keep_blank_values=True)
    assert [name for name, _ in left] == expected


def test_every_text_of_an_item_is_stripped() -> None:
    item = {"assets": {"a": {"href": "https://a.org/x?sig=1", "alternate": [{"href": "b?sig=2"}]}}}
    assert "sig" not in str(strip_item_secrets(item))


def test_a_failing_server_is_asked_again_a_few_times(server: Server) -> None:
    (server.folder / "x.json").write_text("{}")
    server.faults.statuses["/x.json"] = [503, 429]
    assert read_document(f"{server.url}/x.json", QUICK) == {}
    assert server.count("/x.json") == 3
    server.requests.clear()
    server.faults.statuses["/x.json"] = [503] * 9
    with pytest.raises(SceneUnreadable, match=r"answers 503 after 3 attempts; try again later"):
        read_document(f"{server.url}/x.json", QUICK)
    assert server.count("/x.json") == 1 + QUICK.n_retries


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (404, NotFound, "no such file"),
        (403, SceneUnreadable, "refuses access .403.; set its keys"),
    ],
)
def test_what_will_not_change_is_asked_once(
    server: Server, status: int, error: type[Exception], sentence: str
) -> None:
    server.faults.statuses["/x.json"] = [status] * 9
    with pytest.raises(error, match=sentence):
        read_document(f"{server.url}/x.json", QUICK)
    assert server.count("/x.json") == 1


def test_a_slow_server_and_none_at_all_are_one_sentence(server: Server) -> None:
    (server.folder / "x.json").write_text("{}")
    server.faults.stalls["/x.json"] = FOREVER
    server.faults.stall_s = 0.4
    quick = Access(n_retries=1, retry_delay_s=0.01, timeout_s=0.1)
    with pytest.raises(SceneUnreadable, match="did not answer in time, after the retries"):
        read_document(f"{server.url}/x.json", quick)
    with pytest.raises(SceneUnreadable, match="cannot be reached"):
        read_document("http://127.0.0.1:9/x.json", quick)


def test_an_answer_that_ends_early_is_no_answer(server: Server) -> None:
    (server.folder / "x.bin").write_bytes(b"a" * 1000)
    server.faults.cut["/x.bin"] = 400
    with pytest.raises(SceneUnreadable, match=r"x\.bin: the connection broke|ended after 400"):
        b"".join(read_chunks(f"{server.url}/x.bin", QUICK))


def test_rasters_are_retried_and_the_retries_end(server: Server) -> None:
    write_raster(server.folder / "x.tif", 7)
    server.faults.statuses["/x.tif"] = [503, 500]
    assert read_pixel(server, "x.tif", QUICK) == 7
    write_raster(server.folder / "y.tif", 7)
    server.faults.statuses["/y.tif"] = [503] * 99
    with pytest.raises(rasterio.errors.RasterioError, match="503"):
        read_pixel(server, "y.tif", QUICK)
    # The look that makes GDAL forget is not retried; the one that is meant asks by HEAD and GET.
    assert server.count("/y.tif") <= 2 + 2 * (1 + QUICK.n_retries)


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_failure_is_not_remembered_by_the_next_run(server: Server, status: int) -> None:
    """GDAL keeps failures for the life of a process: a worker would never recover."""
    write_raster(server.folder / "x.tif", 7)
    server.faults.statuses["/x.tif"] = [status] * 50
    once = Access(n_retries=0, retry_delay_s=0.01, timeout_s=0.5, run_id=f"first-{status}")
    with pytest.raises(rasterio.errors.RasterioError):
        read_pixel(server, "x.tif", once)
    server.faults.statuses.clear()
    again = Access(n_retries=0, retry_delay_s=0.01, timeout_s=0.5, run_id=f"second-{status}")
    assert read_pixel(server, "x.tif", again) == 7


def test_a_file_published_again_is_read_anew_by_the_next_run(server: Server) -> None:
    """GDAL keeps parts of remote files: old pixels would enter a tile under the new key."""
    write_raster(server.folder / "x.tif", 7)
    assert read_pixel(server, "x.tif", Access(run_id="first")) == 7
    write_raster(server.folder / "x.tif", 9)
    assert read_pixel(server, "x.tif", Access(run_id="second")) == 9


def test_within_a_run_a_file_is_opened_once(server: Server) -> None:
    write_raster(server.folder / "x.tif", 7)
    access = Access(run_id="one")
    read_pixel(server, "x.tif", access)
    n = len(server.requests)
    read_pixel(server, "x.tif", access)
    assert len(server.requests) == n


SIGNERS = """
signers:
  - name: tokens
    hosts: ["127.0.0.*"]
    kind: token
    token_url: {url}/token/{{container}}
    token_key: answer
    expiry_key: until
"""


@pytest.fixture
def signed(server: Server, tmp_path: Path) -> Iterator[Access]:
    path = tmp_path / "signers.yaml"
    path.write_text(SIGNERS.format(url=server.url))
    until = datetime.now(UTC) + timedelta(hours=1)
    server.answers["/token/data"] = lambda _: {
        "answer": "token=SECRET",
        "until": until.isoformat(),
    }
    server.faults.needed_token = "SECRET"
    (server.folder / "data").mkdir()
    yield Access(
        n_retries=1, retry_delay_s=0.01, timeout_s=0.5, signers=read_signers(str(path)), run_id="s"
    )
    signers_module._tokens.clear()


def test_a_token_opens_files_and_is_fetched_once(server: Server, signed: Access) -> None:
    for name in ("a", "b"):
        write_raster(server.folder / "data" / f"{name}.tif", 7)
        assert read_pixel(server, f"data/{name}.tif", signed) == 7
    assert server.count("/token/data") == 1
    (server.folder / "data" / "c.json").write_text("[1]")
    assert read_document(f"{server.url}/data/c.json", signed) == [1]


def test_a_token_is_neither_logged_nor_told(
    server: Server, signed: Access, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    write_raster(server.folder / "data" / "a.tif", 7)
    read_pixel(server, "data/a.tif", signed)
    for status in (503, 403, 404):
        server.faults.statuses["/data/b.tif"] = [status] * 20
        with pytest.raises(rasterio.errors.RasterioError):
            read_pixel(server, "data/b.tif", signed)
        server.faults.statuses["/data/b.json"] = [status] * 20
        with pytest.raises((SceneUnreadable, NotFound)) as caught:
            read_document(f"{server.url}/data/b.json", signed)
        assert "SECRET" not in str(caught.value)
    assert sign(f"{server.url}/data/a.tif", signed).endswith("?token=SECRET")
    assert any("Retrying" in record.getMessage() for record in caplog.records)
    assert "SECRET" not in caplog.text


def test_a_key_from_the_environment_goes_into_the_header_of_its_host_alone(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "signers.yaml"
    path.write_text(
        "signers: [{name: keyed, hosts: [127.0.0.1], kind: header, prefix: 'Bearer ',"
        " variable: TEST_KEY}]"
    )
    access = Access(n_retries=0, timeout_s=0.5, signers=read_signers(str(path)), run_id="h")
    server.faults.needed_header = "Bearer SECRET"
    write_raster(server.folder / "x.tif", 7, size=256)
    monkeypatch.delenv("TEST_KEY", raising=False)
    with pytest.raises(SettingInvalid, match="TEST_KEY, which is not set"):
        read_pixel(server, "x.tif", access)
    monkeypatch.setenv("TEST_KEY", "SECRET")
    with use_access(access), open_raster(f"{server.url}/x.tif") as file:
        opened = file.dataset
    # Blocks are fetched long after the opening, still with the header.
    assert (opened.read(1) == 7).all()
    (server.folder / "x.json").write_text("1")
    assert read_document(f"{server.url}/x.json", access) == 1
    assert find_signer("https://elsewhere.org/x.tif", access.signers) is None
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("signers: 3", "'signers' is no list"),
        ("rows: []", "'rows' is not known"),
        ("signers: [{name: a, hosts: [b], kind: magic}]", "of kind 'magic'; use 'token' or"),
        ("signers: [{name: a, hosts: b, kind: token}]", "'hosts' is no list"),
        ("signers: [{name: a, hosts: [b], kind: token}]", "no 'token_url'"),
        ("signers: [{name: a, hosts: [b], kind: header}]", "no 'variable'"),
        ("signers: [\n - {", "not YAML .line 2"),
        ("a: &a [1]\nsigners: *a", "aliases"),
        ("signers: !!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_a_faulty_file_of_signers_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "signers.yaml"
    path.write_text(text)
    with pytest.raises(DefinitionInvalid, match=sentence) as caught:
        read_signers(str(path))
    assert str(caught.value).count("\n") == 0


def test_no_file_of_signers_is_an_empty_table_and_a_missing_one_is_said(tmp_path: Path) -> None:
    assert read_signers("") == ()
    with pytest.raises(NotFound, match="no such file of signers"):
        read_signers(str(tmp_path / "none.yaml"))
