#!/bin/sh
# Makes or mends .venv and installs the project into it: tools/venv.sh run|dev
# PYTHON names the interpreter to use; unset, it is the newest of 3.11 … 3.14 that works and can make an environment.
set -eu
cd "$(dirname "$0")/.."

works() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
# Debian splits venv off; ensurepip is the part of it that is missing there.
can_make() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

say() { printf '%s\n' "$@" >&2; exit 1; }

find_python() {
    old=
    for name in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3 python}; do
        works "$name" || continue
        if can_make "$name"; then python=$name; return; fi
        old=${old:-$name}
    done
    if [ -n "$old" ]; then
        version=$("$old" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "$old cannot make a virtual environment: its venv module is missing." \
            "On Debian or Ubuntu install it with: apt install python3-venv   (or python$version-venv)" \
            "Then run make again. Another Python can be named: make PYTHON=/path/to/python3"
    fi
    if [ -n "${PYTHON:-}" ]; then
        say "$PYTHON is no Python 3.11 or newer. Name another, or leave PYTHON out: make then looks for one."
    fi
    say "Moneyer needs Python 3.11 or newer, and none was found on this machine." \
        "On Debian or Ubuntu: apt install python3 python3-venv   On macOS: brew install python" \
        "One that is not on PATH can be named: make PYTHON=/path/to/python3"
}

if ! works .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    find_python
    echo "Making .venv with $("$python" --version) …"
    "$python" -m venv --clear .venv || say "Could not make .venv with $python: see above."
fi

case $1 in
    run) what=. ;;
    dev) what='.[dev,plots,cluster,postgresql]' ;;
    *) say "usage: tools/venv.sh run|dev" ;;
esac
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e "$what" ||
    say "Installing Moneyer's dependencies into .venv failed: see above. Is the package index reachable?"
touch .venv/.ready-run ".venv/.ready-$1"
