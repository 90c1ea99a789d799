"""The command line: parse, call the library, print. Decides nothing that the library can decide.

    options    types, help, and what is checked of options at once
    commands   the commands, and what an error becomes: a line and an exit code

Others may ask: none of them.
"""


def main() -> None:
    """Run the command line; Typer loads here, torch only when a command runs."""
    from quickvision.cli import commands

    commands.main()
