"""The default embedder's model file and the ready index made with it."""
