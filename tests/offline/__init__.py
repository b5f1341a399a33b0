"""With the cable cut: the main job where the API server is the only thing that can be reached, and no other socket.

`python -m tests.offline` does the main job so and prints what it looked like.
"""
