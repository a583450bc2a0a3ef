"""Keys are read from where the settings say, and what cannot be used is refused with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from later_core.app.encryption import encryption_keys
from later_core.errors import SettingInvalid
from later_core.model.encryption_key import new_key
from later_core.settings import Settings


def given(text: str) -> Settings:
    return Settings(encryption_keys=SecretStr(text))


def test_without_the_setting_there_are_no_keys() -> None:
    assert encryption_keys(Settings()) == ()


def test_keys_come_from_the_setting_itself_or_from_a_file(tmp_path: Path) -> None:
    first, second = new_key("2027-01"), new_key("2026-11")
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{first}  # the newest\n\n{second}\n")
    keys = encryption_keys(given(f"{first} {second}"))
    assert [key.id for key in keys] == ["2027-01", "2026-11"]
    assert encryption_keys(given(str(file))) == keys
    assert first.partition(":")[2] not in repr(keys) + repr(given(first))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11:c2hvcnQ=", "has 5 bytes; it must have 32"),
        ("2026-11:?", "is not base64"),
        ("", "no key in it"),
        ("secret", "not written as id:base64"),
        (f"{'x' * 33}:c2hvcnQ=", "cannot be the id of a key"),
        (f"one:{'A' * 43}= one:{'B' * 42}A=", "two keys have the id 'one'"),
    ],
)
def test_what_is_no_key_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(SettingInvalid, match="encryption_keys") as refused:
        encryption_keys(given(str(file)))
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="cannot read the file"):
        encryption_keys(given(str(tmp_path / "keys")))


def test_two_secrets_under_one_id_have_two_names() -> None:
    (one,), (other,) = (encryption_keys(given(new_key("one"))) for _ in range(2))
    assert one.id == other.id
    assert one.name != other.name
