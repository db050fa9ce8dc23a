"""Pictures of experiments, as SVG documents that need no other program: block trees and curves.

In come plain values: blocks by their hashes and the nodes' tips, or points; out comes the text of an SVG file, which a
browser, a Markdown page and `/learn` show as it is. Pure: no file, clock, process or thread.

**Read** `tree_picture` (blocks over height, a row for each branch, the nodes at their tips) and `curve_picture` (lines
and dots on axes); both draw on `canvas`, which escapes all text. Colours are those of the pages and never say anything
alone: what has lost is dashed, and curves differ by line and dot.

**Weak:** no font is measured; the width of a text is guessed from its letters, generously.
"""
