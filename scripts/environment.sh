# shellcheck shell=bash
# Sourced by the scripts in this directory: makes the virtual environment `.venv` of this checkout.
#   ensure_environment EXTRA,…|dev    installs these extras, at once where it is installed already
# If several scripts do so at the same time, one installs and the others wait for it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

say() { # text: what is being done, in bold on a terminal
  if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then printf '\033[1;34m==>\033[0m \033[1m%s\033[0m\n' "$1"
  else printf '==> %s\n' "$1"; fi
}

fail() { # exit-code text
  printf '%s: %s\n' "$(basename "$0")" "$2" >&2
  exit "$1"
}

find_python() { # prints the first Python that is new enough
  local name
  for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail 1 "Python 3.11 or newer is needed, and python3 is $(python3 --version 2>&1 | head -n 1):\
 install it, or set PYTHON to its path"
}

quietly() { # command...: shows its output only where it fails; a signal ends it with all it started
  local output code=0
  output=$(mktemp)
  set -m # a process group of its own
  "$@" >"$output" 2>&1 </dev/null &
  local child=$!
  set +m
  # The signal's number must be known when the trap is set, hence one trap for each.
  trap 'stop_group "$child" "$output" 129' HUP
  trap 'stop_group "$child" "$output" 130' INT
  trap 'stop_group "$child" "$output" 143' TERM
  wait "$child" || code=$?
  trap - HUP INT TERM
  [ "$code" = 0 ] || tail -n 30 "$output" >&2
  rm -f "$output"
  return "$code"
}

stop_group() { # process-group output-file exit-code
  trap '' HUP INT TERM
  kill -TERM -- "-$1" 2>/dev/null || true
  wait "$1" || true
  kill -KILL -- "-$1" 2>/dev/null || true
  rm -f "$2"
  exit "$3"
}

make_venv() { # python: with what the system offers, from the least to the most that it changes
  if "$1" -c 'import ensurepip, venv' 2>/dev/null; then
    quietly "$1" -m venv --clear "$venv"
  elif "$1" -m virtualenv --version >/dev/null 2>&1; then
    quietly "$1" -m virtualenv --clear "$venv"
  elif "$1" -m pip --python "$1" --version >/dev/null 2>&1; then
    quietly "$1" -m venv --clear --without-pip "$venv" &&
      quietly "$1" -m pip --python "$venv/bin/python" install pip
  elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Installing python3-venv with apt-get"
    quietly apt-get update &&
      DEBIAN_FRONTEND=noninteractive quietly apt-get install -y --no-install-recommends \
        "$(basename "$(readlink -f "$1")")-venv" && quietly "$1" -m venv --clear "$venv"
  else
    fail 1 "$1 cannot make virtual environments: install the package python3-venv\
 (Debian, Ubuntu: sudo apt-get install python3-venv), or virtualenv"
  fi || fail 1 "cannot make the virtual environment $venv"
}

is_installed() { # extra...: whether one of them was installed from these very files, to this place
  local extra
  for extra in "$@"; do
    [ "$(cat "$venv/.installed-$extra" 2>/dev/null)" = "$fingerprint" ] && is_usable && return
  done
  return 1
}

is_usable() { # whether the environment's Python runs, is new enough and has pip
  "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

install_packages() { # extra: `dev` as requirements-dev.txt pins it, so that all test with the same
  case $1 in
    dev)
      quietly "$venv/bin/python" -m pip install --require-hashes -r "$root/requirements-dev.txt" &&
        quietly "$venv/bin/python" -m pip install --no-deps --editable "$root" ;;
    *) quietly "$venv/bin/python" -m pip install --editable "${root}[$1]" ;;
  esac
}

install_extra() { # extra
  local python start=$SECONDS
  if ! is_usable; then
    python=$(find_python) || exit
    say "Making a virtual environment in $venv"
    make_venv "$python"
  fi
  say "Installing into $venv (the first time takes half a minute)"
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
  install_packages "$1" || fail 1 "pip could not install what is needed; its last words are above"
  printf '%s' "$fingerprint" >"$venv/.installed-$1"
  say "Installed in $((SECONDS - start)) s"
}

ensure_environment() { # extra,...|dev
  local satisfied_by=("$1" dev) fingerprint
  fingerprint=$(cd "$root" && cksum setup.cfg pyproject.toml requirements-dev.txt && printf '%s' "$root")
  is_installed "${satisfied_by[@]}" && return
  [ -w "$root" ] || fail 1 "$root cannot be written to by $(id -un): work in a checkout of your own"
  exec 9<"$root"
  flock --nonblock 9 || { say "Another script is installing here; waiting for it" && flock 9; }
  is_installed "${satisfied_by[@]}" || install_extra "$1"
  exec 9<&-
}
