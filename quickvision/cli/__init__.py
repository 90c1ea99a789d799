"""The command line: parse, call the library, print. Decides nothing that the library can decide.

    parameters   from the declared options to Typer's: text to values, and back in messages
    first        the first look at a path, before anything is loaded
    answers      the commands that ask a trained model: predict, evaluate, submit
    serve        the command that shows a model to people: a page
    commands     the commands, and what an error becomes: a line and an exit code

Others may ask: none of them.
"""

import sys


def main() -> None:
    """Run the command line; Typer loads here, torch only when a command runs."""
    from quickvision.cli.first import answer_at_once

    answer_at_once(sys.argv[1:])
    from quickvision.cli import commands

    commands.main()
