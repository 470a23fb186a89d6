"""The command line: one file for each command or group of commands.

::

    main.py        assembles the commands, and turns errors into exit codes
    allocator.py   how freed memory is kept
    options.py     options that several commands share
    parsing.py     options and CSV rows → requests
    animate.py     animate, demo; with seeds.py and until_pass.py
    batch.py       batch
    verify.py      verify
    compare.py     compare
    rate.py        rate
    credentials.py  credentials
    doctor.py      doctor; inspection.py finds out what this machine can run
    page.py        page
    serve.py       serve, worker, keys
    browser.py     opens a page in the browser
    jobs.py        jobs, workers
    weights.py     weights
    modal.py       modal
    refusals.py    what is said of a number that is none, or out of range
    language.py    sentences in English and Korean: messages.json, help.json
    help.py        --help in Korean
    waiting.py     the first line, until there is something to show
    progress.py    a bar while clips are made
    clip_meter.py  how far they are, and one estimate from all stages
    made.py        what is printed when a clip begins and when it is finished
    summary.py     about ten lines on a finished clip
    run_log.py     the whole run log, for -v
    terminal.py    consoles that cannot show every character
"""

import gc
from typing import Final

from vivant.environment import use_one_blas_thread

COLLECT_AFTER: Final = 200_000
"""New objects after which the garbage collector looks for cycles. Imports make many objects that
stay: with Python's 700 it would take 0.2 s of a start of 1 s, and find nothing."""

USUAL_THRESHOLDS: Final = gc.get_threshold()
"""For commands that run for days."""

gc.set_threshold(COLLECT_AFTER, *USUAL_THRESHOLDS[1:])
use_one_blas_thread()
