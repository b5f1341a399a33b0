"""The loop: understand, read, hypothesise, probe, analyse, conclude."""
