"""The keys that encrypt at rest, from where the settings say that they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from later_core.errors import SettingInvalid
from later_core.model.encryption_key import EncryptionKey, are_keys, parse_keys
from later_core.settings import Settings

_SETTING = "encryption_keys"


def encryption_keys(settings: Settings) -> Sequence[EncryptionKey]:
    """The keys, the one that encrypts first; none where nothing is encrypted.

    Raises:
        SettingInvalid: a file that cannot be read, or holds something else.
    """
    if settings.encryption_keys is None:
        return ()
    source = settings.encryption_keys.get_secret_value()
    if are_keys(source):
        return parse_keys(source)
    path = Path(source).expanduser()
    try:
        return parse_keys(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingInvalid(_SETTING, f"cannot read the file: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingInvalid(_SETTING, "the file is not UTF-8 text") from None
    except ValueError as error:
        raise SettingInvalid(_SETTING, str(error)) from None
