"""The HTTP interface of a node. Endpoints parse, call, render; everything they share stands in `app` and `endpoint`."""
