#!/usr/bin/env bash
# Builds wheel and sdist of what is committed here, installs each into an empty environment, and runs the
# programs and the migrations from it: `scripts/release.sh [DIRECTORY]` (default: dist/).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh

case ${1:-} in
  -h | --help) printf 'usage: release.sh [DIRECTORY]\n\nBuilds wheel and sdist into DIRECTORY (dist/), and tries both.\n'; exit 0 ;;
esac
target=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
python=$(find_python) || exit
work=$(mktemp -d)
chmod 755 "$work"

cleanup() {
  [ ! -x "$work/try/bin/python" ] || MANGAHUB_DATA=$work/data "$work/try/bin/python" -m sql stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

say "Building from $(git rev-parse --short HEAD)"
git archive --prefix=source/ HEAD | tar -x -C "$work"
"$python" -m venv "$work/build"
quietly "$work/build/bin/python" -m pip install --quiet build
quietly "$work/build/bin/python" -m build --outdir "$work/dist" "$work/source"

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' mangahub/__init__.py)
for package in "$work"/dist/*.whl "$work"/dist/*.tar.gz; do
  say "Trying $(basename "$package")"
  rm -rf "$work/try" "$work/data"
  "$python" -m venv "$work/try"
  quietly "$work/try/bin/python" -m pip install --quiet "${package}[local,web]"
  cd "$work" # nothing of the checkout is found from here
  found=$("$work/try/bin/mangahub-batch" --version)
  [ "$found" = "$version" ] || fail 1 "mangahub-batch is of version $found, and not $version"
  "$work/try/bin/mangahub-notify" --version >/dev/null
  "$work/try/bin/mangahub-web" --version >/dev/null
  MANGAHUB_DATA=$work/data "$work/try/bin/mangahub-batch" migrate | tail -n 1
  MANGAHUB_DATA=$work/data "$work/try/bin/mangahub-batch" status >/dev/null
  MANGAHUB_DATA=$work/data "$work/try/bin/python" -m sql stop
  cd "$root"
done
cp "$work"/dist/* "$target"
say "Done: $(cd "$target" && echo mangahub_sync-"$version"*)"
