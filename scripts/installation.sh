# shellcheck shell=bash
# shellcheck disable=SC2034 # variables are for those who source it
# Sourced by install.sh and uninstall.sh: their common options, the paths, and how commands are shown
# and run.

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$(basename "$0")
prefix=/opt/mangahub
staging='' # --root: everything goes below it; there are no users and no services then
dry_run=''

fail() { # exit-code text
  printf '%s: %s\n' "$program" "$2" >&2
  exit "$1"
}

say() { printf '\n%s\n' "$1"; }

run() { # command...: shown, and run unless --dry-run
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  [ -n "$dry_run" ] || "$@"
}

take_option() { # arguments...: sets `taken` to how many of them were a common option
  taken=1
  case $1 in
    --root | --prefix)
      [ -n "${2:-}" ] || fail 2 "$1 needs a directory"
      if [ "$1" = --root ]; then staging=$2; else prefix=$2; fi
      taken=2 ;;
    --root=?*) staging=${1#*=} ;;
    --prefix=?*) prefix=${1#*=} ;;
    --dry-run) dry_run=yes ;;
    -h | --help) usage; exit 0 ;;
    *) fail 2 "unknown argument $1; see $program --help" ;;
  esac
}

settle_places() { # after the options
  # It is written into unit files unchanged.
  [[ $prefix =~ ^(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+$ ]] ||
    fail 2 "--prefix $prefix is not allowed: it must be an absolute path of letters, digits and ._+-"
  case $prefix/ in
    /home/* | /root/*) fail 2 "--prefix $prefix is not allowed: services cannot see /home and /root" ;;
  esac
  if [ -n "$staging" ]; then
    staging=$(realpath -m "$staging")
    [ "$staging" != / ] || staging=''
  fi
  home=$staging$prefix
  units=$staging/etc/systemd/system
  settings=$staging/etc/mangahub/mangahub.env
  data=$staging/var/lib/mangahub
  commands=$staging/usr/local/bin
}

is_real() { [ -z "$staging" ]; } # whether this is about the host itself

require_root() {
  if is_real && [ -z "$dry_run" ] && [ "$(id -u)" != 0 ]; then
    fail 1 "run it as root, or look first: $program --dry-run"
  fi
}

has_systemd() { # --dry-run shows what a host with systemd would do
  is_real && { [ -n "$dry_run" ] || [ -d /run/systemd/system ]; }
}

unit_files() { # the names of all units, drop-ins not included
  (cd "$checkout/systemd" && printf '%s\n' mangahub*.service mangahub*.timer mangahub.target)
}
