"""`moneyer contract`: addresses that are a policy, made, kept and spent from together. One file a group of commands.

`contract_group` is the group. `contract_new` makes contracts (and the ready-made ones); `contract_share` gives them to
co-signers and takes receipts, and finds lost ones; `contract_look` lists and shows; `contract_spend` proposes, signs,
combines and submits. `node.cli.contract_place` has what they share (and `send` too): whose key is whose, the moment of
the chain, files. `proposal_words` says what a proposal does, and what stands against it.

The work is done in `node.wallet.cosigning` and `node.contracts`; here it is asked for and told. No threads, no locks
of its own. A person is asked before anything is signed; `--yes` is for scripts. Read `contract_spend`.
"""
