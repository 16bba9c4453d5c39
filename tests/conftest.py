"""Random tests draw the same examples in every run, and have no time limit: no test depends on chance or the clock."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
