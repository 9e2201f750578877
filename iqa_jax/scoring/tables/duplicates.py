"""Equal files are scored once: what has been answered, by content, on disk."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any


class SeenContents:
    """Rows by the content that they are of. Its memory does not grow with them.

    Args:
        rows: of an earlier start; those with a `content` and without an error count.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()):
        # No name: a database of this process alone, in a temporary file.
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE seen (content TEXT PRIMARY KEY, row TEXT)")
        for row in rows:
            if row.get("content") and not row["error"] and self.begin(row["content"]):
                self.finish(row)

    def begin(self, content: str) -> bool:
        """Says whether content is new; from then on it is not."""
        insert = "INSERT OR IGNORE INTO seen (content) VALUES (?)"
        return self._database.execute(insert, (content,)).rowcount > 0

    def finish(self, row: Mapping[str, Any]) -> None:
        """Keeps the row of content that was new."""
        self._database.execute(
            "UPDATE seen SET row = ? WHERE content = ?", (json.dumps(row), row["content"])
        )

    def row_of(self, content: str) -> dict[str, Any]:
        """Gives the row of content that was seen, once that is finished."""
        select = "SELECT row FROM seen WHERE content = ?"
        return json.loads(self._database.execute(select, (content,)).fetchone()[0])
