"""Atomic swaps between two coins: the terms, their line for a chat, and what to do next. Pure.

The maker offers: he has 32 secret bytes, and pays first, on the first chain, into `(taker and hash) or (maker and
after T1)`. Then the taker pays on the second chain into `(maker and hash) or (taker and after T2)`, with the same hash,
and T2 well before T1. The maker takes the second payment, which shows the secret on the second chain; with it the taker
takes the first. If either stops, both have back what they paid once their time has come.

In come terms, coins, what was seen on both chains and the clock; out come terms, sentences and one `Step`, or an error,
`BadSwap`. Nothing is remembered: after a reorg the same functions look at what is there now. No clock, file or socket.

Read in this order:

swap_terms      what both agree on; the two policies; the times, and the checks of an offer and of its answer
swap_line       terms <-> `moneyer-swap1:…`
swap_steps      from what was seen to the next step of the maker and of the taker

**Where the times come from.** Both locks are median_time_past, which is Unix time on either chain, so T1 and T2 can be
compared. It lags some 6 blocks behind the clock, and miners can bring it `clock_tolerance` ahead. `settle` is how long
a transaction takes to be deep enough: blocks come at random, and twice their number and 6 more contain all but one in
a thousand cases. `patience` is the longest that either side may be away. From the last to the first:

- the maker claims only while his claim settles before T2, even if the second chain's clock is ahead by its tolerance:
  an unconfirmed claim after T2 would show the secret while the taker can still take his payment back;
- the taker pays only while he, the maker's absence and that claim have room before T2;
- T1 is later than T2 by the second chain's lag, the taker's absence (twice: to see that T2 has come, to see the
  secret), his refund's or the maker's claim's settling, the taker's claim's settling, and the first chain's tolerance.

**May import** `core` and its own room. **Weak:** a chain that stands still for longer than the margins, or a reorg
deeper than the confirmations agreed on, can cost a side its payment; so can staying away for longer than `patience`.
"""
