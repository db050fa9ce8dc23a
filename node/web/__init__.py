"""Pages for people: a request for a page comes in, the functions behind `/v1` are asked, HTML goes out.

A page is a function with one line about it (`frame.pages.page`), as an endpoint of the API is. It is called with a
`Visit`, asks the API's own handlers (`Visit.ask`: no SQL, no second spelling of a key), and returns a `Page`: the
name of a template and what stands in it. `site.build_site` makes the API's application with these pages beside its
endpoints.

What makes a page safe is done once, for all of them (`frame.templating`): every value is escaped by its place in
HTML, and every text passes `system.text.shown` first, which makes control, bidirectional and invisible characters
visible. The content security policy (`frame.pages.POLICY`) lets in scripts and styles of this node's own files alone,
none within a page.

Pages are kept as answers of `/v1` are (`api.parts.answers`): rendered once a commit at most, for the owner of the
wallet and for everybody else (only the owner sees names). In the browser `static/live.js` listens to `/v1/events`,
and htmx asks for the page again and changes what differs. Without JavaScript a page reads the same, and stands still.

Static files lie in `static/`, under an address that names the content of all of them: a browser asks once. What is in
`static/vendor` comes from the npm registry as it was built (`tools/vendor.py`).

`lab/` has records of the lab's runs, written by `tools/experiments.py` and `tools/lab_pages.py`: pages show them, and
start nothing.

No thread, and one lock (`frame.name_book`). May be called by `node.server`. Within: site > the pages, in rooms of a
few files each (explorer, network, owner, …) > frame. Read: frame.pages, explorer.home_page, frame.templating,
static/live.js.
"""
