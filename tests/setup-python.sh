#!/usr/bin/env bash
# Print the path of a Python environment with the packages of tests/requirements.txt; create it first if it is missing.
# Its name depends on the requirements and the interpreter, so it is created once per change. All checkouts of a user share
# it, so it holds no path of a checkout. Messages go to standard error.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { echo "setup: $*" >&2; }

python=""
for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(command -v "$candidate")
    break
  fi
done
[ -n "$python" ] || { say "no Python 3.11 or newer found: install one, or set PYTHON to its path"; exit 1; }

# The Object Detection API's protos: a pinned wheel, installed without its requirements, such as TensorFlow.
protos="$here/../images/trainer/object-detection.txt"
fuzz="$here/requirements-fuzz.txt"
key=$({ cat "$here/requirements.txt" "$protos" "$fuzz" "${BASH_SOURCE[0]}"; "$python" --version; } | sha256sum | cut -c1-16)
target="${XDG_CACHE_HOME:-$HOME/.cache}/trainingrun/python/$key"
if [ ! -e "$target/.complete" ]; then
  # One process at a time: uv caches what it finds out about an interpreter, and must not see a half-made environment.
  mkdir -p "${target%/*}"
  exec 9>"$target.lock"
  flock 9
fi
if [ ! -e "$target/.complete" ]; then
  say "creating the Python environment (once, about a minute)"
  rm -rf "$target"
  if ! "$python" -m venv "$target" 2>/dev/null; then
    [ "$(id -u)" = 0 ] || { say "Python cannot create environments: install the package python3-venv"; exit 1; }
    { apt-get update -qq && apt-get install -y -qq python3-venv; } >&2
    "$python" -m venv "$target"
  fi
  # pip installs only uv; uv installs the pinned packages without resolving anything. They are compiled now, as in the
  # images, because tests start hundreds of processes that write no bytecode.
  export UV_COMPILE_BYTECODE=1
  pinned=$(sed -n '/^uv==/,/[^\\]$/p' "$here/requirements.txt")
  "$target/bin/python" -m pip install --quiet --require-hashes -r <(echo "$pinned") >&2
  UV_NATIVE_TLS=true "$target/bin/uv" pip install --quiet --python "$target/bin/python" --require-hashes \
    -r "$here/requirements.txt" >&2
  UV_NATIVE_TLS=true "$target/bin/uv" pip install --quiet --python "$target/bin/python" --require-hashes --no-deps \
    -r "$protos" >&2
  # The fuzzer has wheels only for x86-64 and for Python before 3.14; elsewhere its tests are skipped.
  if [ "$(uname -sm)" = "Linux x86_64" ] && "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 14))'; then
    UV_NATIVE_TLS=true "$target/bin/uv" pip install --quiet --python "$target/bin/python" --require-hashes --no-deps \
      -r "$fuzz" >&2
  fi
  touch "$target/.complete"
fi
echo "$target"
