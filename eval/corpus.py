# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""The text: freely licensed Python sources found on the machine, split by the hash of their path.

Two sources, both of the interpreter that runs this module:

* its standard library with the library's own tests, under the Python Software Foundation License;
  a twelfth of its files, by the hash of the path below the library, is held out for validation
  and for the suites, so a file is never in training and in a suite;
* packages installed beside it whose own metadata names a permissive licence (MIT, BSD, Apache,
  ISC, PSF) and no other. They are for training alone. Packages that carry copies, ports
  or forerunners of parts of the standard library are left out, so that held-out text does not
  come back through them.
"""

from __future__ import annotations

import email.parser
import hashlib
import pathlib
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass

HELD_OUT_SHARE = 12  # one file of the library in so many is held out
MAX_FILE_BYTES = 240_000
MAX_PACKAGE_BYTES = 8_000_000
SKIPPED_FOLDERS = frozenset({"site-packages", "__pycache__", "encodings", "data", "crashers"})
PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation)\b", re.IGNORECASE)
RESTRICTED = re.compile(r"GPL|GNU|Mozilla|MPL|CNRI|Eclipse|CDDL|Proprietary|Other", re.IGNORECASE)
NEAR_THE_LIBRARY = re.compile(
    r"^(pip|setuptools|wheel|virtualenv|distlib|typing.extensions|importlib.*|zipp|backports.*"
    r"|tomli|exceptiongroup|cloudpickle|attrs|distro|platformdirs)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SourceFile:
    """One file of the corpus: its origin (`stdlib` or a package), its path, its text."""

    origin: str
    path: str
    text: str

    @property
    def split(self) -> str:
        """`train`, or one of the two halves of the held-out files: `dev` and `test`."""
        if self.origin != "stdlib":
            return "train"
        digest = hashlib.sha256(self.path.encode()).digest()
        if int.from_bytes(digest[:4], "big") % HELD_OUT_SHARE:
            return "train"
        return "test" if digest[4] % 2 else "dev"


@dataclass(frozen=True)
class Package:
    """An installed package that may be used, with the licence that its metadata names."""

    name: str
    version: str
    licence: str
    record: pathlib.Path


def library_folder() -> pathlib.Path:
    """The standard library of the running interpreter."""
    return pathlib.Path(sysconfig.get_path("stdlib"))


def _is_prose_or_code(text: str) -> bool:
    """False for tables and encoded data: very long lines, or mostly outside ASCII."""
    lines = text.count("\n") + 1
    beyond_ascii = sum(1 for c in text if ord(c) > 127)
    return len(text) / lines < 90 and beyond_ascii < 0.1 * len(text)


def _read(path: pathlib.Path) -> str | None:
    """The text with plain newlines; nothing if it is not UTF-8, tiny, huge or a table."""
    raw = path.read_bytes()
    if not 200 <= len(raw) <= MAX_FILE_BYTES:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text if text.endswith("\n") else text + "\n"
    return text if _is_prose_or_code(text) else None


def read_library(folder: pathlib.Path | None = None) -> Iterator[SourceFile]:
    """All usable files of the standard library, in a fixed order."""
    root = folder or library_folder()
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if SKIPPED_FOLDERS.intersection(relative.parts):
            continue
        if (text := _read(path)) is not None:
            yield SourceFile("stdlib", relative.as_posix(), text)


def find_packages(folder: pathlib.Path | None = None) -> list[Package]:
    """Installed packages with a permissive licence, by name."""
    root = folder or library_folder() / "site-packages"
    found = []
    for record in sorted(root.glob("*.dist-info/RECORD")):
        raw = (record.parent / "METADATA").read_text(errors="replace")
        meta = email.parser.HeaderParser().parsestr(raw)
        named = [c for c in meta.get_all("Classifier", []) if c.startswith("License ::")]
        licence = meta.get("License-Expression") or "; ".join(
            c.rsplit("::", 1)[-1].strip() for c in named
        )
        name = meta.get("Name", "")
        if NEAR_THE_LIBRARY.match(name) or RESTRICTED.search(licence):
            continue
        if PERMISSIVE.search(licence):
            found.append(Package(name, meta.get("Version", ""), licence, record))
    return sorted(found, key=lambda p: p.name.lower())


def read_package(package: Package) -> Iterator[SourceFile]:
    """A package's sources up to the limit of bytes, in an order drawn by hash of their paths."""
    root = package.record.parent.parent
    paths = [line.split(",")[0] for line in package.record.read_text().splitlines()]
    paths = [p for p in paths if p.endswith(".py") and "vendor" not in p and ".." not in p]
    size = 0
    for relative in sorted(paths, key=lambda p: hashlib.sha256(p.encode()).digest()):
        path = root / relative
        text = _read(path) if path.is_file() else None
        if text is None:
            continue
        size += len(text)
        if size > MAX_PACKAGE_BYTES:
            return
        yield SourceFile(package.name, relative, text)
