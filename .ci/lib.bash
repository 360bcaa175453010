# SPDX-License-Identifier: MIT
# What .ci/run and .ci/slow share: timed steps, a scratch directory that is gone at the end, and no process left behind.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
scratch=$(mktemp -d)
started=$SECONDS
summary=()

# Children inherit these; the mark is how leftovers are found at the end.
export IPCFAST_CI_MARK="ipcfast-ci-$$-$RANDOM"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
export WINE_PREFIX="$scratch/wine" WINEPREFIX="$scratch/wine" WINEDEBUG=-all

step() {    # step NAME COMMAND...: run it under a heading, and note how long it took
    local name=$1 begun=$SECONDS
    shift
    printf '\n==== %s ====\n' "$name"
    "$@"
    summary+=("$(printf '%5d s  %s' $((SECONDS - begun)) "$name")")
    printf '==== %s: %d s ====\n' "$name" $((SECONDS - begun))
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

finish() {
    local status=$? pid
    trap - EXIT
    for pid in $(marked); do kill -KILL "$pid" 2>/dev/null || true; done
    rm -rf "$scratch"
    printf '\n'
    [ ${#summary[@]} -eq 0 ] || printf '%s\n' "${summary[@]}"
    if [ "$status" -eq 0 ]; then
        printf '%5d s  all steps passed\n' $((SECONDS - started))
    else
        printf '%5d s  FAILED with status %d\n' $((SECONDS - started)) "$status"
    fi
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
