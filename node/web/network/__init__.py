"""How blocks and nodes hang together: the pages of forks and of the network, `/forks`, `/forks/branch/…`, `/network`.

`/v1/tree`, `/v1/network` and `/v1/network/graph` come in; HTML goes out, with the tree of blocks as SVG and one
colour a tip. `fork_tree` places the blocks (numbers only, no node asked), `templates/tree.html` draws them.
`known_nodes` gathers the nodes by their tips: what other nodes say of themselves is untrusted text, and their URLs
are shown and never fetched.

Other nodes move without a commit of this one, so these pages are kept for a second at most, and `static/look.js` asks
for them again while they are seen. `static/forks.js` tells of reorgs.

No thread, no lock. May be called by `node.web.site`. Read: fork_tree, known_nodes, fork_pages.
"""
