"""Services that run a model elsewhere, each in its own wire format."""
