"""The chain as pages: what just happened, blocks, transactions, addresses, assets, the mempool, the coin, the search.

A request comes in as a `Visit`; the calls of `/v1` are asked for what stands on the page; a template says it. A page
that depends on the main chain alone gives its tip back, and is kept until there is another one. Nothing here keeps
anything itself, and no thread or lock is here.

Read: home_page, block_pages, transaction_pages, account_pages, assets_page.
"""
