"""The report of a comparison: a page, its pictures and a table."""
