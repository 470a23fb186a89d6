"""The command line: one file per command group; ``main`` assembles them."""
