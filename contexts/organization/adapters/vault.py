"""Encrypted fields of employees, each bound to its tenant, employee and name."""

from chassis.crypto import FieldCipher, Place
from contexts.organization.domain.values import Sealed
from kernel.ids import EmployeeId, TenantId

INDEXED = "national_id"


class CipherVault:
    """Seals and opens the encrypted fields of one tenant's employees.

    Invariants: a ciphertext opens only for the employee and field that it was sealed for.
    """

    def __init__(self, cipher: FieldCipher, tenant_id: TenantId) -> None:
        self._cipher = cipher
        self._tenant_id = tenant_id

    def _place(self, employee_id: EmployeeId, field: str) -> Place:
        return Place(self._tenant_id, "employee", field, employee_id)

    def seal(self, employee_id: EmployeeId, field: str, plaintext: str) -> Sealed:
        """The sealed value; a national id carries its blind index."""
        ciphertext = self._cipher.seal_text(plaintext, self._place(employee_id, field))
        return Sealed(ciphertext, self.index(plaintext) if field == INDEXED else b"")

    def open(self, employee_id: EmployeeId, field: str, sealed: Sealed) -> str:
        """The plaintext. Raises CiphertextRefused."""
        return self._cipher.open_text(sealed.ciphertext, self._place(employee_id, field))

    def index(self, plaintext: str) -> bytes:
        """Equal for national ids that differ in spaces, hyphens and case only."""
        plain = plaintext.replace(" ", "").replace("-", "").upper()
        return self._cipher.blind_index(self._tenant_id, "employee.national_id", plain)
