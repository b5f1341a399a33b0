"""One file per area; each cause is one registered unit."""
