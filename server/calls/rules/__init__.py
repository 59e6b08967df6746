"""What may happen in a call. Pure: each rule takes the call, who acts and the time, and answers the call afterwards.

What follows by itself – that it runs, is over, is recorded – is derived by `course.settled` after every rule.
"""
