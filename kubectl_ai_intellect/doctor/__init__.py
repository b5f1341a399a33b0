"""Whether everything that an answer needs is there: what is not, what that costs, and how to mend it."""
