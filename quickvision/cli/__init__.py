"""The command line: parse, call the library, print. Decides nothing that the library can decide.

    parameters   from the declared options to Typer's: text to values, and back in messages
    commands     the commands, and what an error becomes: a line and an exit code

Others may ask: none of them.
"""


def main() -> None:
    """Run the command line; Typer loads here, torch only when a command runs."""
    from quickvision.cli import commands

    commands.main()
