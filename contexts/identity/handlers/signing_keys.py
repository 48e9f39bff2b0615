"""Commands about the installation's signing keys."""

from dataclasses import dataclass

from contexts.identity.domain.errors import WrongTenant
from contexts.identity.domain.signing_key import KeyRing, SigningKey
from contexts.identity.repository.port import IdentityWork
from kernel.ids import INSTALLATION

RING = "signing_keys"  # the ring changes under this lock


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A fresh key: its thumbprint, its public coordinates and its private half (PEM)."""

    kid: str
    x: str
    y: str
    private_key: bytes


async def rotate_signing_key(minted: MintedKey, work: IdentityWork) -> SigningKey:
    """Publish the minted key; it takes over after a while. Raises WrongTenant, RotationPending, TooManySigningKeys."""
    if work.tenant_id != INSTALLATION:
        raise WrongTenant("signing keys belong to the installation; call under its own tenant id")
    await work.lock(RING)
    return await _add(await work.signing_keys.ring(), minted, work)


async def ensure_signing_key(minted: MintedKey, work: IdentityWork) -> SigningKey:
    """The key that signs; the minted one where there is none yet. Raises NoSigningKey."""
    await work.lock(RING)
    ring = await work.signing_keys.ring()
    return ring.signing(work.now()) if ring.published(work.now()) else await _add(ring, minted, work)


async def _add(ring: KeyRing, minted: MintedKey, work: IdentityWork) -> SigningKey:
    rotated = ring.rotated(minted.kid, minted.x, minted.y, work.now())
    key = next(key for key in rotated.keys if key.kid == minted.kid)
    await work.signing_keys.save(rotated, key, minted.private_key)
    work.note(minted.kid)
    return key
