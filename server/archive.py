"""The file of a backup: one compressed tar that explains itself.

    collections/people.0.bson …   parts of up to 4 MiB: BSON documents one after the other, as `bsondump` reads them
    secrets/cookie …              only when they were asked for
    manifest.json                 the last one: what is in it, with a SHA-256 of every part

It is written beside its name and gets the name when it is whole and on the disk, so a file that is there under its
name is complete. Reading verifies every byte before anything is handed out.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from zlib import error as ZlibError

import msgspec

from server.errors import StartupError

#: of this layout; a later one gets another number
FORMAT = 1
#: `_id` in the database's `meta` while an archive is being restored into it
RESTORING = "restoring"
_MANIFEST = "manifest.json"
_PART_BYTES = 4 * 1024 * 1024


class Part(msgspec.Struct, frozen=True):
    name: str
    bytes: int
    sha256: str


class Collection(msgspec.Struct, frozen=True):
    documents: int
    parts: list[Part]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive says of itself."""

    product: str = "vouch"
    format: int = FORMAT
    #: of the program that wrote it
    version: str
    #: the moment that all collections were copied at
    taken_at: datetime
    database: str
    epoch: str
    #: purpose → fingerprints of the secrets that are needed to read it
    secrets_needed: dict[str, list[str]]
    collections: dict[str, Collection]
    secrets: list[Part]


def _damaged(path: Path, what: str) -> StartupError:
    return StartupError(
        "backup_damaged", f"{path} is no complete backup: {what}.", hint="Nothing was changed. Take another copy of it."
    )


class Writer:
    """Writes an archive; it gets its name at `finish`, and leaves nothing behind without it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._collections: dict[str, Collection] = {}
        self._secrets: list[Part] = []

    def __enter__(self) -> Self:
        descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._gzip = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=3, filename="")
        self._tar = tarfile.open(fileobj=self._gzip, mode="w|")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def collection(self, name: str) -> CollectionWriter:
        return CollectionWriter(self, name)

    def secret(self, name: str, content: bytes) -> None:
        self._secrets.append(self._put(f"secrets/{name}", content))

    def finish(
        self, *, version: str, taken_at: datetime, database: str, epoch: str, needed: dict[str, list[str]]
    ) -> Manifest:
        manifest = Manifest(
            version=version,
            taken_at=taken_at,
            database=database,
            epoch=epoch,
            secrets_needed=needed,
            collections=self._collections,
            secrets=self._secrets,
        )
        self._put(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        self._tar.close()
        self._gzip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return manifest

    def _put(self, name: str, content: bytes) -> Part:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o600
        self._tar.addfile(entry, io.BytesIO(content))
        return Part(name, len(content), hashlib.sha256(content).hexdigest())

    def _add(self, name: str, collection: Collection) -> None:
        self._collections[name] = collection


class CollectionWriter:
    """Gathers documents into parts."""

    def __init__(self, writer: Writer, name: str) -> None:
        self._writer = writer
        self._name = name
        self._buffer = bytearray()
        self._parts: list[Part] = []
        self.documents = 0

    def add(self, document: bytes) -> None:
        self._buffer += document
        self.documents += 1
        if len(self._buffer) >= _PART_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer._add(self._name, Collection(self.documents, self._parts))

    def _flush(self) -> None:
        if self._buffer:
            name = f"collections/{self._name}.{len(self._parts)}.bson"
            self._parts.append(self._writer._put(name, bytes(self._buffer)))
            self._buffer.clear()


class Reader:
    """A verified archive: `manifest`, `parts` of its collections, its `secret`s.

    Raises StartupError `backup_missing`, `backup_damaged`, `backup_newer`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._secrets: dict[str, bytes] = {}
        self.manifest = self._verified()

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """(collection, BSON documents one after the other), in the order of the file."""
        owners = {
            part.name: (name, part)
            for name, collection in self.manifest.collections.items()
            for part in collection.parts
        }
        for name, content in self._members():
            if name in owners:
                collection, part = owners[name]
                if hashlib.sha256(content).hexdigest() != part.sha256:
                    raise _damaged(self.path, "it has changed while it was read")
                yield collection, content

    def secrets(self) -> dict[str, bytes]:
        """File name → content; empty when the backup holds none."""
        return dict(self._secrets)

    def _verified(self) -> Manifest:
        sums: dict[str, tuple[int, str]] = {}
        manifest: Manifest | None = None
        for name, content in self._members():
            if name == _MANIFEST:
                manifest = self._manifest(content)
                continue
            sums[name] = (len(content), hashlib.sha256(content).hexdigest())
            if name.startswith("secrets/"):
                self._secrets[name.removeprefix("secrets/")] = content
        if manifest is None:
            raise _damaged(self.path, "its end is missing")
        listed = [part for collection in manifest.collections.values() for part in collection.parts]
        for part in [*listed, *manifest.secrets]:
            if sums.pop(part.name, None) != (part.bytes, part.sha256):
                raise _damaged(self.path, f"{part.name} is not what was written")
        if sums:
            raise _damaged(self.path, f"{min(sums)} does not belong to it")
        return manifest

    def _manifest(self, content: bytes) -> Manifest:
        try:
            kind = msgspec.json.decode(content, type=dict[str, object])
            if kind.get("product") != "vouch":
                raise _damaged(self.path, "another program has written it")
            if kind.get("format") != FORMAT:
                raise StartupError(
                    "backup_newer",
                    f"{self.path} has format {kind.get('format')}; this version reads {FORMAT}.",
                    hint=f"Restore it with version {kind.get('version')} of Vouch, which wrote it.",
                )
            return msgspec.json.decode(content, type=Manifest)
        except msgspec.MsgspecError as fault:
            raise _damaged(self.path, f"its manifest cannot be read ({fault})") from None

    def _members(self) -> Iterator[tuple[str, bytes]]:
        try:
            with gzip.open(self.path) as stream:
                with tarfile.open(fileobj=stream, mode="r|") as tar:
                    for entry in tar:
                        content = tar.extractfile(entry) if entry.isfile() else None
                        if content is None:
                            raise _damaged(self.path, f"{entry.name} does not belong to it")
                        yield entry.name, content.read()
                while stream.read(_PART_BYTES):  # to the very end, where the checksum of the whole is
                    pass
        except FileNotFoundError:
            raise StartupError("backup_missing", f"There is no file {self.path}.") from None
        except (tarfile.TarError, EOFError, ZlibError, OSError) as fault:
            raise _damaged(self.path, str(fault).rstrip(".") or type(fault).__name__) from None
