"""A decoder that never ends: what tests of the darkroom give it."""

import signal

if __name__ == "__main__":
    signal.pause()
