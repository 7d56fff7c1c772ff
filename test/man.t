#!/bin/sh
# The manual has every command and every option of the table, and mandoc finds nothing wrong.
# SPDX-License-Identifier: PostgreSQL
. "$(dirname "$0")/tap.sh"
cd "$(dirname "$0")/.." || exit 1

# the commands are on two pages
commands="man/autoctl.1 man/autoctl-inspect.1"

rows=$(./autoctl help mdoc | grep -c '^\.Nm')
ok "the program lists its $rows commands" test "$rows" -gt 20

missing=$(./autoctl help mdoc | grep '^\.Nm' | while read -r line; do
	grep -qxF "$line" $commands || echo "$line"
done)
is "$missing" "" "every command line is in the manual"

missing=$(./autoctl help mdoc | sed -n 's/^\.Fl //p' | while read -r option; do
	grep -q -- "^\.It .*Fl $option\( \|\$\)" $commands || echo "$option"
done)
is "$missing" "" "every option is in the manual"

# What each command takes: the options its help lists (the first four go with all), and
# those its paragraph ends with.
wrong=$(./autoctl help mdoc | sed -n 's/^\.Nm //p' | while read -r row; do
	words=$(echo "$row" | sed -e 's/ \(Op \)\{0,1\}Ar .*//' -e 's/Cm //g')
	help=$(./autoctl help $words | sed -n 's/^  .\{4\}--\([a-z-]*\).*/\1/p' |
		grep -vxE 'verbose|quiet|help|version' | sort | tr '\n' ' ')
	page=$(awk -v head=".It $row" '
		$0 == head { on = 1; next }
		/^\.It|^\.El/ { on = list = 0 }
		on && /^Options:/ { list = 1 }
		on && /^Takes the options of$/ { print "as another" }
		on && list && sub(/^\.Fl -/, "") { sub(/ .*/, ""); print }' $commands |
		sort | tr '\n' ' ')
	[ "$help" = "$page" ] || [ "$page" = "as another " ] || echo "$words: takes $help, the page says $page"
done)
is "$wrong" "" "each command's options are in its paragraph"

# what pages take from the program is what this program says
for page in man/*.[57]; do
	is "$(man/refresh --check "$page" 2>&1)" "" "$page is current (else: make man-refresh)"
done

# Every table and function of the schema. Those in the list below serve others of it.
missing=$(sed -n 's/^create \(or replace \)\{0,1\}\(table\|view\|domain\|type\|function\) \(if not exists \)\{0,1\}pgautofailover\.\([a-z_]*\).*/\4/p' pg/sql/*.sql |
	sort -u | while read -r name; do
	grep -q "inner: .*\<$name\>" man/autoctl-schema.7 ||
		grep -q "^\.It Ic .*\<$name\>\|^\.Ic $name" man/autoctl-schema.7 || echo "$name"
done)
is "$missing" "" "every table and function of pg/sql is in autoctl-schema.7"

# every page is known to another, and to README.md
for page in man/*.[1-9]; do
	name=${page#man/} name=${name%.*}
	ok "README.md leads to $page" grep -q "$page" README.md
	ok "... and another page to $name" \
		grep -lq "^\.Xr $name " $(ls man/*.[1-9] | grep -vxF "$page")
done

if command -v mandoc >/dev/null; then
	for page in man/*.[1-9]; do
		is "$(mandoc -Tlint -Wwarning "$page" 2>&1)" "" "mandoc finds nothing wrong with $page"
	done
fi
done_testing
