"""Assets in the database (rules 2): three tables, `assets`, `holdings` and `asset_history`.

    asset_state   what a block does to them: `AssetState`, a part of `chainstate.ChainState`, within its transaction
    asset_pages   what is read of them: one asset, pages of assets, holders and history, an account's holdings

A row refers to an asset by its number, which says when it was issued, and to an account by `accounts.account_id`. Only
the main chain is in these tables: an asset whose issue was undone has no row in any of them.
"""
