"""Sealed secrets: deterministic, this device's alone, and of one length."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from mlag_agent.access.sealing import CIPHER_LENGTH, Sealer, SealError
from mlag_agent.errors import SettingsError


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(AESSIV.generate_key(512))


@pytest.mark.parametrize("text", ["", "x", "secret-12", "ünïcödé-€", "p" * 16, "𝔘" * 16, "a\0b"])
def test_round_trip(sealer: Sealer, text: str) -> None:
    sealed = sealer.sealed(text)
    assert len(sealed) == CIPHER_LENGTH
    assert len(text) < 8 or text not in sealed
    assert sealer.opened(sealed) == text
    assert sealer.sealed(text) == sealed
    assert sealer.sealed(sealed) == sealed


def test_another_key(sealer: Sealer) -> None:
    sealed = Sealer(AESSIV.generate_key(512)).sealed("secret-12")
    with pytest.raises(SealError, match="not made by this device"):
        sealer.sealed(sealed)


@pytest.mark.parametrize("at", [0, 8, 9, 64, 127])
def test_altered(sealer: Sealer, at: int) -> None:
    sealed = sealer.sealed("secret-12")
    other = "A" if sealed[at] != "A" else "B"
    with pytest.raises(SealError):
        sealer.opened(sealed[:at] + other + sealed[at + 1 :])


@pytest.mark.parametrize(
    "text", ["€" * CIPHER_LENGTH, "x" * CIPHER_LENGTH, "$mlag-1$" + "€" * 120, "$mlag-1$" + "=" * 120]
)
def test_no_cipher_text(sealer: Sealer, text: str) -> None:
    with pytest.raises(SealError):
        sealer.sealed(text)


def test_too_long(sealer: Sealer) -> None:
    with pytest.raises(SealError, match="at most 73 bytes"):
        sealer.sealed("x" * 74)


class TestKeyFile:
    def test_made_once(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        sealed = Sealer.load_or_create(path).sealed("secret-12")
        assert path.stat().st_mode & 0o777 == 0o600
        assert Sealer.load_or_create(path).opened(sealed) == "secret-12"
        assert [entry.name for entry in tmp_path.iterdir()] == ["key"]

    def test_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_bytes(b"short")
        with pytest.raises(SettingsError, match="5 bytes instead of 64") as caught:
            Sealer.load_or_create(path)
        assert "backup" in caught.value.hint

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="sealing key"):
            Sealer.load_or_create(tmp_path / "no" / "key")

    def test_folder_instead_of_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="sealing key"):
            Sealer.load_or_create(tmp_path)
