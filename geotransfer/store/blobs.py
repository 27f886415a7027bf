"""Immutable bytes by content id, in a folder or an object store."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import fsspec

from geotransfer.core.identity import hash_bytes
from geotransfer.errors import BlobConflict, NotFound, StoreError
from geotransfer.store.atomic import raise_store_error

_CONTENT_ID = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Bytes under their SHA-256; anything fsspec reaches can hold them.

    Parameters
    ----------
    url
        fsspec URL of a folder, for example ``file:///data/blobs`` or ``s3://bucket/blobs``.
    """

    def __init__(self, url: str) -> None:
        self._files, self._root = fsspec.core.url_to_fs(url, auto_mkdir=True)

    def _locate(self, blob_id: str) -> str:
        if not _CONTENT_ID.fullmatch(blob_id):
            raise NotFound(f"{blob_id!r} is not a content id; give 64 hexadecimal digits.")
        return f"{self._root}/{blob_id[:2]}/{blob_id}"

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its content id; storing the same bytes twice is harmless."""
        blob_id = hash_bytes(data)
        path = self._locate(blob_id)
        if self._files.exists(path):
            if self._files.size(path) != len(data):
                raise BlobConflict(
                    f"blob {blob_id[:12]} exists with other bytes; the store is damaged, restore it"
                    " from a backup."
                )
            return blob_id
        try:
            # A transaction moves the file into place when it is whole.
            with self._files.transaction, self._files.open(path, "wb") as file:
                file.write(data)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._files.invalidate_cache()
            raise_store_error(error, Path(path))
        return blob_id

    def get(self, blob_id: str) -> bytes:
        """Return the bytes, verified against their id.

        Raises
        ------
        NotFound
            No such blob, or it was erased.
        StoreError
            The bytes do not match their id.
        """
        try:
            data: bytes = self._files.cat_file(self._locate(blob_id))
        except FileNotFoundError:
            raise NotFound(f"blob {blob_id[:12]} is not in the store; it may be erased.") from None
        if hash_bytes(data) != blob_id:
            raise StoreError(
                f"blob {blob_id[:12]} is damaged; restore the workspace from a backup."
            )
        return data

    def exists(self, blob_id: str) -> bool:
        """Whether the bytes are there."""
        return bool(self._files.exists(self._locate(blob_id)))

    def erase(self, blob_id: str) -> None:
        """Remove the bytes for good; the id may stay in facts."""
        path = self._locate(blob_id)
        if self._files.exists(path):
            self._files.rm_file(path)
