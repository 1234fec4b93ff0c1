"""The drawing of a network as a U, from its configuration alone, as an SVG document.

`network.draw` makes the page: the figure, its legend and the equations of a recurrence. `u_shape` and
`dense_skips` say where the parts of a network stand; `pen` draws the parts: feature maps, the arrows of a
block, recurrences, heads. `captions` has the words, and `canvas` the shapes of SVG and their colours, for the
pictures of reports too.
"""
