"""Words that no sentence of ours may have: those of libraries, and what Python prints of its objects."""

from __future__ import annotations

import re

NOT_FOR_PEOPLE = re.compile(
    r"Object|\barray\b|\bregex\b|Expected|Expecting|Traceback|sqlalchemy|sqlite3\.|\bclick\b|msgspec|OpenSSL|"
    r"\[Errno|\berrno\b|<class|object at 0x|\bb'|NoneType|urllib3|requests\.|HTTPConnectionPool|"
    r"ValueError|TypeError|KeyError|Invalid value|JSONDecode|\^\(|\$\.|[a-z]Error\b|"
    # SQLite's own
    r"SQLITE_|disk image|is not a database|open database|disk I/O|readonly|is locked|no such table|Tree \d|btree|"
    r"constraint failed|schema \(|decode to UTF",
)
