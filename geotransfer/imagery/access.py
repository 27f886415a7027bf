"""Access: how files and catalogs elsewhere are reached. Bounded retries, signatures, no secrets.

GDAL reads rasters (``/vsicurl``, ``/vsis3``); descriptions come over one HTTP session with the same
retries. Nothing here writes, and no message or log line carries a key.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import rasterio
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from geotransfer.errors import NotFound, SceneInvalid, SceneUnreadable
from geotransfer.imagery.signers import Signer, make_headers, read_signers, sign_href
from geotransfer.settings import Settings

RETRIED = (429, 500, 502, 503, 504)
"""Answers that may be better the next time."""
MAX_DOCUMENT_BYTES = 512 << 20
CHUNK_BYTES = 1 << 20

_SECRET = re.compile(
    r"(sig|signature|token|access_token|sas|password|auth|authorization|api[-_]?key|key"
    r"|subscription-key|awsaccesskeyid|googleaccessid|key-pair-id|policy|hdnts|x-(amz|goog)-.*)",
    re.IGNORECASE,
)
_SHARED = re.compile(
    r"(st|se|sp|sv|sr|spr|sip|ske|sks|skt|skv|skoid|sktid|expires|sdd|ses)", re.IGNORECASE
)
"""Parts of a shared-access signature: too short to drop where no signature is beside them."""
_QUERY = re.compile(r"\?([^\s'\"<>|]+)")
_LOGIN = re.compile(r"(\w+://)[^/@\s'\"]+@")
_HEADER = re.compile(r"(authorization['\"]?\s*[:=]\s*)(['\"]?)[^'\"\r\n}]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to ask: travels to workers with their task."""

    n_retries: int = 4
    retry_delay_s: float = 0.5
    """Before the first retry; it doubles with each."""
    timeout_s: float = 30.0
    """Of one attempt."""
    signers: tuple[Signer, ...] = ()
    run_id: str = ""
    """Names a run: what an earlier run of the same process remembers of a file is forgotten."""


DIRECT = Access()
"""The defaults, without any signer."""

_current: ContextVar[Access] = ContextVar("access", default=DIRECT)


def find_access() -> Access:
    """Return how this thread asks: as the work it does was told (``use_access``), or directly."""
    return _current.get()


@contextmanager
def use_access(access: Access) -> Iterator[None]:
    """Ask in this way within a ``with``, in this thread; GDAL is told as well."""
    token = _current.set(access)
    try:
        with rasterio.Env(**make_gdal_options(access)):
            yield
    finally:
        _current.reset(token)


def make_access(settings: Settings, *, run_id: str = "") -> Access:
    """Return how the settings ask."""
    return Access(
        n_retries=settings.http_retries,
        retry_delay_s=settings.http_delay_s,
        timeout_s=settings.http_timeout_s,
        signers=read_signers(settings.signers),
        run_id=run_id,
    )


def strip_secrets(text: str) -> str:
    """Return an address, or any text with addresses in it, without keys and signatures."""

    def strip_query(found: re.Match[str]) -> str:
        parts = found.group(1).split("&")
        names = [part.partition("=")[0] for part in parts]
        is_signed = any(_SECRET.fullmatch(name) for name in names)
        kept = [
            part
            for part, name in zip(parts, names, strict=True)
            if not _SECRET.fullmatch(name) and not (is_signed and _SHARED.fullmatch(name))
        ]
        return "?" + "&".join(kept) if kept else ""

    if "?" in text:
        text = _QUERY.sub(strip_query, text)
    return _LOGIN.sub(r"\1", text) if "@" in text else text


def strip_item_secrets(value: Any) -> Any:
    """Return JSON parts with every text in them stripped of secrets."""
    if isinstance(value, str):
        return strip_secrets(value)
    if isinstance(value, Mapping):
        return {key: strip_item_secrets(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [strip_item_secrets(part) for part in value]
    return value


class SecretFilter(logging.Filter):
    """Strips secrets from records: GDAL and urllib3 write whole addresses into their warnings."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record where it holds a secret; never drop it."""
        told = record.getMessage()
        clean = _HEADER.sub(r"\1\2…", strip_secrets(told))
        if clean != told:
            record.msg, record.args = clean, ()
        return True


_FILTER = SecretFilter()
for _name in (
    "rasterio", "rasterio._env", "rasterio._err", "rasterio._io", "rasterio._base", "rasterio.env",
    "rasterio._warp", "rasterio._filepath", "urllib3.connectionpool", "urllib3.util.retry",
    "pystac_client.stac_api_io", "pystac_client.client", "odc.loader._rio", "odc.stac",
):  # fmt: skip
    logging.getLogger(_name).addFilter(_FILTER)


def is_remote(href: str) -> bool:
    """Whether an address leads away from this machine's file system."""
    return "://" in href and not href.startswith("file://")


def is_http(href: str) -> bool:
    """Whether an address is one of the web."""
    return href.startswith(("http://", "https://"))


def locate_file(href: str) -> Path:
    """Return the path of a local address."""
    return Path(url2pathname(urlparse(href).path)) if href.startswith("file://") else Path(href)


def make_retry(access: Access) -> Retry:
    """Return bounded retries with back-off; no wait is longer than the timeout."""
    return Retry(
        total=access.n_retries,
        backoff_factor=access.retry_delay_s,
        backoff_max=access.timeout_s,
        status_forcelist=RETRIED,
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=max(1, int(access.timeout_s)),
    )


def make_session(access: Access) -> requests.Session:
    """Return an HTTP session with the retries of ``access``."""
    session = requests.Session()
    adapter = HTTPAdapter(max_retries=make_retry(access), pool_maxsize=16)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def fetch_json(address: str, headers: Mapping[str, str], access: Access = DIRECT) -> Any:
    """Get JSON from the web."""
    data = b"".join(_stream(address, address, headers, access))
    return parse_json(data, address)


def parse_json(data: bytes, location: str) -> Any:
    """Parse a description.

    Raises
    ------
    SceneInvalid
        It is no JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        told = strip_secrets(location)
        raise SceneInvalid(f"{told}: not JSON ({error}); give a STAC item file.") from None


def sign(href: str, access: Access) -> str:
    """Return an address as it is opened now; the result is a secret where a signer has a row."""
    if not access.signers or not is_http(href):
        return href
    return sign_href(
        href, access.signers, lambda address, headers: fetch_json(address, headers, access)
    )


def read_chunks(href: str, access: Access = DIRECT) -> Iterator[bytes]:
    """Yield the bytes of a local file or of an address of the web.

    Raises
    ------
    NotFound, SceneUnreadable
        It is not there, is refused, or does not answer in time, after the retries.
    """
    if is_http(href):
        yield from _stream(sign(href, access), href, make_headers(href, access.signers), access)
        return
    if is_remote(href):
        raise SceneUnreadable(
            f"{strip_secrets(href)}: descriptions and checksums are read from files and over http;"
            " give an http address, or state file:checksum in the item."
        )
    path = locate_file(href)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except FileNotFoundError:
        raise NotFound(f"{href}: there is no such file; check the path.") from None
    except OSError as error:
        raise SceneUnreadable(f"{href}: cannot be read ({error.strerror}); try again.") from error


def read_document(location: str, access: Access = DIRECT) -> Any:
    """Read a JSON description from a file or the web."""
    data = bytearray()
    for chunk in read_chunks(location, access):
        data += chunk
        if len(data) > MAX_DOCUMENT_BYTES:
            raise SceneInvalid(
                f"{strip_secrets(location)}: larger than {MAX_DOCUMENT_BYTES >> 20} MB; split the"
                " item collection."
            )
    return parse_json(bytes(data), location)


def _stream(address: str, told: str, headers: Mapping[str, str], access: Access) -> Iterator[bytes]:
    told = strip_secrets(told)
    try:
        with (
            make_session(access) as session,
            session.get(
                address, headers=dict(headers), timeout=access.timeout_s, stream=True
            ) as answer,
        ):
            check_status(answer.status_code, told, access)
            expected = answer.headers.get("Content-Length")
            is_encoded = bool(answer.headers.get("Content-Encoding"))
            n_bytes = 0
            for chunk in answer.iter_content(CHUNK_BYTES):
                n_bytes += len(chunk)
                yield chunk
            if expected and not is_encoded and n_bytes != int(expected):
                raise SceneUnreadable(
                    f"{told}: ended after {n_bytes} of {expected} bytes; try again."
                )
    except requests.RequestException as error:
        raise SceneUnreadable(f"{told}: {_explain(error)}") from None


def _explain(error: requests.RequestException) -> str:
    """Say in words of our own what went wrong; the library's quote whole addresses."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "did not answer in time, after the retries; try again later."
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate cannot be checked; correct the address or the machine's clock."
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke while reading; try again."
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached, after the retries; check the address and the network."
    return f"cannot be read ({type(error).__name__}); check the address."


def check_status(status: int, told: str, access: Access) -> None:
    """Raise the error an HTTP status means; ``told`` names the address without secrets."""
    if status < 400:
        return
    if status in (404, 410):
        raise NotFound(f"{told}: the server has no such file ({status}); check the address.")
    if status in (401, 403):
        raise SceneUnreadable(
            f"{told}: the server refuses access ({status}); set its keys in the environment, or add"
            " a row to the file of signers (GEOTRANSFER_SIGNERS)."
        )
    tries = f" after {access.n_retries + 1} attempts" if status in RETRIED else ""
    raise SceneUnreadable(f"{told}: the server answers {status}{tries}; try again later.")


def make_gdal_options(access: Access, hrefs: Sequence[str] = ()) -> dict[str, str]:
    """Return GDAL's options: bounded retries with back-off, and the headers ``hrefs`` need."""
    options = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_MAX_RETRY": str(access.n_retries),
        "GDAL_HTTP_RETRY_DELAY": str(access.retry_delay_s),
        "GDAL_HTTP_RETRY_CODES": ",".join(map(str, RETRIED)),
        "GDAL_HTTP_TIMEOUT": str(access.timeout_s),
        "GDAL_HTTP_CONNECTTIMEOUT": str(access.timeout_s),
    }
    headers = [pair for href in hrefs for pair in make_headers(href, access.signers).items()]
    if headers:
        options["GDAL_HTTP_HEADERS"] = ",".join(f"{k}: {v}" for k, v in dict(headers).items())
    return options


_known_runs: dict[str, str] = {}
_known_lock = threading.Lock()


def forget_stale(href: str, access: Access) -> None:
    """Make GDAL forget what it knows of a file from an earlier run of this process.

    GDAL keeps a part of every remote file it opened, and every failure, for the life of a process:
    a file published again under its address would be read as it was, and one that was missing once
    would be missing for good. The first opening in each run goes to the server.
    """
    if not is_remote(href):
        return
    with _known_lock:
        if _known_runs.get(href) == access.run_id:
            return
        _known_runs[href] = access.run_id
    with open_uncached(href, replace(access, n_retries=0)):
        try:
            rasterio.open(sign(href, access)).close()
        except rasterio.errors.RasterioError:
            # What is wrong is said by the reading that follows.
            return


_UNCACHED = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/"}


def open_uncached(href: str, access: Access) -> AbstractContextManager[Any]:
    """Return an environment in which GDAL asks the server anew, and remembers no failure."""
    return rasterio.Env(**make_gdal_options(access, [href]), **_UNCACHED)  # type: ignore[no-any-return]
