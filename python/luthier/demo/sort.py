"""Rows of the second demo: from a docstring of the standard library to the area of the library that it comes from.

The honest counter-example: a bag of words does well here, and the verdict says so.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from luthier.demo.functions import cut
from luthier.demo.library import Module, docstrings, walk_modules

MIN_DOCUMENTATION = 40  # characters; shorter docstrings name no area
MAX_DOCUMENTATION = 400
SEED = 0

AREAS: dict[str, str] = {
    "archives": "bz2 gzip lzma tarfile zipfile _compression compression",
    "async": "asyncio",
    "commands": "argparse optparse getopt cmd getpass curses rlcompleter readline shlex fileinput",
    "containers": "collections _collections_abc heapq bisect array weakref _weakrefset graphlib copy queue",
    "data": "json csv configparser tomllib plistlib netrc base64 pickle pickletools shelve dbm sqlite3 xdrlib uu",
    "dates": "datetime _pydatetime calendar _strptime zoneinfo sched",
    "debugging": "pdb bdb trace traceback tracemalloc profile cProfile pstats timeit cgitb",
    "files": "os posixpath ntpath genericpath pathlib shutil glob fnmatch tempfile filecmp stat io _pyio linecache",
    "imports": "importlib pkgutil imp zipimport modulefinder runpy",
    "language": "typing types enum dataclasses abc functools contextlib operator __future__ _py_abc",
    "logging": "logging warnings",
    "mail": "email mailbox smtplib imaplib poplib smtpd mailcap mimetypes quopri",
    "network": "socket ssl socketserver selectors ftplib telnetlib ipaddress nntplib asyncore asynchat",
    "numbers": "decimal _pydecimal fractions numbers statistics random",
    "packaging": "venv site sysconfig compileall py_compile _osx_support platform zipapp",
    "processes": "threading multiprocessing concurrent subprocess _threading_local signal pty",
    "source": "inspect ast symtable tokenize pyclbr dis pydoc tabnanny code codeop keyword",
    "testing": "unittest doctest",
    "text": "string re difflib textwrap codecs encodings locale gettext stringprep pprint reprlib",
    "web": "http urllib html wsgiref webbrowser cgi xmlrpc",
    "windows": "tkinter turtle turtledemo",
    "xml": "xml _markupbase",
}
"""Each area with the top-level modules that belong to it. Modules of no area give no rows."""

_DESCRIPTIONS = {
    "archives": "compressed files and archives",
    "async": "event loops, coroutines and tasks",
    "commands": "command lines and terminals",
    "containers": "collections, queues and references",
    "data": "reading and writing data formats",
    "dates": "dates, times and calendars",
    "debugging": "debugging, tracing and profiling",
    "files": "files, folders and paths",
    "imports": "finding and loading modules",
    "language": "types, classes and function tools",
    "logging": "log messages and warnings",
    "mail": "messages, mailboxes and mail servers",
    "network": "sockets, addresses and network protocols",
    "numbers": "numbers, statistics and random values",
    "packaging": "building, installing and environments",
    "processes": "threads, processes and locks",
    "source": "reading and analysing source code",
    "testing": "tests",
    "text": "text, patterns and encodings",
    "web": "web requests, servers and pages",
    "windows": "windows, widgets and drawing",
    "xml": "XML documents",
}

SYSTEM = (
    "You sort pieces of documentation into the area of the library that they come from. "
    "Answer with the name of exactly one area and nothing else.\nThe areas are:\n"
    + "\n".join(f"- {area}: {_DESCRIPTIONS[area]}" for area in AREAS)
)


def area_of(module: str) -> str | None:
    """The area of a top-level module, or None."""
    return _AREA_OF.get(module)


def sort_rows(modules: Iterable[Module] | None = None, most: int | None = None) -> list[dict[str, Any]]:
    """The rows in the order of the library: docstrings of 40 characters and more, each once; one that stands in two
    areas is left out. Of more than `most` rows as many are drawn at random, always the same ones; None takes all."""
    area_by_text: dict[str, str | None] = {}
    for module in walk_modules() if modules is None else modules:
        area = area_of(module.top)
        if area is None:
            continue
        for documentation in docstrings(module):
            if len(documentation) < MIN_DOCUMENTATION:
                continue
            text = cut(documentation, MAX_DOCUMENTATION)
            area_by_text[text] = area if area_by_text.get(text, area) == area else None
    rows = [
        {
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": text},
                {"role": "assistant", "content": area},
            ]
        }
        for text, area in area_by_text.items()
        if area is not None
    ]
    if most is None or len(rows) <= most:
        return rows
    return [rows[index] for index in sorted(random.Random(SEED).sample(range(len(rows)), most))]


_AREA_OF = {module: area for area, modules in AREAS.items() for module in modules.split()}
