"""What a content is, found from its first bytes: names and types that a client tells are never believed."""

from __future__ import annotations

from enum import StrEnum

#: how many bytes are looked at
LOOKED_AT = 4096


class Family(StrEnum):
    """What a content could be made ready as."""

    PICTURE = "picture"
    STREAM = "stream"
    OTHER = "other"


#: brands of ISO media files that hold a still picture
_PICTURE_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic"}
_PICTURE_BRANDS |= {b"mif1": "image/heif", b"msf1": "image/heif"}
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b", "application/gzip"),
)
#: what Pillow reads here
PICTURES = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
    "image/bmp": "BMP",
}
#: type → the demuxer that is allowed to read it. None of these opens another file or address.
STREAMS = {
    "video/mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "video/webm": "matroska,webm",
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/aac": "aac",
    "audio/wav": "wav",
    "audio/flac": "flac",
}


def type_of(head: bytes) -> str:
    """The type of what begins with these bytes; text that says nothing else is `text/plain`, whatever it holds."""
    if head[4:8] == b"ftyp":
        return _PICTURE_BRANDS.get(head[8:12], "video/mp4")
    if head[4:8] in (b"moov", b"mdat", b"wide"):  # QuickTime before it had brands
        return "video/mp4"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12], "application/octet-stream")
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        # MPEG audio: the layer bits tell AAC (00) from the rest.
        return "audio/aac" if head[1] & 0x06 == 0 else "audio/mpeg"
    return "text/plain" if _is_text(head) else "application/octet-stream"


def family(kind: str) -> Family:
    if kind.startswith("image/"):
        return Family.PICTURE
    return Family.STREAM if kind in STREAMS else Family.OTHER


def is_vector(head: bytes) -> bool:
    """SVG: a picture to its maker, but a document with scripts to a browser."""
    return b"<svg" in head.lower()


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as fault:
        return fault.end >= len(head) - 3 and fault.start >= len(head) - 3  # cut within a character
    return True
