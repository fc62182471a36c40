#!/usr/bin/env bash
# Installs the programs and their systemd units from this checkout. Run again, it upgrades.
#   sudo ./scripts/install.sh [--dry-run]        see --help, and uninstall.sh for the way back
set -euo pipefail
# shellcheck source=scripts/installation.sh
. "$(dirname "${BASH_SOURCE[0]}")/installation.sh"

usage() {
  cat <<'HELP'
usage: install.sh [--no-start] [--dry-run] [--prefix DIR] [--root DIR] [--extra NAME]
                  [--no-package]

Makes the system user mangahub, a virtual environment with the programs in /opt/mangahub, the
settings /etc/mangahub/mangahub.env (if there are none; yours are never touched), the systemd units,
and the commands mangahub-batch, mangahub-notify and mangahub-web in /usr/local/bin; then starts
everything.
Run again, it upgrades: the new environment is made beside the old one, and only when that is
complete are the services stopped, switched over and started again, the database's schema first.

  --no-start    start and enable nothing, and leave alone what runs
  --dry-run     show every command and run none
  --prefix DIR  instead of /opt/mangahub
  --root DIR    install below DIR, for an image or to look at: no root, no user, no systemd needed
  --extra NAME  with a part of setup.cfg's extras_require that is not there by default: dask
  --no-package  only the files around the programs, without the virtual environment
  -h, --help    show this and leave
HELP
}

no_start='' no_package='' new='' sources=''
extras=local,alerts,channels,lists,web # the embedded PostgreSQL, and what the parts need

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --no-start) no_start=yes; shift ;;
      --no-package) no_package=yes; shift ;;
      --extra) [ -n "${2:-}" ] || fail 2 "--extra needs a name"; extras+=,$2; shift 2 ;;
      *) take_option "$@"; shift "$taken" ;;
    esac
  done
  settle_places
}

find_python() { # prints the first that is new enough, and that services and their user can reach
  local path
  while IFS= read -r path; do
    case $(readlink -f "$path") in /home/* | /root/*) continue ;; esac
    if "$path" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
    then
      printf '%s' "$path"
      return
    fi
  done < <(type -aP "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11)
  [ -z "$dry_run" ] || { printf python3; return; }
  fail 1 "needs Python 3.11 or newer with venv, and not below /home or /root (Debian, Ubuntu:\
 apt-get install python3-venv), or PYTHON set to its path"
}

make_user() {
  is_real || return 0
  getent passwd mangahub >/dev/null ||
    run useradd --system --user-group --home-dir /var/lib/mangahub --no-create-home \
      --shell /usr/sbin/nologin --comment MangaHub mangahub
}

install_package() { # into a directory of its own: what runs is not touched, whatever goes wrong here
  local python
  python=$(find_python) || exit
  run install -d -m 0755 "$home"
  new=$home/venv.XXXXXX sources=/tmp/mangahub.XXXXXX
  if [ -z "$dry_run" ]; then
    new=$(mktemp -d "$new") sources=$(mktemp -d "$sources")
  fi
  trap remove_unfinished EXIT
  run chmod 0755 "$new"
  run "$python" -m venv "$new"
  # pip leaves files where it builds; not in the checkout.
  run cp -R "$checkout"/{batch,mangadex_sim,mangahub,notify_server,readers,sql,website} \
    "$checkout"/{LICENSE,README.md,pyproject.toml,setup.cfg} "$sources"
  run "$new/bin/python" -m pip --disable-pip-version-check --no-input --quiet \
    install "${sources}[$extras]"
  # An environment made below another root has to find its Python at its final path.
  is_real || run sed -i "1s|^#!$new/|#!$prefix/venv/|" "$new"/bin/mangahub-*
  run rm -rf "$sources"
}

remove_unfinished() { # at the end of the script, also where it failed
  [ -n "$dry_run" ] && return
  [ -z "$sources" ] || rm -rf "$sources"
  [ "$(readlink "$home/venv")" = "${new##*/}" ] || rm -rf "$new"
}

stop_services() {
  has_systemd && [ -z "$no_start" ] && [ -e "$units/mangahub.target" ] || return 0
  run systemctl stop mangahub.target 'mangahub-*'
}

switch_package() {
  [ -n "$new" ] || return 0
  run ln -sfn "${new##*/}" "$home/venv"
}

install_units() {
  local files
  mapfile -t files < <(unit_files)
  run install -d -m 0755 "$units"
  install_texts 0644 "$units" "${files[@]}"
  install_texts 0644 "$units/mangahub-.service.d" mangahub-.service.d/10-common.conf
  install_texts 0644 "$units/mangahub-postgres.service.d" \
    mangahub-postgres.service.d/20-exceptions.conf
  install_texts 0644 "$units/mangahub-web.service.d" mangahub-web.service.d/20-exceptions.conf
  ! knows_restart_steps ||
    install_texts 0644 "$units/mangahub-notify.service.d" 20-backoff.conf
}

install_texts() { # mode folder file...: out of systemd/, with the prefix put in
  local mode=$1 folder=$2; shift 2
  run install -D -m "$mode" -t "$folder" "${@/#/$checkout/systemd/}"
  set -- "${@##*/}"
  [ "$prefix" = /opt/mangahub ] || run sed -i "s|/opt/mangahub|$prefix|g" "${@/#/$folder/}"
}

knows_restart_steps() { # systemd 254 and newer
  local version
  version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 254 ]
}

install_commands() {
  local name
  run install -d -m 0755 "$commands"
  install_texts 0755 "$home" as-mangahub
  for name in mangahub-batch mangahub-notify mangahub-web; do
    if [ -e "$commands/$name" ] && [ "$(readlink "$commands/$name")" != "$prefix/as-mangahub" ]; then
      say "$commands/$name is not ours and stays as it is."
    else
      run ln -sfn "$prefix/as-mangahub" "$commands/$name"
    fi
  done
}

install_settings() {
  local owner=()
  ! is_real || owner=(-o root -g mangahub)
  run install -d -m 0750 ${owner[@]+"${owner[@]}"} "${settings%/*}"
  run install -m 0644 "$checkout/systemd/mangahub.env.example" "$settings.example"
  [ -e "$settings" ] ||
    run install -m 0640 ${owner[@]+"${owner[@]}"} "$checkout/systemd/mangahub.env.example" "$settings"
}

start_services() { # the added units' names
  if ! has_systemd; then
    ! is_real || say "systemd does not run here: nothing was enabled or started."
    return 0
  fi
  run systemctl daemon-reload
  [ -z "$no_start" ] || return 0
  # At first the target, and with it all units; later only new units, none that was disabled since.
  if ! systemctl is-enabled --quiet mangahub.target 2>/dev/null; then
    run systemctl enable mangahub.target
  elif [ $# -gt 0 ]; then
    run systemctl enable "$@"
  fi
  run systemctl start mangahub.target
  # It is ordered after the database and its schema, so this waits for them and shows whether they work.
  run systemctl start mangahub-notify.service ||
    fail 1 "the notification server does not start: journalctl -b -u 'mangahub-*' tells why"
}

new_units() { # those that are not installed yet and can be enabled
  local name
  for name in $(unit_files); do
    [ -e "$units/$name" ] || ! grep -q '^\[Install\]' "$checkout/systemd/$name" || echo "$name"
  done
}

remove_old_packages() { # with --no-start one may still be running
  local old
  [ -n "$new" ] && [ -z "$no_start" ] || return 0
  for old in "$home"/venv.*; do
    [ ! -d "$old" ] || [ "$old" = "$new" ] || run rm -rf "$old"
  done
}

print_next_steps() {
  if [ -n "$dry_run" ]; then say "Nothing was changed: this was --dry-run."; return; fi
  if ! is_real; then say "Installed below $staging."; return; fi
  cat <<NEXT

Installed. Next:
  settings       edit $settings, then: systemctl restart mangahub.target
  health         mangahub-batch doctor; mangahub-batch status
  first reader   mangahub-notify user add NAME --admin; mangahub-notify key NAME --link
  logs           journalctl -f -u 'mangahub-*'
  what runs when systemctl list-timers 'mangahub-*'
NEXT
  [ -z "$no_start" ] || printf '  start          systemctl enable --now mangahub.target\n'
}

parse_arguments "$@"
require_root
mapfile -t added < <(new_units)
make_user
[ -n "$no_package" ] || install_package
install_settings
stop_services
switch_package
install_units
install_commands
start_services ${added[@]+"${added[@]}"}
remove_old_packages
print_next_steps
