"""What a person types: run, test, check, bench, lock. `launch` and `setup.py` prepare, the modules do the work."""
