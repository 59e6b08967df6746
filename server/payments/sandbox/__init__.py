"""Practice Pay, a payment platform that moves play money: a program of its own, `python -m server.payments.sandbox`.

To the hub it is another party. It has a process, a database, a key and pages of its own, is asked over HTTP, and tells
what happened by signed notices. It is as strict as a bank and, where a tester wants it, as unreliable as a network.
Nothing in here imports anything of the hub, and nobody imports this.
"""
