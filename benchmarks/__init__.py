"""Benchmarks: `harness/` measures and writes; each other folder is one benchmark, all of one shape.

    __main__.py   python -m benchmarks.prepare: its sections, and what is written of them
    systems.py    what is compared: names, sizes, commands
    peers/        a program for each other way of doing the job
    sections/     one question each: a Bench in, raw figures out
    agreement.py  whether a system did its job
    figures.py    raw figures to promises
    render.py     raw figures to its part of the document
    inputs.py     what it needs beside the JPEGs of `harness/inputs.py`

A folder has those of them that it needs. Figures are recorded in `results/`.
"""
