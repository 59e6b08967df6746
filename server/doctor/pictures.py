"""Whether live proofs can be sealed on this machine, and until when their certificate is good (R-14)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509

from server.doctor.findings import Finding, ok, problem, warning
from server.errors import VouchError
from server.keys import Keys
from server.media.model import Variant
from server.proofs.studio import Studio

#: devices have to trust a new authority, which takes its people a while
_SOON = timedelta(days=180)
_SIDE = 320


async def proofs(keys: Keys | None, at: datetime | None = None) -> list[Finding]:
    """The certificate, then a grey picture that is really sealed and verified by real workers."""
    if keys is None:
        return []
    at = at or datetime.now(UTC)
    return [_certificate(keys, at), await _sealing(keys, at)]


def _certificate(keys: Keys, at: datetime) -> Finding:
    chain = [x509.load_pem_x509_certificate(pem) for pem in (keys.picture_cert, keys.ca_cert)]
    end = min(one.not_valid_after_utc for one in chain)
    remedy = "`python -m server secrets rotate authority` (docs/proofs.md, the certificate), then restart every node."
    if at < max(one.not_valid_before_utc for one in chain):
        return problem("proof_certificate", "The certificate for pictures begins in the future.", "Is the clock right?")
    if end <= at:
        return problem("proof_certificate", f"The certificate for pictures ended on {end:%Y-%m-%d}.", remedy)
    if end - at < _SOON:
        return warning("proof_certificate", f"The certificate for pictures ends on {end:%Y-%m-%d}.", remedy)
    former = keys.former_authorities.count(b"BEGIN CERTIFICATE")
    more = f"; {former} former authorit{'y is' if former == 1 else 'ies are'} known" if former else ""
    return ok("proof_certificate", f"The certificate for pictures is good until {end:%Y-%m-%d}{more}.")


async def _sealing(keys: Keys, at: datetime) -> Finding:
    studio = Studio(keys)
    lines = (f"{at:%Y-%m-%d %H:%M:%S} UTC", "守约 doctor", "")
    try:
        made = await studio.seal(_SIDE, _SIDE, b"\x80" * (_SIDE * _SIDE * 3), lines, at, {"proof": "doctor"})
        checked = await studio.check(made.pieces[Variant.MAIN][1])
    except (VouchError, OSError) as fault:
        text = f"A picture cannot be sealed here ({fault})."
        return problem("proof_workers", text, "Are c2pa-python, Pillow and the font installed (requirements.lock)?")
    finally:
        await studio.stop()
    if not checked.valid:
        remedy = "Do picture.pem and authority.pem belong together? Is the clock right?"
        return problem("proof_workers", "What is sealed here is not believed here.", remedy)
    return ok("proof_workers", "Pictures can be sealed, and verified.")
