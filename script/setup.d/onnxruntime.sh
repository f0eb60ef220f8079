# shellcheck shell=bash
# ONNX Runtime for script/setup: the pinned wheel's shared library, checked by hash, in
# .kadr/onnxruntime/<build>; the link .kadr/onnxruntime/current names the build that the binaries
# load. Sourced after lib.sh.

ONNXRUNTIME=$KADR_STATE/onnxruntime

# The build asked for, or the one chosen before, or the CPU's.
choose_build() {
  if [[ -n $1 ]]; then
    echo "$1"
  elif [[ -L $ONNXRUNTIME/current ]]; then
    readlink "$ONNXRUNTIME/current"
  else
    echo cpu
  fi
}

# Into a folder that clones share; a wheel that is there is checked as one that is fetched.
fetch_wheel() {
  local pins=$1 into=$2 pip
  # The platform and the Python are named, so that the wheel does not depend on this machine's.
  pip=(python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes
    --only-binary=:all: --platform "manylinux_2_28_$(uname -m)" --implementation cp
    --python-version 313 --abi cp313 --requirement "$pins" --dest "$into")
  "${pip[@]}" --no-index --find-links "$into" </dev/null >/dev/null 2>&1 ||
    "${pip[@]}" </dev/null >"$into/pip.log" 2>&1 ||
    die "pip could not fetch the wheel of $(basename "$pins"), see $into/pip.log"
}

# Only the libraries and their licences; the Python around them stays behind.
unpack_wheel() {
  python3 - "$1" "$2" <<'END'
import pathlib, shutil, sys, zipfile

wheel, into = sys.argv[1], pathlib.Path(sys.argv[2])
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        path = pathlib.PurePosixPath(member.filename)
        library = path.parent.name == "capi" and path.name.startswith("libonnxruntime")
        if library or path.name in ("LICENSE", "ThirdPartyNotices.txt"):
            with archive.open(member) as source, open(into / path.name, "wb") as target:
                shutil.copyfileobj(source, target)
END
}

# Whole, unchanged, and made from the wheel that the pins name today.
is_unpacked() {
  local folder=$1 pins=$2
  cmp --quiet "$pins" "$folder/pins.txt" &&
    (cd "$folder" && sha256sum --check --quiet --strict SHA256SUMS >/dev/null 2>&1)
}

unpack_build() {
  local folder=$1 pins=$2 wheels fresh
  wheels=$KADR_CACHE/wheels/$(basename "$pins" .txt)-$(sha256sum "$pins" | cut -c 1-8)
  mkdir -p "$wheels"
  fetch_wheel "$pins" "$wheels"
  fresh=$(mktemp -d "$folder.XXXXXX")
  chmod 755 "$fresh"
  unpack_wheel "$(find "$wheels" -name "*_$(uname -m).whl")" "$fresh"
  (
    cd "$fresh"
    ln -s libonnxruntime.so.* libonnxruntime.so
    cp "$pins" pins.txt
    sha256sum libonnxruntime* >SHA256SUMS
  )
  rm -rf "$folder"
  mv -T "$fresh" "$folder"
}

# The GPU build's own libraries are found by the loader alone; say now what it will not find.
name_missing_cuda() {
  local absent
  absent=$(ldd "$1/libonnxruntime_providers_cuda.so" | awk '/not found/ { print $1 }' | sort -u | tr '\n' ' ')
  if [[ -n $absent ]]; then
    say "setup: the GPU build also needs ${absent% }: install CUDA 13 and cuDNN 9 where the loader finds them"
  fi
}

setup_onnxruntime() {
  local build folder pins
  build=$(choose_build "$1")
  pins=$KADR_ROOT/script/setup.d/onnxruntime-$build.txt
  folder=$ONNXRUNTIME/$build
  mkdir -p "$ONNXRUNTIME"
  case $build:$(uname -m) in
  cpu:x86_64 | cpu:aarch64 | gpu:x86_64) ;;
  *) die "there is no ONNX Runtime wheel pinned for the $build build on $(uname -m)" ;;
  esac
  if ! is_unpacked "$folder" "$pins"; then
    say "setup: unpacking $(sed -n 's/^\(onnx[^ ]*\).*/\1/p' "$pins") into $folder"
    unpack_build "$folder" "$pins"
  fi
  ln -sfn "$build" "$ONNXRUNTIME/current"
  say "setup: ONNX Runtime, $build build, in .kadr/onnxruntime/$build"
  if [[ $build == gpu ]]; then name_missing_cuda "$folder"; fi
}
