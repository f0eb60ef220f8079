# shellcheck shell=bash
# What every script here shares: where things live, how a script speaks, whose build cache it is.
# Sourced, never run.

KADR_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# What this clone leaves behind: brokers' data, the chosen ONNX Runtime. Ignored by git.
KADR_STATE=$KADR_ROOT/.kadr
# What clones share: downloads and the build cache.
KADR_CACHE=${KADR_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or KADR_CACHE}/.cache}/kadr}
export KADR_STATE KADR_CACHE
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$KADR_CACHE/target}
# Where rustup puts cargo; a shell that is not a login shell does not look there.
if [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
  PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
fi

say() {
  printf '%s\n' "$*"
}

# One line on what went wrong and what to do about it.
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# The browser that the tests drive: KADR_CHROMIUM, or the first one found.
chromium_program() {
  if [[ -n ${KADR_CHROMIUM:-} ]]; then
    echo "$KADR_CHROMIUM"
    return
  fi
  command -v chromium || command -v chromium-browser || command -v google-chrome
}

# The comment at the top of the calling script is its help.
usage() {
  awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"
}

# Holds the build cache until the script ends. Cargo names a crate by its place in the workspace and
# trusts file times, so it would take another clone's crates for this clone's: they are thrown out
# when the clone changes, and the dependencies stay.
claim_build_cache() {
  mkdir -p "$CARGO_TARGET_DIR"
  exec {build_cache_lock}>"$CARGO_TARGET_DIR/.kadr-lock"
  if ! flock --nonblock "$build_cache_lock"; then
    say "waiting for another script that builds in $CARGO_TARGET_DIR"
    flock "$build_cache_lock"
  fi
  local owner=$CARGO_TARGET_DIR/.kadr-clone
  if [[ -f $owner && $(cat "$owner") != "$KADR_ROOT" ]]; then
    say "build cache: last used by $(cat "$owner"), keeping its dependencies only"
    cargo clean --quiet --workspace
    cargo clean --quiet --workspace --release
  fi
  echo "$KADR_ROOT" >"$owner"
}

release_build_cache() {
  exec {build_cache_lock}>&-
}
