#!/usr/bin/env bash
# The first import, once, by an operator: brings the database to the current schema, then imports.
#   ./scripts/initial_sync.sh [--count N | --all] [--force] [--json]
# Reads the settings of the README (DATABASE_URL, MANGAHUB_DATA, …) from the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh

usage='usage: initial_sync.sh [--count N | --all] [--force] [--json]'
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      printf '%s\n\n' "$usage"
      printf 'Runs "mangahub-batch migrate", then "mangahub-batch initial-sync" with these arguments.\n'
      exit 0 ;;
    --all | --force | --json | --count=*) shift ;;
    --count) [ $# -gt 1 ] || fail 2 "--count needs a number"; shift 2 ;;
    *) fail 2 "unknown argument $1; $usage" ;;
  esac
done

ensure_environment local
# With --help appended the program checks the arguments before it, so nothing is migrated for a bad one.
"$venv/bin/mangahub-batch" initial-sync ${arguments[@]+"${arguments[@]}"} --help >/dev/null
"$venv/bin/mangahub-batch" migrate >&2
exec "$venv/bin/mangahub-batch" initial-sync ${arguments[@]+"${arguments[@]}"}
