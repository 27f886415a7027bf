"""Signers are data: which hosts need a key or a signature, and where that comes from.

A row names environment variables and addresses, never a key. Signatures are made when a file is
read and are kept in memory alone, so none reaches a fact, a blob, a log or a message.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import yaml

from geotransfer.core.definition import check_keys, refuse
from geotransfer.errors import NotFound, SceneUnreadable, SettingInvalid

MAX_FILE_BYTES = 1 << 20
TOKEN_MARGIN = timedelta(seconds=60)
"""A token is renewed this long before it ends."""
TOKEN_LIFE = timedelta(minutes=5)
"""Of a token whose answer states no end."""


class SignerKind(StrEnum):
    """How a host wants to be asked."""

    TOKEN = "token"
    """A short-lived token, fetched from an address, is appended to the query."""
    HEADER = "header"
    """A value from the environment goes into a header of every request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One row of the signer table."""

    name: str
    hosts: tuple[str, ...]
    """Host names; ``*`` stands for any part."""
    kind: SignerKind
    token_url: str = ""
    """Where a token is had; ``{host}``, ``{account}`` (first word of the host) and ``{container}``
    (first folder of the path) are filled in."""
    token_key: str = "token"
    expiry_key: str = ""
    header: str = "Authorization"
    prefix: str = ""
    """Put before the value in the header, for example ``"Bearer "``."""
    variable: str = ""
    """Environment variable whose value goes into the header (of requests, or of the token's)."""


FetchJson = Callable[[str, Mapping[str, str]], Any]
"""Gets JSON from an address with headers."""

_tokens: dict[tuple[str, str], tuple[str, datetime]] = {}
_tokens_lock = threading.Lock()


def read_signers(path: str) -> tuple[Signer, ...]:
    """Read the rows of a YAML file; an empty path is an empty table.

    Raises
    ------
    NotFound, DefinitionInvalid
        One sentence that names the row and the remedy.
    """
    if not path:
        return ()
    file = Path(path).expanduser()
    if not file.is_file():
        raise NotFound(f"{path}: there is no such file of signers; correct GEOTRANSFER_SIGNERS.")
    plain = load_yaml(file)
    data = check_keys(plain, known=("signers",), needed=("signers",), where=path, what="file")
    rows = data["signers"]
    if not isinstance(rows, list):
        raise refuse(path, "'signers' is no list", "write one row for each kind of host")
    return tuple(_parse_signer(row, position, where=path) for position, row in enumerate(rows))


def load_yaml(file: Path) -> Any:
    """Read a small YAML file: plain values only, no aliases, no tags that make objects."""
    data = file.read_bytes()[: MAX_FILE_BYTES + 1]
    if len(data) > MAX_FILE_BYTES:
        raise refuse(str(file), "larger than 1 MB", "give a description, not data")
    try:
        text = data.decode()
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise refuse(str(file), "it uses aliases (*name)", "write the values out")
        return yaml.safe_load(text)
    except UnicodeDecodeError:
        raise refuse(str(file), "not UTF-8", "save it as UTF-8") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "somewhere"
        problem = getattr(error, "problem", None) or type(error).__name__
        raise refuse(str(file), f"not YAML ({place}: {problem})", "correct that line") from None


def _parse_signer(plain: Any, position: int, *, where: str) -> Signer:
    what = f"signer {position + 1}"
    known = (
        "name", "hosts", "kind", "token_url", "token_key", "expiry_key", "header", "prefix",
        "variable",
    )  # fmt: skip
    data = check_keys(plain, known=known, needed=("name", "hosts", "kind"), where=where, what=what)
    if data["kind"] not in [kind.value for kind in SignerKind]:
        raise refuse(where, f"{what} is of kind {data['kind']!r}", "use 'token' or 'header'")
    hosts = data["hosts"]
    if not isinstance(hosts, list) or not hosts or not all(isinstance(h, str) for h in hosts):
        raise refuse(where, f"{what}: 'hosts' is no list of names", "write hosts: [data.org]")
    row = Signer(
        **{
            **{key: str(data[key]) for key in known if key in data},
            "kind": SignerKind(data["kind"]),
            "hosts": tuple(host.lower() for host in hosts),
        }  # type: ignore[arg-type]  # keys are checked above
    )
    if row.kind is SignerKind.TOKEN and not row.token_url:
        raise refuse(where, f"{what} has no 'token_url'", "say where a token is had")
    if row.kind is SignerKind.HEADER and not row.variable:
        raise refuse(where, f"{what} has no 'variable'", "name the environment variable")
    return row


def find_signer(href: str, signers: Sequence[Signer]) -> Signer | None:
    """Return the first row whose hosts include that of an address, or None."""
    host = (urlparse(href).hostname or "").lower()
    return next((row for row in signers if host and any(fnmatch(host, h) for h in row.hosts)), None)


def make_headers(href: str, signers: Sequence[Signer]) -> dict[str, str]:
    """Return the headers an address needs, by the table; the values are secrets."""
    signer = find_signer(href, signers)
    if signer is None or signer.kind is not SignerKind.HEADER:
        return {}
    return _read_header(signer)


def _read_header(signer: Signer) -> dict[str, str]:
    if not signer.variable:
        return {}
    value = os.environ.get(signer.variable, "")
    if not value and signer.kind is SignerKind.HEADER:
        raise SettingInvalid(
            f"signer {signer.name!r} needs the environment variable {signer.variable}, which is not"
            " set; set it and try again."
        )
    if any(mark in value for mark in "\r\n"):
        raise SettingInvalid(
            f"the environment variable {signer.variable} holds a line break; set it to one line."
        )
    return {signer.header: signer.prefix + value} if value else {}


def sign_href(href: str, signers: Sequence[Signer], fetch_json: FetchJson) -> str:
    """Return the address with its token, by the table; unchanged where no row asks for one.

    Raises
    ------
    SceneUnreadable
        The address of tokens gave none.
    """
    signer = find_signer(href, signers)
    if signer is None or signer.kind is not SignerKind.TOKEN:
        return href
    parsed = urlparse(href)
    host = parsed.hostname or ""
    address = signer.token_url
    parts = {
        "host": host,
        "account": host.split(".")[0],
        "container": parsed.path.lstrip("/").split("/")[0],
    }
    for key, value in parts.items():
        address = address.replace("{" + key + "}", value)
    token = _find_token(signer, address, fetch_json)
    return f"{href}{'&' if parsed.query else '?'}{token}"


def _find_token(signer: Signer, address: str, fetch_json: FetchJson) -> str:
    key = (signer.name, address)
    with _tokens_lock:
        token, good_until = _tokens.get(key, ("", datetime.min.replace(tzinfo=UTC)))
        now = datetime.now(UTC)
        if token and now < good_until:
            return token
        answer = fetch_json(address, _read_header(signer))
        token = str(answer.get(signer.token_key) or "") if isinstance(answer, dict) else ""
        if not token:
            raise SceneUnreadable(
                f"signer {signer.name!r}: {address} gave no {signer.token_key!r}; correct the row"
                " in the file of signers."
            )
        token = token.lstrip("?&")
        _tokens[key] = (token, _read_expiry(answer.get(signer.expiry_key), now) - TOKEN_MARGIN)
        return token


def _read_expiry(value: object, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return now + TOKEN_LIFE
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
