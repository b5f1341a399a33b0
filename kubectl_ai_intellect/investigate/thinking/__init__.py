"""A model at the desk: what it is shown, what it may answer, what of its answer is believed."""
