"""`python -m notify_server`."""

from notify_server.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
