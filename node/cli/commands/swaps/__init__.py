"""`moneyer swap`: an atomic swap between two coins, over the nodes of two data folders. `docs/swap.md` is its page.

`swap` has the commands. `swap_parties` opens the two folders, wallets and nodes of one side; `swap_look` asks a node
what stands on its chain; `swap_act` signs and sends: a payment, a claim, a refund; `swap_making` makes offers and
answers. `swap_words` says what a swap means. What is to be done next is decided by `node.contracts.swaps`, from a fresh
look each time. `node.wallet.swap_book` keeps what was signed, before it is sent, so a command that is killed is
repeated.

No threads. `--data` is always the coin that is given, `--other` the one that is got; the swap's file is in the first.
Read `swap`, then `swap_act`.
"""
