"""The consensus, pure: `docs/protocol.md` as functions of bytes and whole numbers.

Nothing here reads a clock, a file, a socket or a database; whoever needs the time passes `now` in.
"""
