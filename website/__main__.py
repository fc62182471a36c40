"""The program: `python -m website`, or `mangahub-web`."""

from mangahub.interrupts import die_of_interrupts

die_of_interrupts()

from website.cli import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
