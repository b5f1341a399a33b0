"""kubectl intellect."""
