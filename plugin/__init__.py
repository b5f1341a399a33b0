"""What kubectl and krew run, and how it is packed."""
