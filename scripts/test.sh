#!/usr/bin/env bash
# All tests, and lint: what a person types is what CI runs.
#   ./scripts/test.sh                       everything
#   ./scripts/test.sh fast                  lint, and the tests that start no programs
#   ./scripts/test.sh coverage              everything, and the lines that no test reaches
#   ./scripts/test.sh PYTEST ARGUMENT…      for example: tests/sql -k adoption -x
# Runs everything even if one part fails; the tests come last, so that the output ends with pytest's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh

case ${1:-} in
  -h | --help)
    printf 'usage: test.sh [fast | coverage | PYTEST ARGUMENT…]\n\nInstalls into .venv, then runs ruff, mypy, shellcheck where it is installed, and pytest.\n'
    exit 0 ;;
esac

# Most tests wait more than they compute.
side_by_side=(-n "$((2 * $(nproc)))" --dist worksteal)
case ${1:-} in
  fast) shift; set -- -m 'not slow' "${side_by_side[@]}" "$@" ;;
  coverage) shift; set -- --cov --cov-report=term-missing:skip-covered "${side_by_side[@]}" "$@" ;;
  '') set -- "${side_by_side[@]}" ;;
esac

unset PYTHONDONTWRITEBYTECODE # compile once what a thousand programs start with

failed=()
check() { # name command...
  local name=$1; shift
  say "$name"
  "$@" || failed+=("$name")
}

ensure_environment dev
check 'ruff check' "$venv/bin/python" -m ruff check .
check 'ruff format' "$venv/bin/python" -m ruff format --check .
check mypy "$venv/bin/python" -m mypy
if command -v shellcheck >/dev/null; then check shellcheck shellcheck -x scripts/*.sh .ci/run; fi
say pytest
code=0
"$venv/bin/python" -m pytest "$@" || code=$?
if [ ${#failed[@]} -gt 0 ]; then
  printf 'test.sh: failed: %s\n' "$(IFS=,; echo "${failed[*]}")" >&2
  [ "$code" != 0 ] || code=1
fi
exit "$code"
