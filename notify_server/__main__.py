"""The program: `python -m notify_server`, or `mangahub-notify`."""

from mangahub.interrupts import die_of_interrupts

die_of_interrupts()

from notify_server.cli import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
