"""The catalogue of weighters, for the terminal."""

from rich.console import Group
from rich.table import Table

from keras_mtl.lab.catalogue import catalogue_rows


def catalogue_table():
    """Returns a table of weighters with signals, cost and paper.

    Addresses stand below it, where they have room.
    """
    table = Table(show_lines=True)
    columns = ("weighter", "signals", "cost beyond the uniform step", "paper")
    for column in columns:
        table.add_column(column, no_wrap=column == "weighter")
    addresses = []
    for row in catalogue_rows():
        titles = []
        for title, address in row.papers:
            if address not in addresses:
                addresses.append(address)
            titles.append(f"{title} ({addresses.index(address) + 1})")
        table.add_row(
            "\n".join(row.names),
            "\n".join(row.signals),
            row.cost,
            "\n".join(titles) or "-",
        )
    notes = [f"({n}) {address}" for n, address in enumerate(addresses, 1)]
    return Group(table, *notes)
