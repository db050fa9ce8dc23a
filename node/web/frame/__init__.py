"""What all pages have: how one is registered, kept and rendered, and what its templates know.

`pages`: `@page`, `Visit`, `Page`, and a page as an endpoint of the node's application. `templating`: Jinja2, with every
value made visible and escaped. `drawings`: pictures as SVG. `drawn_policy`: who may spend from a contract, as a tree.
`static_files`: under addresses that name their content. `name_book`: names of addresses, for the owner of the wallet,
read again when the files change (the one lock here).

May be called by every file of pages. Read: pages, templating.
"""
