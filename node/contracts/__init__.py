"""Contracts for people: policies as text, as words and as trees, and whether one is safe to use. Pure.

`core.policy` has what consensus knows of a policy: its tree, its bytes, the rule "exactly enough". This room has what
people need beside it. In come texts, policies, the keys at hand and a `Moment` (height and median_time_past of the
block that a spend would enter); out come policies, sentences, JSON-ready dicts, or one error, `BadPolicy`. Nothing here
reads a clock, a file or a socket, and nothing is kept between calls: every function may be called from any thread.

Read in this order:

errors          BadPolicy, which can point at the character that is wrong
moment          when a leaf of height or time comes, and how long that takes
language        text <-> policy: `2 of (alice, bob, carol)`, `alice or (bob and after 2027-01-01)`
policy_tree     JSON <-> policy; a policy cut down to what is still open (`reduced`)
safety          why a policy is refused, and what its owners should know (cautions)
choose          which leaves a spend names; what is still missing for one
explain         in plain English: what a policy is, who can spend now, what opens when
ready_made      multisig, vault, escrow, vesting, inherit, swap: with when to take each, and its risk
swaps/          a room of its own: atomic swaps between two coins

**The usual way in** is `safety.read_safe_policy(text, resolve, coin, moment)`. `resolve` turns a name or an address
into a 33-byte payload and raises a MoneyerError for what it doesn't know; this room has no list of names. The way back
is `language.print_policy(policy, name_of)`, where `name_of` gives the name of a 32-byte key, or None.

**Bounds.** A text has 8,192 characters at most, and a policy 64 nodes; nothing here walks through all choices of a
policy, whose number grows exponentially: everything is one pass over the tree, or one for each key or time.

**May import** `core` and `system.text`. Imported by the wallet, the API, the pages and the command line.

**Weak:** when a height comes is guessed by the coin's `block_time`. A policy that mixes heights with dates gets a
caution for that, and a spend itself asks the chain.
"""
