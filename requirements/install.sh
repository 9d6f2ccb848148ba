#!/bin/sh
# Makes .venv and installs what is asked for: `sh requirements/install.sh runtime|dev`.
# Costs nothing when the installed versions are the locked ones already.
set -eu
cd "$(dirname "$0")/.."
what=${1:-runtime}
py=.venv/bin/python
stamp() { echo ".venv/.installed-$1.txt"; }

say() { echo "$*" >&2; }
die() { say "$@"; exit 1; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || die "PYTHON=$PYTHON is no Python 3.11 or newer."
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$name" >/dev/null 2>&1 && new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    found=$(python3 --version 2>/dev/null) || true
    found=${found:-no python3}
    die "Easel needs Python 3.11 or newer; found $found. Install one from your package manager or python.org," \
        "or name it: make run PYTHON=/path/to/python3.12"
}

make_venv() {
    python=$(find_python) || exit 1
    say "Making .venv with $("$python" --version 2>&1) …"
    rm -rf .venv
    if "$python" -m venv .venv >.venv.log 2>&1; then
        rm -f .venv.log
        return
    fi
    # Debian and Ubuntu ship Python without ensurepip: use whatever else can make an environment with pip in it.
    rm -rf .venv
    if "$python" -m virtualenv --quiet .venv >>.venv.log 2>&1 ||
        { command -v uv >/dev/null 2>&1 && uv venv --quiet --seed --python "$python" .venv >>.venv.log 2>&1; }; then
        rm -f .venv.log
        return
    fi
    rm -rf .venv
    say "This Python cannot make a virtual environment. What it said:"
    sed 's/^/    /' .venv.log | tail -n 8 >&2
    rm -f .venv.log
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    die "On Debian or Ubuntu: sudo apt install python$version-venv    Then run the same command again."
}

# Whether what is installed fits together, for the packages of these locks: what an older lock or a person left in
# .venv may be discontent.
fits_together() {
    "$py" -m pip check --disable-pip-version-check >.venv/.check.log 2>&1 && return
    # pip's lines begin with the package that is not content. Anything else it says is a fault too.
    cat "$@" | sed -n 's/^\([a-z0-9-]*\)\(\[[^]]*\]\)\{0,1\}==.*/\1/p' >.venv/.locked.log
    LC_ALL=C awk '
        FNR == NR { locked[$1] = 1; next }
        /^WARNING:/ || NF == 0 { next }
        { name = tolower($1); gsub(/[-_.]+/, "-", name) }
        !/ requires .*which is not installed|has requirement|is not supported on this platform/ { odd = 1 }
        { lines = lines "    " $0 "\n"; said++ }
        name in locked { odd = 1 }
        END { if (odd || !said) { printf "%s", lines; exit 1 } }
    ' .venv/.locked.log .venv/.check.log >&2
}

# Nothing is resolved: the lock says all there is to install, for every Python and system (`make lock` sees to that).
install() {
    wanted=requirements/$1.txt
    cmp -s "$wanted" "$(stamp "$1")" && return
    say "Installing $wanted (pinned and hashed) …"
    "$py" -m pip install -qq --disable-pip-version-check --no-input --no-deps --require-hashes -r "$wanted" ||
        die "Could not install $wanted; the lines above say why. Nothing is half done: run the same command again."
    fits_together requirements/runtime.txt "$wanted" ||
        die "What $wanted installed does not fit together: the lines above are from 'pip check'." \
            "Run 'make clean' and the same command again; if that says the same, the lock is at fault: please report it."
    cp "$wanted" "$(stamp "$1")"
}

new_enough "$py" || make_venv
install runtime
if [ "$what" = dev ]; then install dev; fi
