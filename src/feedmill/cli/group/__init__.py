"""``feedmill run``: the ordinary commands as one group of processes.

::

    supervisor ── starts, watches, restarts, stops ──► serve         folds and answers, always
        │                                              join          follows the log, always
        │  one pipe to each: closed, it ends           incremental   every few minutes
        ▼                                              nightly       at an hour of the night
    lines (time, level, part, message), status/run.json

Each part is a command that also runs alone; the group knows of it what a shell would: its lines and how it ended.
"""
