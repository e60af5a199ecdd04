#!/bin/sh
# Publishes report/VERSION.txt as $REPORT_STATE/current/report.txt by moving one symbolic link, so
# that a reader sees the old report or the new one and never half of one.
#   report.sh deploy VERSION | observe | undo
set -eu

here=$(cd "$(dirname "$0")" && pwd)
state=${REPORT_STATE:?set REPORT_STATE to the folder where the report is published}

# Points `current` at releases/$1. Doing it again changes nothing.
publish() {
    source=$here/report/$1.txt
    if [ ! -r "$source" ]; then
        echo "there is no $source" >&2
        exit 1
    fi
    mkdir -p "$state/releases/$1"
    cp "$source" "$state/releases/$1/.report.$$"
    mv -f "$state/releases/$1/.report.$$" "$state/releases/$1/report.txt"
    ln -s "releases/$1" "$state/.current.$$"
    mv -Tf "$state/.current.$$" "$state/current"
    echo "report $1 is published"
}

case ${1:-} in
deploy)
    publish "${2:?deploy needs a version}"
    ;;
observe)
    # Alone on the last line; nothing when no report is published.
    if [ -L "$state/current" ]; then
        basename "$(readlink "$state/current")"
    fi
    ;;
undo)
    # Empty: before this deployment nothing was published.
    if [ -n "${LOCKSTEP_CHECKPOINT_VERSION:-}" ]; then
        publish "$LOCKSTEP_CHECKPOINT_VERSION"
    else
        rm -f "$state/current"
        echo "no report is published"
    fi
    ;;
*)
    echo "usage: report.sh deploy VERSION | observe | undo" >&2
    exit 2
    ;;
esac
