"""The ground that all stand on: errors, figures, files, processes. Knows no picture and no model.

    errors      the error tree, and what makes messages useful
    choices     what an option may be, declared once; loads no torch
    figures     accuracy with its interval, uneven classes, times read and said
    tables      as people read them: whole, rounded, at the terminal's width; loads pandas
    memory      what the C library keeps, running out, the peak of a piece of work
    versions    of what decides what comes out, as files write them down
    templates   Jinja's environment for what is written as text
    files       written whole or not at all; our cache folder; CSV as people have it
    processes   those that train together
    progress    named lines, bars, many files at once

Others may ask: all of them.
"""
