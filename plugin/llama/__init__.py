"""How llama.cpp is compiled for the package."""
