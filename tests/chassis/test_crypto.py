"""Encrypted fields open in their own place only, and the keyring is guarded."""

import os
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.crypto import CiphertextRefused, FieldCipher, Place
from chassis.keyring import FileKeyring, KeyringProblem
from kernel.ids import TenantId

TENANT = TenantId(UUID(int=1))
OTHER_TENANT = TenantId(UUID(int=2))
PLACE = Place(TENANT, "employee_person", "national_id", UUID(int=10))


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> FileKeyring:
    return FileKeyring.open_or_create(tmp_path_factory.mktemp("keys") / "keyring")


@pytest.fixture(scope="module")
def cipher(keyring: FileKeyring) -> FieldCipher:
    return FieldCipher(keyring)


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_in_its_place(plaintext: bytes) -> None:
    cipher = FieldCipher(FileKeyring(1, {1: b"k" * 32}, b"i" * 32))

    assert cipher.open(cipher.seal(plaintext, PLACE), PLACE) == plaintext


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, row=UUID(int=11)),
        replace(PLACE, column="bank_account"),
        replace(PLACE, table="employee_draft"),
        replace(PLACE, tenant_id=OTHER_TENANT),
    ],
    ids=["another row", "another column", "another table", "another tenant"],
)
def test_a_ciphertext_that_was_moved_is_refused(cipher: FieldCipher, elsewhere: Place) -> None:
    sealed = cipher.seal_text("110101199003077758", PLACE)

    with pytest.raises(CiphertextRefused, match="moved or altered"):
        cipher.open(sealed, elsewhere)


def test_without_the_binding_a_moved_ciphertext_would_open(cipher: FieldCipher) -> None:
    """The planted bug: what the tests above would not forgive."""

    class Unbound(Place):
        binding = b""

    here, there = (Unbound(TENANT, "employee_person", "national_id", UUID(int=row)) for row in (10, 11))

    assert cipher.open(cipher.seal(b"secret", here), there) == b"secret"


def test_every_altered_byte_is_noticed(cipher: FieldCipher) -> None:
    sealed = cipher.seal(b"secret", PLACE)

    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(CiphertextRefused):
            cipher.open(bytes(altered), PLACE)


@pytest.mark.parametrize("nonsense", [b"", b"\x01", b"\x02" + b"x" * 60, b"110101199003077758"])
def test_what_is_no_ciphertext_is_refused(cipher: FieldCipher, nonsense: bytes) -> None:
    with pytest.raises(CiphertextRefused):
        cipher.open(nonsense, PLACE)


def test_equal_values_have_different_ciphertexts(cipher: FieldCipher) -> None:
    assert cipher.seal(b"secret", PLACE) != cipher.seal(b"secret", PLACE)


def test_a_ciphertext_does_not_hold_its_plaintext(cipher: FieldCipher) -> None:
    assert b"110101199003077758" not in cipher.seal_text("110101199003077758", PLACE)


def test_an_oversized_field_is_refused(cipher: FieldCipher) -> None:
    with pytest.raises(ValueError, match="at most"):
        cipher.seal(b"x" * 70_000, PLACE)


def test_after_a_rotation_the_old_opens_and_the_new_carries_its_key(keyring: FileKeyring) -> None:
    before = FieldCipher(keyring)
    old = before.seal(b"secret", PLACE)

    after = FieldCipher(keyring.rotated())

    new = after.seal(b"secret", PLACE)
    assert after.open(old, PLACE) == after.open(new, PLACE) == b"secret"
    assert (FieldCipher.key_id(old), FieldCipher.key_id(new)) == (1, 2)


def test_a_destroyed_key_makes_its_ciphertexts_unreadable(keyring: FileKeyring) -> None:
    sealed = FieldCipher(keyring).seal(b"secret", PLACE)
    without = FieldCipher(keyring.rotated().without(1))

    with pytest.raises(CiphertextRefused, match="gone"):
        without.open(sealed, PLACE)


def test_a_blind_index_finds_equal_values_within_a_tenant_only(keyring: FileKeyring, cipher: FieldCipher) -> None:
    index = cipher.blind_index(TENANT, "employee.national_id", "110101199003077758")

    assert index == cipher.blind_index(TENANT, "employee.national_id", "110101199003077758")
    assert index == FieldCipher(keyring.rotated()).blind_index(TENANT, "employee.national_id", "110101199003077758")
    assert index != cipher.blind_index(OTHER_TENANT, "employee.national_id", "110101199003077758")
    assert index != cipher.blind_index(TENANT, "employee.bank_account", "110101199003077758")
    assert index != cipher.blind_index(TENANT, "employee.national_id", "110101199003077759")


def test_a_keyring_is_made_for_its_owner_only_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "muster.keyring"

    made = FileKeyring.open_or_create(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert FileKeyring.open_or_create(path) == made
    assert sorted(os.listdir(tmp_path)) == ["muster.keyring"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_keyring_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "muster.keyring"
    FileKeyring.open_or_create(path)
    path.chmod(mode)

    with pytest.raises(KeyringProblem, match="chmod 600"):
        FileKeyring.open_or_create(path)


@pytest.mark.parametrize(("mode", "opens"), [(0o440, True), (0o640, True), (0o644, False), (0o660, False)])
def test_a_keyring_that_root_mounted_for_our_group_may_be_read_by_the_group(
    tmp_path: Path, mode: int, opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "muster.keyring"
    made = FileKeyring.open_or_create(path)
    path.chmod(mode)

    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

    if opens:
        assert FileKeyring.open(path) == made
    else:
        with pytest.raises(KeyringProblem, match="can be read by others"):
            FileKeyring.open(path)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"format": 2}', '{"format":1,"current":1,"fields":{},"index":""}']
)
def test_a_damaged_keyring_is_refused_and_never_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "muster.keyring"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(KeyringProblem, match="restore it"):
        FileKeyring.open_or_create(path)

    assert path.read_text() == content


def test_a_missing_keyring_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(KeyringProblem, match="MUSTER_KEYRING_PATH"):
        FileKeyring.open(tmp_path / "nowhere")


def test_of_two_processes_that_make_a_keyring_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "muster.keyring"
    first, second = FileKeyring(1, {1: b"a" * 32}, b"i" * 32), FileKeyring(1, {1: b"b" * 32}, b"i" * 32)

    first.write(path, replace=False)
    second.write(path, replace=False)

    assert FileKeyring.open(path) == first


def test_keys_are_never_shown(keyring: FileKeyring) -> None:
    assert repr(keyring) == "FileKeyring(current=1)"
