#!/usr/bin/env bash
# Everything `make install` does: system packages where they are missing and may be installed, a virtual environment,
# the locked packages, Nightscribe itself. Run again it takes a second. LOCK names the lock file.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=${LOCK:-requirements.lock}

say() { printf '%s\n' "$*" >&2; }

missing=()
command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || missing+=(ffmpeg)
command -v g++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
command -v cmake >/dev/null || missing+=(cmake)

python=
for name in ${PYTHON:-} python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
        python=$(command -v "$name")
        break
    fi
done
if [ -z "$python" ]; then
    say "Python 3.11 or 3.12 is needed and was not found: apt-get install python3 python3-venv python3-dev (Debian 12, Ubuntu 24.04), or set PYTHON."
    exit 2
fi
"$python" -c 'import ensurepip' 2>/dev/null || missing+=("python3-venv")
"$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || missing+=("python3-dev")

root=none
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    root=
elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
    root="sudo -n"
fi

if [ ${#missing[@]} -gt 0 ]; then
    if [ "$root" = none ]; then
        say "These system packages are missing; install them, then run this again: sudo apt-get install ${missing[*]}"
        exit 2
    fi
    say "Installing ${missing[*]} from the system's packages."
    DEBIAN_FRONTEND=noninteractive $root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# A browser is for tests alone, which are skipped without one.
if [ "$lock" = requirements-test.lock ] && ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
    if [ "$root" = none ] || ! { DEBIAN_FRONTEND=noninteractive $root apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }; then
        say "Chromium is not here and cannot be installed: the tests in a browser are skipped."
    fi
fi

# So is what lmplz, the estimator of language models, is built with.
boost=(libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev zlib1g-dev libbz2-dev liblzma-dev)
if [ "$lock" = requirements-test.lock ] && ! command -v lmplz >/dev/null && ! dpkg -s "${boost[@]}" >/dev/null 2>&1; then
    if [ "$root" = none ] || ! { DEBIAN_FRONTEND=noninteractive $root apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends "${boost[@]}" >/dev/null; }; then
        say "Boost is not here and cannot be installed: the tests that estimate a language model are skipped."
    fi
fi

# A larger lock file has a smaller one's packages in the same versions: after `make test`, `make demo` has nothing to install.
stamp_of() { echo ".venv/.installed-$(cat "$1" pyproject.toml | sha256sum | cut -c1-16)-${TORCH_BACKEND:-default}"; }
stamp=$(stamp_of "$lock")
case $lock in
requirements.lock) larger="requirements-demo.lock requirements-test.lock" ;;
requirements-demo.lock) larger=requirements-test.lock ;;
*) larger= ;;
esac
for one in "$lock" $larger; do
    if [ -e "$(stamp_of "$one")" ] && .venv/bin/python -c 'import sys' 2>/dev/null; then
        exit 0
    fi
done
.venv/bin/python -c 'import sys' 2>/dev/null || rm -rf .venv
[ -d .venv ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
. tools/certificates.sh
if [ -n "$certificates" ] && [ -z "${PIP_CERT:-}${REQUESTS_CA_BUNDLE:-}${CURL_CA_BUNDLE:-}" ] && [[ $(pip config list) != *.cert=* ]]; then
    export PIP_CERT=$certificates
fi
pip install --quiet "uv>=0.9"
say "Installing the locked packages ($lock); torch is large, this can take some minutes."
if [ -n "${TORCH_BACKEND:-}" ]; then
    # Another build of torch has other hashes and another version suffix: everything else stays locked.
    tools/uv pip install --quiet --compile-bytecode --torch-backend "$TORCH_BACKEND" "torch$(sed -n 's/^torch\(==[0-9.]*\).*/\1/p' "$lock")"
    grep -vE '^(nvidia-|cuda-|triton)' "$lock" | sed -E 's/ *\\$//; /^ *--hash/d' | grep -v '^torch==' > .venv/lock-without-torch.txt
    tools/uv pip install --quiet --compile-bytecode --no-deps -r .venv/lock-without-torch.txt
else
    tools/uv pip install --quiet --compile-bytecode --require-hashes -r "$lock"
fi
tools/uv pip install --quiet --no-deps --no-build-isolation --editable .
rm -f .venv/.installed-*
touch "$stamp"
say "Done: .venv/bin/nightscribe --help"
