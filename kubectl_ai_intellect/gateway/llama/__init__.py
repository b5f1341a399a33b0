"""llama.cpp in a process of its own, spoken to over pipes."""
