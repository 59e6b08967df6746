"""Promises with a stake: somebody promises, somebody watches, a stake moves with the outcome.

R-02 to R-13, R-17 and R-18.
"""
