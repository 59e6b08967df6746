"""What runs in a process of its own, one per job: the only code that reads what people have sent.

Nothing of the server imports it (`python -m server.media.worker` is started by workshop.py), so that a hostile file
meets nothing but bounds: of memory, of time, of what it may write.
"""
