#!/usr/bin/env bash
# From a fresh checkout to a catalogue with its first titles, and to the first notification:
#   ./scripts/quickstart.sh [--offline]
# It stops everything that it starts, and can be run again at any time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh

case ${1:-} in
  -h | --help)
    cat <<'HELP'
usage: quickstart.sh [--offline]

Installs into .venv, starts the embedded PostgreSQL, imports the first 150 titles, and shows the
way of one notification. Asks api.mangadex.org, or the bundled stand-in where that cannot be reached.

  --offline   ask the stand-in at once; its invented titles have a database of their own
  -h, --help  show this and leave

MANGAHUB_DATA and the other settings of the README are respected; DATABASE_URL is not used here.
HELP
    exit 0 ;;
  --offline | '') [ $# -le 1 ] || fail 2 "too many arguments: --offline is all it takes" ;;
  *) fail 2 "unknown argument $1: --offline is all it takes" ;;
esac

ensure_environment local
exec "$venv/bin/python" -m scripts.quickstart "$@"
