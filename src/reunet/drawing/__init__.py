"""The drawing of a network as a U, and the canvas that pictures of reports are drawn on too."""
