"""`python -m quickvision` is `quickvision`, so that launchers can start it."""

from quickvision.cli import main

if __name__ == "__main__":
    main()
