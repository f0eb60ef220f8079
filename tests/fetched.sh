# shellcheck shell=bash
# Packages in other languages that tests need: fetched once, into the cache that clones share, at the
# versions pinned beside the tests. Sourced, after script/lib.sh.

# Sets `folder`: where "INSTALL FOLDER FILE…" has installed what the files pin.
#
#   installed INSTALL FILE…
installed() {
  local install=$1 name
  shift
  name=$install-$(cat "$@" | sha256sum | cut -c 1-8)
  folder=$KADR_CACHE/clients/$name
  mkdir -p "$KADR_CACHE/clients"
  # Tests may start side by side.
  exec 9>"$KADR_CACHE/clients/.$name.lock"
  flock 9
  # Written last: its presence says that the folder is whole.
  if [[ ! -f $folder/complete ]]; then
    rm -rf "$folder"
    mkdir "$folder"
    "$install" "$folder" "$@" >"$folder.log" 2>&1 || die "could not install into $folder, see $folder.log"
    touch "$folder/complete"
    rm -f "$folder.log"
  fi
  exec 9>&-
}

# For `installed`: what a requirements.txt pins. The interpreter is $folder/venv/bin/python.
python_packages() {
  python3 -m venv "$1/venv" &&
    "$1/venv/bin/python" -m pip install --disable-pip-version-check --only-binary=:all: --requirement "$2"
}

# For `installed`: what a package-lock.json pins. Node finds it with NODE_PATH=$folder/node_modules.
node_packages() {
  cp "${2%/*}/package.json" "$2" "$1" &&
    npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund
}
