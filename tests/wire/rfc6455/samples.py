"""What several sections are tried with."""

from __future__ import annotations

from hypothesis import HealthCheck
from hypothesis import settings as settings_of_hypothesis

#: text of one to four bytes a letter
SOME = "Hellö-µ@ßöäüàá-UTF-8!! 你好 🙂".encode()
HYPOTHESIS = settings_of_hypothesis(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
