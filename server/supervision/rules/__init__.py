"""What happens next to a pledge. Pure: a pledge, what somebody did or the time → a `Change`.

`lifecycle` puts it all together and is asked after each change; the other modules know one noun each.
"""
