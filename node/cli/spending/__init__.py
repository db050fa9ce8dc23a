"""What an account signs, from the command line: orders that are checked, signed here, submitted once, and told.

A command reads its arguments into an order (`Order`: a payment of coins or of an asset, an issue, a mint, a burn) and
lets `carry_out` do it. Nothing is signed before all of it was checked, and the node gets finished transactions only.

Read in this order: spend_order (the way of every order, its idempotency key, its exit status), asset_orders (the four
that know assets), asset_names (which asset a symbol, an id or its beginning means), asset_book (what transactions move,
as lists show it).

Threads and locks: none of its own; two orders from one wallet go one after the other, by the lock of its folder.

**Weak:** the beginning of an id is looked for among what the account holds and the newest assets, 1,000 of each.
"""
