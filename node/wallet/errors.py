"""Errors of wallets, each with a sentence to act on. None holds a secret key or a passphrase."""

from __future__ import annotations

from ..core.errors import MoneyerError


class WalletError(MoneyerError):
    """Root of the wallet's errors."""

    code = "wallet_error"


class BadPhrase(WalletError):
    """A recovery phrase with an unknown word, a wrong length or a wrong checksum."""

    code = "bad_phrase"


class BadName(WalletError):
    """A name that no account or contact may have."""

    code = "bad_name"


class NameTaken(WalletError):
    """The wallet has this name, or this key, already."""

    code = "name_taken"


class UnknownKey(WalletError):
    """This wallet does not hold the key of that account."""

    code = "unknown_key"


class WalletLocked(WalletError):
    """The file is encrypted and was opened without its passphrase."""

    code = "wallet_locked"


class WalletExists(WalletError):
    """There is a wallet already, which is never overwritten."""

    code = "wallet_exists"


class WalletMissing(WalletError):
    """There is no wallet at that path."""

    code = "wallet_missing"


class WalletUnreadable(WalletError):
    """The file is damaged, of a newer version or too large, or the passphrase is wrong."""

    code = "wallet_unreadable"


class WrongWallet(WalletError):
    """A development wallet where a real one belongs, or the other way round."""

    code = "wrong_wallet"


class WalletBusy(WalletError):
    """Another process holds the wallet's folder."""

    code = "wallet_busy"


class KeyUsed(WalletError):
    """Another payment was signed under this idempotency key."""

    code = "key_used"


class UnknownSwap(WalletError):
    """A swap that the data folder does not have."""

    code = "unknown_swap"
