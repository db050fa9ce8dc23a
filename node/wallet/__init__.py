"""Keys: where they come from (`derive`), are kept (`keystore`) and what they sign (`sign`). See `docs/wallet.md`."""
