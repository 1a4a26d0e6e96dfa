"""What makes a file of a run the same one, wherever it lies."""

import functools
import hashlib
import importlib.metadata


def identity(path) -> dict:
    """Returns the name of a file or folder, and a checksum of what it holds.

    Of a folder, all files count but hidden ones, such as `.git`.

    Args:
        path: `Path`.

    Returns:
        `{"name": ..., "sha256": ...}`, strings.
    """
    if not path.is_dir():
        return {"name": path.name, "sha256": checksum(path)}
    names = {
        file.relative_to(path) for file in path.rglob("*") if file.is_file()
    }
    sums = [
        f"{name.as_posix()} {checksum(path / name)}\n"
        for name in sorted(names)
        if not any(part.startswith(".") for part in name.parts)
    ]
    digest = hashlib.sha256("".join(sums).encode()).hexdigest()
    return {"name": path.name, "sha256": digest[:16]}


def checksum(path) -> str:
    """Returns 16 digits of the SHA-256 of a file, read once while unchanged.

    Args:
        path: `Path`.
    """
    stat = path.stat()
    return _checksum(path.resolve(), stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=1_024)
def _checksum(path, size, modified):
    del size, modified
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def installed_version(package) -> str | None:
    """Returns the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
