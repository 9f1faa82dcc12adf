"""The command line: one module a verb.

What a verb needs is imported inside it, so that ``rmqwork worker`` starts fast.
"""

from rmqwork.cli.program import main, program

__all__ = ["main", "program"]
