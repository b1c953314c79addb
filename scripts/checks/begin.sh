# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced first by scripts of which the comment at the head says what they do, and how they are
# used in a line "Usage: ...".  Prints that comment for --help, and goes to the repository's root.

self=$(realpath "$0")
case ${1-} in
-h | --help)
	sed -n '4,/^[^#]/s/^# \?//p' "$self"
	exit 0
	;;
esac
cd "$(dirname "$self")/../.." || exit 1

# usage: the script was called in another way
usage() {
	sed -n 's/^# Usage: /usage: /p' "$self" >&2
	exit 2
}
