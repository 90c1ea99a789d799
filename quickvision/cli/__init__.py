"""The command line: parse, call the library, print."""


def main() -> None:
    """Run the command line; typer loads here, torch only when a command runs."""
    from quickvision.cli import commands

    commands.main()
