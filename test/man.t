#!/bin/sh
# The manual has every command and every option of the table, and mandoc finds nothing wrong.
# SPDX-License-Identifier: PostgreSQL
. "$(dirname "$0")/tap.sh"
cd "$(dirname "$0")/.." || exit 1

missing=$(./autoctl help mdoc | grep '^\.Nm' | while read -r line; do
	grep -qxF "$line" man/autoctl.1 || echo "$line"
done)
is "$missing" "" "every command line is in autoctl.1"

missing=$(./autoctl help mdoc | sed -n 's/^\.Fl //p' | while read -r option; do
	grep -q -- "^\.It .*Fl $option\( \|\$\)" man/autoctl.1 || echo "$option"
done)
is "$missing" "" "every option is in autoctl.1"

if command -v mandoc >/dev/null; then
	is "$(mandoc -Tlint -Wwarning man/autoctl.1 2>&1)" "" "mandoc finds nothing wrong with autoctl.1"
fi
done_testing
