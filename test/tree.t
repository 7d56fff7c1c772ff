#!/bin/sh
# House rules a machine can see: sizes, first lines, bans, switched-off code, formatting.
# SPDX-License-Identifier: PostgreSQL

cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

sources=$(ls ./*.c ./*/*.c ./*/*.h ./*/*.def 2>/dev/null | sed 's|^\./||' | grep -v '\.gen\.c$')
code=$(printf '%s\n' $sources | grep '\.c$')

# A function begins with a line of one "{" and ends with a line of one "}".
long=$(for f in $code; do
	awk -v f="$f" '
	/^[a-z_A-Z].*\(/ { head = $0; sub(/\(.*/, "", head) }
	/^\{/ { start = NR; name = head }
	/^\}/ && start { if (NR - start - 1 > 80) print f ": " name ": " NR - start - 1 " lines"; start = 0 }
	' "$f"
done)
is "$long" "" "no function is longer than 80 lines"

many=$(for f in $code; do
	# join a definition with its parameter list, drop what is inside inner brackets
	awk -v f="$f" '
	/^[a-zA-Z_][a-zA-Z_0-9]*\(/ { text = ""; on = 1 }
	on { text = text $0 }
	on && /^\{/ {
		on = 0
		name = text; sub(/\(.*/, "", name)
		sub(/^[^(]*\(/, "", text)
		while (gsub(/\([^()]*\)/, "", text)) ;
		n = gsub(/,/, "", text) + 1
		if (n > 5) print f ": " name ": " n " parameters"
	}
	/;$/ { on = 0 }
	' "$f"
done | grep -v '^pg/nokrb\.c:')
is "$many" "" "no function has more than 5 parameters"

is "$(find test -name '*.t' ! -perm -100)" "" "every test can be started"
is "$(grep -nE '^[ 	]*#[ 	]*if[ 	]+0' $sources)" "" "no switched-off code"
is "$(grep -nE '(//|/\*)[ 	]*(assert|OK|IS_STR|IS_INT)\(' $sources)" "" \
	"no commented-out checks"
is "$(grep -nE '^[ 	]*#[ 	]*(ok|is|like|fails) ' test/*.t test/pg/*.t test/net/*.t 2>/dev/null)" "" \
	"none in the scripts"
is "$(grep -nE '(^|[^:"])//' $code | grep -vE '"[^"]*//[^"]*"|^[^:]*:[0-9]+:[ 	]*(/?\*|[a-z ]*\*)')" "" \
	"comments are /* */"

bad=$(for f in $sources; do
	head -n 1 "$f" | grep -q '^/\* ' || echo "$f"
	head -n 4 "$f" | grep -q 'SPDX-License-Identifier: PostgreSQL' || echo "$f: licence"
done)
is "$bad" "" "every file begins with what it is for, and its licence"

bad=$(for f in $code; do
	last=$(grep '^#include' "$f" | grep -v '\.def"$' | tail -n 1)
	case $f in
	pg/schema.gen.c) ;;
	*) [ "$last" = '#include "ini/ban.h"' ] || echo "$f: $last" ;;
	esac
done)
is "$bad" "" "the ban is the last include of every .c"

is "$(grep -nE '[ 	]+$' $sources test/*.t test/*.sh Makefile 2>/dev/null)" "" \
	"no blanks at the end of a line"
is "$(grep -nE '(^|[^a-z_])sleep +[1-9]' test/*.t test/pg/*.t test/pg/*.sh test/net/*.t test/net/*.sh test/*.sh 2>/dev/null)" \
	"" "tests wait for a condition (in naps), not for a time"

if command -v clang-format >/dev/null; then
	is "$(clang-format --dry-run -Werror $(printf '%s\n' $sources | grep -v '\.def$') 2>&1 | head -n 20)" \
		"" "formatted"
fi

done_testing
