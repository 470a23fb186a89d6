"""Starts a Python process of ours, joined to this one by a pipe.

``multiprocessing.Process`` is not used: it would import the caller's main module again, which runs
a script that has no ``if __name__ == "__main__"`` a second time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Final

START: Final = (
    "import gc,importlib,json,os,sys;"
    "gc.set_threshold(200000,*gc.get_threshold()[1:]);"  # imports make many objects that stay
    "sys.path[:],variables,module,arguments=json.loads(sys.argv[1]);"
    "[os.putenv(*one) for one in variables.items()];"
    "importlib.import_module(module).main(int(sys.argv[2]),*arguments)"
)
"""What the child's interpreter runs."""


def start_child(
    module: str,
    *arguments: int | str,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Run ``main(descriptor, *arguments)`` of a module in a new process.

    Args:
        module: its full name.
        arguments: what ``main`` gets after the file descriptor of its end of the pipe.
        variables: set in the child's environment before the module is imported.

    Returns:
        The process, and this end of the pipe.

    Raises:
        OSError: no process can be started.
    """
    path = [entry for entry in sys.path if entry]
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-c",
                START,
                json.dumps([path, dict(variables), module, arguments]),
                str(theirs.fileno()),
            ],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is for this process, which ends its children
        )
    return process, ours
