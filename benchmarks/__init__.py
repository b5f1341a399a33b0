"""What is measured: accuracy, speed, retrieval, the local model."""
