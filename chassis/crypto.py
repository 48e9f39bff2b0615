"""Encryption of single fields, bound to their place, and blind indexes by which an encrypted value can be found."""

import hmac
import os
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chassis.keyring import Keyring
from kernel.ids import TenantId

FORMAT = 1
NONCE_BYTES = 12
HEADER_BYTES = 5  # the format and the key's number (4 bytes)
LONGEST_FIELD = 64 * 1024
MOST_DERIVED = 1024


class CiphertextRefused(Exception):
    """A ciphertext that was not made for the place where it stands: moved, altered, or its key was destroyed.

    This is never the caller's fault; it is logged and raises an alarm.
    """


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field lives. A ciphertext opens nowhere else.

    Invariants: `table` and `column` are names of ours and hold no "|".
    """

    tenant_id: TenantId
    table: str
    column: str
    row: UUID

    @property
    def binding(self) -> bytes:
        """The additional data of the AEAD: tenant|table|column|row."""
        return f"{self.tenant_id}|{self.table}|{self.column}|{self.row}".encode()


class FieldCipher:
    """Seals and opens single fields with AES-256-GCM under a key of the tenant.

    Invariants: the key's number stands in each ciphertext, so that keys rotate without a rewrite; a nonce is random
    (96 bits) and a tenant's key seals far fewer than 2**32 fields; format: 1 byte format, 4 bytes key, 12 bytes nonce,
    then ciphertext and tag.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        # Caches of this object, not of the class: a destroyed keyring takes its derived keys with it.
        self._aead = lru_cache(MOST_DERIVED)(self._derive_aead)
        self._index_key = lru_cache(MOST_DERIVED)(self._derive_index_key)

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        """The ciphertext of at most 64 KiB for exactly that place. Raises ValueError for more."""
        if len(plaintext) > LONGEST_FIELD:
            raise ValueError(f"an encrypted field holds at most {LONGEST_FIELD} bytes")
        key_id = self._keyring.current
        nonce = os.urandom(NONCE_BYTES)
        header = bytes((FORMAT,)) + key_id.to_bytes(4, "big")
        return header + nonce + self._aead(key_id, place.tenant_id).encrypt(nonce, plaintext, header + place.binding)

    def open(self, ciphertext: bytes, place: Place) -> bytes:
        """What was sealed for that place. Raises CiphertextRefused."""
        if len(ciphertext) < HEADER_BYTES + NONCE_BYTES + 16 or ciphertext[0] != FORMAT:
            raise CiphertextRefused(f"{place.table}.{place.column} holds no ciphertext of a known format")
        header, nonce = ciphertext[:HEADER_BYTES], ciphertext[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
        try:
            aead = self._aead(self.key_id(ciphertext), place.tenant_id)
            return aead.decrypt(nonce, ciphertext[HEADER_BYTES + NONCE_BYTES :], header + place.binding)
        except KeyError:
            raise CiphertextRefused(f"{place.table}.{place.column} was sealed with a key that is gone") from None
        except InvalidTag:
            raise CiphertextRefused(f"{place.table}.{place.column} was moved or altered") from None

    def seal_text(self, plaintext: str, place: Place) -> bytes:
        """`seal` of UTF-8 text."""
        return self.seal(plaintext.encode(), place)

    def open_text(self, ciphertext: bytes, place: Place) -> str:
        """`open` of UTF-8 text."""
        return self.open(ciphertext, place).decode()

    @staticmethod
    def key_id(ciphertext: bytes) -> int:
        """The number of the key that sealed it, for finding what a rotation has left to do."""
        return int.from_bytes(ciphertext[1:HEADER_BYTES], "big")

    def blind_index(self, tenant_id: TenantId, meaning: str, value: str) -> bytes:
        """32 bytes that are equal for equal values of one meaning ("employee.national_id") in one tenant only.

        The caller normalises first (case, spaces): what differs here is another value.
        """
        return hmac.digest(self._index_key(tenant_id), meaning.encode() + b"\x00" + value.encode(), sha256)

    def _derive_aead(self, key_id: int, tenant_id: TenantId) -> AESGCM:
        return AESGCM(_derive(self._keyring.field_root(key_id), f"muster field|{tenant_id}"))

    def _derive_index_key(self, tenant_id: TenantId) -> bytes:
        return _derive(self._keyring.index_root(), f"muster index|{tenant_id}")


def _derive(root: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(root)
