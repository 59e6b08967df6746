"""People: accounts, sign-ins, friends, profiles, and the grants that let some of them do more (R-01).

`model` holds the words, `rules` and `pairs` the decisions, `repo` the queries; the services are cut by noun
(`accounts`, `sessions`, `friends`, `directory`) and joined by `service.People`, which is all that others need.
"""
