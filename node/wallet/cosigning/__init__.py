"""Contracts on their signers' side: what a wallet keeps of them, and spends that several people sign.

A contract is an address that is a policy (`node.core.policy`; for people `node.contracts`). Its address does not show
the policy, so whoever loses the policy loses the money: the wallet's folder keeps it, every co-signer keeps it, and a
contract counts as ready once each of them has shown that he does.

Read in this order:

leaf_signing    the leaves of a spend, the digest that keys sign, the witness; `sign_leaves` does all at once
receipts        a co-signer's signature that he holds a contract
contract_book   `contracts/NAME.json` in the wallet's folder, and the same file for others
proposals       a payment on its way from signer to signer
proposal_bytes  the same as a JSON file or as a line for a chat, with every check that bytes allow

**Nothing that a file says is believed.** Addresses, amounts and what is still missing are computed from the bytes of
the transaction and of the policy; names in a file are what its maker calls people. Whoever reads a proposal gets it
with every signature checked, or one sentence why not.

**Bounds.** A contract's file has at most 64 KiB, a proposal 64 KiB as a file and 16,384 characters as a line; the walk
over a policy is one pass.

**Secrets.** None is written: a proposal has signatures, and preimages that were given for it. All files are private
(0600) all the same: they say who owns what with whom.

**Locks and threads.** Writers of the book hold the wallet folder's lock (`private_files.locked`). Everything else has
no state.

**Weak:** a receipt shows that a co-signer had the contract's file and his key on one day, not that he keeps them.
"""
