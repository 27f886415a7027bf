"""How access to files works, by host: anonymous, signed, keys from the environment, who pays.

Only names of environment variables are ever told, and whether they are set.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlparse

from geotransfer.core.found import AccessNote
from geotransfer.core.scene import Scene
from geotransfer.imagery.access import Access, is_remote
from geotransfer.imagery.scene_sizes import list_needed
from geotransfer.imagery.signers import Signer, SignerKind, find_signer


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStore:
    """One row: how GDAL reaches a kind of object store."""

    name: str
    anonymous: str
    """Variable that asks without keys when it says yes."""
    keys: tuple[tuple[str, ...], ...]
    """Sets of variables, each of which is enough."""
    payer: str = ""
    """Variable that agrees to pay for what is read."""


STORES: Mapping[str, ObjectStore] = {
    "s3": ObjectStore(
        name="S3",
        anonymous="AWS_NO_SIGN_REQUEST",
        keys=(
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            ("AWS_PROFILE",),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
        ),
        payer="AWS_REQUEST_PAYER",
    ),
    "gs": ObjectStore(
        name="Google Cloud Storage",
        anonymous="GS_NO_SIGN_REQUEST",
        keys=(
            ("GOOGLE_APPLICATION_CREDENTIALS",),
            ("GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY"),
            ("GS_OAUTH2_REFRESH_TOKEN",),
        ),
    ),
    "az": ObjectStore(
        name="Azure Blob Storage",
        anonymous="AZURE_NO_SIGN_REQUEST",
        keys=(
            ("AZURE_STORAGE_CONNECTION_STRING",),
            ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCESS_KEY"),
            ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_SAS_TOKEN"),
        ),
    ),
}
"""Schemes of addresses that GDAL opens with keys of its own."""

YES = ("YES", "TRUE", "ON", "1")


def describe_access(
    scenes: Sequence[Scene],
    bands: Sequence[str],
    access: Access,
    environment: Mapping[str, str],
) -> tuple[AccessNote, ...]:
    """Return one note a host and scheme, the one with most files first."""
    hosts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    payers: dict[tuple[str, str], bool] = defaultdict(bool)
    for scene in scenes:
        pays = _states_requester_pays(scene.item)
        for asset in list_needed(scene, bands):
            key = _find_host(asset.href)
            hosts[key] += 1
            examples.setdefault(key, asset.href)
            payers[key] = payers[key] or pays
    return tuple(
        _describe(key, n, find_signer(examples[key], access.signers), payers[key], environment)
        for key, n in hosts.most_common()
    )


def _find_host(href: str) -> tuple[str, str]:
    if not is_remote(href):
        return "file", "this machine"
    parsed = urlparse(href)
    return parsed.scheme, parsed.hostname or "?"


def _states_requester_pays(item: str) -> bool:
    if "requester_pays" not in item:
        return False
    return any(_walk_flags(json.loads(item)))


def _walk_flags(part: object) -> Iterable[bool]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if str(key).endswith("requester_pays"):
                yield value is True
            else:
                yield from _walk_flags(value)
    elif isinstance(part, list):
        for value in part:
            yield from _walk_flags(value)


def _describe(
    key: tuple[str, str],
    n_files: int,
    signer: Signer | None,
    pays: bool,
    environment: Mapping[str, str],
) -> AccessNote:
    scheme, host = key
    if scheme == "file":
        return AccessNote(host=host, n_files=n_files, how="files on disk")
    if scheme in STORES:
        return _describe_store(STORES[scheme], host, n_files, pays, environment)
    if signer is None:
        how = "anonymous, over " + scheme
        if pays:
            how += "; the catalog says that the requester pays for another address of the files"
        return AccessNote(host=host, n_files=n_files, how=how)
    variables = (signer.variable,) if signer.variable else ()
    is_ready = not variables or bool(environment.get(signer.variable))
    if signer.kind is SignerKind.TOKEN:
        how = f"signed by {signer.name}"
        # A key raises the limits of most token services, and is not needed.
        return AccessNote(host=host, n_files=n_files, how=how, variables=variables)
    how = f"a key from the environment, by {signer.name}" + ("" if is_ready else ", not set")
    return AccessNote(host=host, n_files=n_files, how=how, variables=variables, is_ready=is_ready)


def _describe_store(
    store: ObjectStore, host: str, n_files: int, pays: bool, environment: Mapping[str, str]
) -> AccessNote:
    def is_yes(name: str) -> bool:
        return environment.get(name, "").upper() in YES

    if is_yes(store.anonymous) and not pays:
        return AccessNote(
            host=host,
            n_files=n_files,
            how=f"{store.name}, anonymous",
            variables=(store.anonymous,),
        )
    complete = next((keys for keys in store.keys if all(environment.get(k) for k in keys)), None)
    agreed = bool(store.payer) and environment.get(store.payer, "").lower() == "requester"
    bill = ""
    if pays or agreed:
        bill = "; the requester pays" + ("" if agreed else f", set {store.payer}=requester")
    if complete:
        return AccessNote(
            host=host,
            n_files=n_files,
            how=f"{store.name}, keys from the environment{bill}",
            variables=complete,
            is_ready=agreed or not pays,
        )
    return AccessNote(
        host=host,
        n_files=n_files,
        how=f"{store.name}, needs {store.anonymous}=YES for a public bucket, or keys{bill}",
        variables=store.keys[0],
        is_ready=False,
    )
