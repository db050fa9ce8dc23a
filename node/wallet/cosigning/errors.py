"""Errors of contracts on their signers' side, each with a sentence to act on."""

from __future__ import annotations

from ..errors import WalletError


class CannotSign(WalletError):
    """The keys and secrets at hand do not suffice to spend now."""

    code = "cannot_sign"


class BadProposal(WalletError):
    """A proposal that is not what it says, cannot be read, or cannot be signed any more."""

    code = "bad_proposal"


class BadContractFile(WalletError):
    """A contract's file or a receipt that is damaged, of another coin, or says something that is not so."""

    code = "bad_contract_file"


class UnknownContract(WalletError):
    """The wallet's folder keeps no contract of that name."""

    code = "unknown_contract"
