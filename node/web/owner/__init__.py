"""Pages that only the owner of the node's wallet uses: signing in, accounts, sending, contacts, mining, contracts.

A form is sent by a plain POST (`endpoint.Form`) and works without JavaScript. It is refused unless a session and a page
of this node's own send it (`frame.pages.page(…, token=True)`); on an open development network the page is enough. A
form with mistakes comes back with each sentence at its field, and with what was typed.

A transfer is checked twice: `send_pages` shows all of it and asks, `payments` signs and sends it once, however often
the form is sent. Nothing of these pages is kept by the node or by a browser (`no-store`).

No threads; locks: the wallet folder's (`wallet.private_files.locked`), then `ApiParts.sending`. Read: session_pages,
wallet_pages, payments, send_pages, asset_forms, contract_pages, proposal_pages.
"""
