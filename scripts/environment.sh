#!/bin/sh
# Create .venv if there is none, and install reunet with the extras named as arguments into it.
# Does nothing when all of it is there and pyproject.toml has not changed since.
#     scripts/environment.sh tensorflow dev
# PYTHON=/path/to/python chooses the interpreter, VENV=folder another place than .venv, and
# CONSTRAINTS=file the versions: those of a constraints file of pip instead of the newest.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
venv=${VENV:-.venv}
constraints=${CONSTRAINTS:-}
record=$venv/.reunet-installed # lines: where the repository lay, installed extras, their constraints

fail() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

fits() { # is "$1" a Python that runs here and that reunet supports?
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python \
        "$HOME"/.pyenv/versions/3.1[123].*/bin/python; do
        if fits "$candidate"; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

venv_python() {
    if [ -e "$venv/Scripts/python.exe" ]; then
        printf '%s\n' "$venv/Scripts/python.exe"
    else
        printf '%s\n' "$venv/bin/python"
    fi
}

create_environment() {
    base=$(find_python) || fail \
        "no Python 3.11, 3.12 or 3.13 was found (python3 is $(python3 --version 2>&1 || true))." \
        "Install one, or name it: make PYTHON=/path/to/python3.12"
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
        fail "$root/$venv exists and is not a virtual environment; move it away."
    fi
    echo "creating $venv with $("$base" --version)"
    # pip is added below: without it, this works on systems that split ensurepip off (Debian, Ubuntu).
    "$base" -m venv --clear --without-pip "$venv" || fail \
        "$base could not create a virtual environment (see above)." \
        "Install its venv module, on Debian and Ubuntu: sudo apt install python3-venv"
}

ensure_pip() {
    "$python" -m pip --version >/dev/null 2>&1 && return
    "$python" -m ensurepip >/dev/null 2>&1 && return
    base=$(find_python) && "$base" -m pip --python "$python" install --quiet pip >/dev/null 2>&1 && return
    fail "pip cannot be put into $venv: this Python has neither ensurepip nor pip." \
        "Install one of them, on Debian and Ubuntu: sudo apt install python3-venv"
}

if ! fits "$(venv_python)"; then
    create_environment
fi
python=$(venv_python)
ensure_pip

extras=$(sed -n 2p "$record" 2>/dev/null || true)
missing=
for extra in "$@"; do
    case " $extras " in
        *" $extra "*) ;;
        *) missing="$missing $extra" ;;
    esac
done
constrained() { # were the installed versions those of the constraints, if there are any now?
    [ -z "$constraints" ] ||
        { [ "$(sed -n 3p "$record")" = "$constraints" ] && [ "$record" -nt "$constraints" ]; }
}

if [ -e "$record" ] && [ -z "$missing" ] && [ "$record" -nt pyproject.toml ] &&
    [ "$(sed -n 1p "$record")" = "$root" ] && constrained; then
    exit 0
fi

extras=$(echo $extras $missing) # words, separated by one space
list=$(echo "$extras" | tr ' ' ',')
echo "installing reunet${list:+ with $list} into $venv; the first time takes some minutes"
rm -f "$record"
"$python" -m pip install --quiet --disable-pip-version-check \
    ${constraints:+--constraint "$constraints"} --editable ".${list:+[$list]}" || fail \
    "the installation failed (see above); run the command again when the cause is removed."
printf '%s\n%s\n%s\n' "$root" "$extras" "$constraints" >"$record"
