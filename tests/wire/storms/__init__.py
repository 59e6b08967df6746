"""Storms, floods and slow readers against the real server in a process of its own; nobody else may notice.

`./scripts/test wire --scale 1` plays them in full size (2,000 readers of which 500 stall, 5,000 reconnects, 3,000
people who appear at once); without the option a fiftieth of that. The figures are printed with `-s`.
"""
