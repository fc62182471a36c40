#!/usr/bin/env bash
# From a fresh checkout to a catalogue with its first titles, a notification, and the website:
#   ./scripts/quickstart.sh [--offline] [--no-wait]
# It stops everything that it starts, and can be run again at any time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh

for argument in "$@"; do
  case $argument in
    -h | --help)
      cat <<'HELP'
usage: quickstart.sh [--offline] [--no-wait]

Installs into .venv, starts the embedded PostgreSQL, imports the first 150 titles, shows the way of
one notification, and opens the website until you press Enter. Asks api.mangadex.org, or the bundled
stand-in where that cannot be reached.

  --offline   ask the stand-in at once; its invented titles have a database of their own
  --no-wait   stop everything at the end without waiting for Enter, as where there is no terminal
  -h, --help  show this and leave

MANGAHUB_DATA and the other settings of the README are respected; DATABASE_URL is not used here.
HELP
      exit 0 ;;
    --offline | --no-wait) ;;
    *) fail 2 "unknown argument $argument: --offline and --no-wait are all it takes" ;;
  esac
done

ensure_environment local,web
exec "$venv/bin/python" -m scripts.quickstart "$@"
