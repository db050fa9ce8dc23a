"""The lab: experiments on networks of real nodes, and what they are written down with.

In come a name and perhaps a wish or two; out come steps, tables, pictures and facts, which a person reads and a test
asserts. `pictures/` draws block trees and curves as SVG.
"""
