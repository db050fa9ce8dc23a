"""Wallets: the keys of a data folder by name, contacts, and what was signed. `docs/wallet.md` has the formats.

In come names, phrases and passphrases; out come payloads, secret keys, signed transfers. Files: `wallet.json`,
`contacts.json`, `sent/`, `contracts/`, `swaps/`. A `Wallet` is a frozen view of the file as it was read; a change makes
a new one.

**Read** `names` (which names there may be), `derive` (phrase → key at a path), `seal` (encryption), `walletfile` (the
format), `private_files` (mode 0600, whole or not at all), `keystore` (open, create, add), `edit` (rename, passphrase,
reveal), `live` (a node's wallet, which sees changes), `contacts`, `sent` (idempotency keys), `swap_book`
(swaps between two coins), `errors`. `cosigning/` is a room of its own: contracts that several people sign.

**Locks.** Writers lock the data folder (`private_files.locked`: flock, 10 s at most) around read, change and write, so
processes do not overwrite each other. Readers need none: a file is replaced in one step. `LiveWallet` has a lock for
the threads of a node, and costs a `stat` while the file stays as it is.

**May import** `system`, `contracts` and `core`: no database, no network. Imported by the API, the worker, devnet and
the command line. `cryptography` and `mnemonic` are loaded by the functions that need them: a node with an open wallet
has no use for them.

**Secrets** are in no message, log or repr: tests look for that.

**Weak:** a key is in this process's memory as Python bytes, which cannot be erased. Whoever can read an open (not
encrypted) wallet file can spend; development wallets are open by design.
"""
