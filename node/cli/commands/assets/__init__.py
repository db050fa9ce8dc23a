"""`moneyer asset`: assets that anybody can issue on a coin of rules 2 (docs/assets.md).

asset_commands has the group and the commands: issue, mint and burn make an order of `node.cli.spending` and let it be
carried out there; list and show look. `moneyer send … ASSET` is in `commands.send`, what accounts hold in
`commands.money`.

No threads, no locks. Names and symbols are an issuer's words: they are shown escaped, with the asset's id.
"""
