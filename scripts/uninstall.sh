#!/usr/bin/env bash
# Removes what install.sh has made; settings and data only with --purge.
#   sudo ./scripts/uninstall.sh [--dry-run]
set -euo pipefail
# shellcheck source=scripts/installation.sh
. "$(dirname "${BASH_SOURCE[0]}")/installation.sh"

usage() {
  cat <<'HELP'
usage: uninstall.sh [--purge [--yes]] [--dry-run] [--prefix DIR] [--root DIR]

Stops and disables all units, removes them, /opt/mangahub and the commands in /usr/local/bin.
Settings (/etc/mangahub), data (/var/lib/mangahub) and the user mangahub stay, so that install.sh
continues where it was.

  --purge       remove settings, data and user as well; asks first
  --yes         do not ask
  --dry-run     show every command and run none
  --prefix DIR  where it was installed, if not in /opt/mangahub
  --root DIR    what was installed below DIR
  -h, --help    show this and leave
HELP
}

purge='' yes=''

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --purge) purge=yes; shift ;;
      --yes) yes=yes; shift ;;
      *) take_option "$@"; shift "$taken" ;;
    esac
  done
  settle_places
}

confirm_purge() {
  local answer=''
  [ -n "$purge" ] && [ -z "$yes" ] && [ -z "$dry_run" ] || return 0
  printf 'This removes %s with its database, %s and the user mangahub.\nType "purge" to continue: ' \
    "$data" "${settings%/*}" >&2
  read -r answer || true
  [ "$answer" = purge ] || fail 1 "nothing was removed"
}

installed_units() {
  local name
  for name in $(unit_files); do
    [ ! -e "$units/$name" ] || echo "$name"
  done
}

stop_services() { # unit...
  has_systemd && [ $# -gt 0 ] || return 0
  run systemctl disable --now "$@"
  run systemctl stop 'mangahub-*' # what was started by hand or by a timer
}

remove_units() { # unit...; drop-ins of the operator stay
  local name folder
  [ $# = 0 ] || run rm -f "${@/#/$units/}"
  for name in mangahub-.service.d/10-common.conf mangahub-postgres.service.d/20-exceptions.conf \
    mangahub-web.service.d/20-exceptions.conf mangahub-notify.service.d/20-backoff.conf; do
    folder=$units/${name%/*}
    [ ! -e "$units/$name" ] || run rm -f "$units/$name"
    [ ! -d "$folder" ] || run rmdir --ignore-fail-on-non-empty "$folder"
  done
  has_systemd && [ $# -gt 0 ] || return 0
  run systemctl daemon-reload
  run systemctl reset-failed 'mangahub*'
}

remove_programs() { # by name: --prefix may be a directory of others
  local path name
  for name in mangahub-batch mangahub-notify mangahub-web; do
    [ "$(readlink "$commands/$name")" != "$prefix/as-mangahub" ] || run rm -f "$commands/$name"
  done
  for path in "$home/venv" "$home"/venv.?????? "$home/as-mangahub"; do
    if [ -e "$path" ] || [ -L "$path" ]; then run rm -rf "$path"; fi
  done
  [ ! -d "$home" ] || run rmdir --ignore-fail-on-non-empty "$home"
}

purge_data() {
  local path
  [ -n "$purge" ] || return 0
  for path in "$data" "${settings%/*}" "$staging"/var/lib/systemd/timers/stamp-mangahub-*; do
    [ ! -e "$path" ] || run rm -rf "$path"
  done
  ! is_real || ! getent passwd mangahub >/dev/null || run userdel mangahub
}

print_end() {
  if [ -n "$dry_run" ]; then say "Nothing was changed: this was --dry-run."; return; fi
  if [ -n "$purge" ]; then say "Removed, with settings and data."; return; fi
  say "Removed. Settings (${settings%/*}), data ($data) and the user mangahub stay; --purge removes them."
}

parse_arguments "$@"
require_root
confirm_purge
mapfile -t found < <(installed_units)
stop_services ${found[@]+"${found[@]}"}
remove_units ${found[@]+"${found[@]}"}
remove_programs
purge_data
print_end
