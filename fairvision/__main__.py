"""`python -m fairvision` is the command `fairvision`; torchrun starts it so."""

from fairvision.cli import main

if __name__ == "__main__":
    main()
