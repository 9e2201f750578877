"""Tables of answers of any length: rows, part files, writers, copies."""
