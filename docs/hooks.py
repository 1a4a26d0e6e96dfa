"""What the documentation is built from besides its pages.

The reports of the committed comparisons, and the reference of every weighter.
"""

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
WEIGHTERS = ROOT / "keras_mtl" / "weighters" / "__init__.py"
BASES = {"base", "wrapper"}


def on_page_markdown(markdown, **kwargs):
    """Leaves comments out, and puts in every class of the catalogue."""
    markdown = re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL)
    if "{{ weighters }}" not in markdown:
        return markdown
    entries = [
        f"::: {node.module}.{alias.name}"
        for node in ast.parse(WEIGHTERS.read_text()).body
        if isinstance(node, ast.ImportFrom)
        and node.module.startswith("keras_mtl.weighters.")
        and node.module.split(".")[-1] not in BASES
        for alias in node.names
    ]
    return markdown.replace("{{ weighters }}", "\n\n".join(entries))


def on_files(files, config):
    """Adds the page of each comparison in `examples/results`."""
    made = Path(tempfile.mkdtemp())
    for folder in sorted((ROOT / "examples" / "results").iterdir()):
        if not (folder / "compare.json").exists():
            continue
        copy = made / folder.name
        shutil.copytree(folder, copy)
        code = "import sys, keras_mtl_command as c; sys.argv[0] = ''; c.main()"
        subprocess.run(
            [sys.executable, "-c", code, "report", str(copy)],
            check=True,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        page = copy / "report" / "index.html"
        uri = f"comparisons/{folder.name}/index.html"
        files.append(File.generated(config, uri, content=page.read_text()))
    shutil.rmtree(made)
    return files
