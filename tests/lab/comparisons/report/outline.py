"""A page as tests look at it."""

from html.parser import HTMLParser

from keras_mtl.lab.comparisons.report.page import write_report
from keras_mtl.lab.comparisons.report.reading import read_comparison
from tests.lab.comparisons.report.synthetic import write_comparison

METHODS, TASKS = ("stl", "uniform", "slaw"), ("a", "b")


class Outline(HTMLParser):
    """Collects headings, rows of tables, links to elsewhere and scripts."""

    def __init__(self):
        super().__init__()
        self.texts, self.rows, self.sources, self.open = {}, [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.sources += [v for n, v in attrs if n in ("src", "href")]
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        while self.open.pop() != tag:
            pass

    def handle_data(self, data):
        tag = self.open[-1] if self.open else None
        self.texts.setdefault(tag, []).append(data)
        if tag in ("td", "th"):
            self.rows[-1].append(data)


def make(folder, seeds=3, change=None, **given):
    given = {"methods": METHODS, "tasks": TASKS, **given}
    write_comparison(folder, seeds=seeds, **given)
    if change:
        change(folder / "cells")
    return read_comparison(folder)


def outline(folder, comparison):
    write_report(comparison, folder / "report")
    parsed = Outline()
    parsed.feed((folder / "report" / "index.html").read_text("utf-8"))
    return parsed
