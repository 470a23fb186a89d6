"""The command line: one file for each command or group of commands.

::

    main.py        assembles the commands, and turns errors into exit codes
    options.py     options that several commands share
    parsing.py     options and CSV rows → requests
    animate.py     animate, demo; with seeds.py and until_pass.py
    batch.py       batch
    verify.py      verify
    compare.py     compare
    rate.py        rate
    doctor.py      doctor; inspection.py finds out what this machine can run
    page.py        page
    serve.py       serve, worker, keys
    jobs.py        jobs, workers
    weights.py     weights
    modal.py       modal
    progress.py    bars while a clip is made
    time_left.py   one estimate from all stages
    run_log.py     settings and results of a clip
"""
