# SPDX-License-Identifier: MIT
# What .ci/run and .ci/slow share: timed steps, a scratch directory that is gone at the end, and no process left behind.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
scratch=$(mktemp -d)
started=$SECONDS
: >"$scratch/summary"
other_lane="$scratch/other_lane"    # what runs beside the main lane prints into this file

# Children inherit these; the mark is how leftovers are found at the end.
export IPCFAST_CI_MARK="ipcfast-ci-$$-$RANDOM"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
export WINE_PREFIX="$scratch/wine" WINEPREFIX="$scratch/wine" WINEDEBUG=-all

in_order() {    # run the functions named, each under a heading, and note how long it took
    local name begun
    for name; do
        begun=$SECONDS
        printf '\n==== %s ====\n' "$name"
        "$name"
        printf '%5d s  %s\n' $((SECONDS - begun)) "$name" | tee -a "$scratch/summary"
    done
}

marked() {    # the processes that were started here and still live (a fork of this shell has the environment of before)
    local environ pid
    for environ in /proc/[0-9]*/environ; do
        grep -qsF "$IPCFAST_CI_MARK" "$environ" || continue
        pid=${environ#/proc/}
        echo "${pid%/environ}"
    done
}

no_process_left() {    # those that are just ending get five seconds
    local turn pids
    if command -v wineserver >/dev/null && [ -d "$WINEPREFIX" ]; then
        wineserver -k || true
    fi
    for turn in 1 2 3 4 5; do
        pids=$(marked)
        [ -n "$pids" ] || return 0
        sleep 1
    done
    echo "still running after $turn s:"
    ps -o pid,args -p "$(echo "$pids" | paste -sd,)" || true
    return 1
}

show_other_lane() {    # once
    [ -f "$other_lane" ] || return 0
    cat "$other_lane"
    rm "$other_lane"
}

finish() {
    local status=$? pid
    trap - EXIT
    for pid in $(jobs -p) $(marked); do kill -KILL "$pid" 2>/dev/null || true; done
    show_other_lane
    printf '\n'
    cat "$scratch/summary"
    if [ "$status" -eq 0 ]; then
        printf '%5d s  in all: passed\n' $((SECONDS - started))
    else
        printf '%5d s  in all: FAILED (%d)\n' $((SECONDS - started)) "$status"
    fi
    rm -rf "$scratch"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

debian_packages() {    # install those of the named packages that are missing
    local package missing=()
    for package; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

interpreter() {    # print the path of a working pythonX.Y, from PATH or from pyenv; nothing where there is none
    local version=$1 candidate
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version"*/bin/"python$version"; do
        if "$candidate" -c 'import venv, sysconfig' >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
}

on_python() {    # on_python X.Y ARGUMENT...: the Python tests on that interpreter, where this machine has it; what
    # PYTHONS names is expected, and fails where it is missing
    local version=$1 python
    shift
    python=$(interpreter "$version")
    if [ -n "$python" ]; then
        echo "Python $version: $python"
        make test PYTHON="$python" WITH= ARGS="$*"    # not every Python has a Qt
    elif [ -n "${PYTHONS:-}" ]; then
        echo "Python $version: PYTHONS names it, but it is not on this machine"
        return 1
    else
        echo "         Python $version: not on this machine, not tested" | tee -a "$scratch/summary"
    fi
}
