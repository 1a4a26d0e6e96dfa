"""The catalogue of weighters, for the terminal."""

from rich.table import Table

from keras_mtl.catalogue import catalogue_rows


def catalogue_table():
    """Returns a table of weighters with their signals, cost and paper."""
    table = Table(show_lines=True)
    for column in ("weighter", "signals", "cost beyond the uniform step"):
        table.add_column(column, overflow="fold")
    table.add_column("paper", overflow="fold")
    for row in catalogue_rows():
        papers = [f"{title}\n{link}" for title, link in row.papers]
        table.add_row(
            "\n".join(row.names),
            "\n".join(row.signals),
            row.cost,
            "\n".join(papers) or "-",
        )
    return table
