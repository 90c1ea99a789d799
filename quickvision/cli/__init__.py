"""The command line: parse, call the library, print. Decides nothing that the library can decide.

    values       an option as a command has it, and values of Python as a shell takes them
    phrases      files and commands in place of what a run and the loaders hold
    spelling     what the library says, in the words of the command line
    told         who is spoken to: the command at hand, its options, what was typed
    helping      how a command shows its options: by group, a line each
    parameters   from the declared options to Typer's: text to values
    refusals     what was mistyped, said in the one style of errors
    first        the first look at a path, before anything is loaded
    names        names of models, without the libraries that have them
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
