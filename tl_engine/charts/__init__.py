"""Numbers in, picture out: a module per kind of figure, all on one template (`style`).

A function here takes frames, arrays and words, and gives a Plotly figure, an SVG or a piece of
HTML. Words that people gave come as they are and are escaped here (`text.markup`). It may import
`analysis` and what lies below it, never reads a file and never decides what is shown.
"""
