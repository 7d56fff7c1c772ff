#!/bin/sh
# Every external name begins as its folder's names begin; what is not for others is static.
# SPDX-License-Identifier: PostgreSQL

cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

command -v nm >/dev/null || skip_all "no nm"

# folder and its prefixes; names without "_" at the end are whole
table='
ini err_ log_ mem_ buf_ str_ file_ clock_ ini_ config_ xmalloc xcalloc xrealloc xstrdup xasprintf die
fsm fsm_ facts_ elect elect_ monitor_ keeper_ ssn_ decide_ group_
pg  db_ limits_ row_ rows_ statefile_ watch_ uri_ store_ schema_ host_ spawn_ postmaster_ setup_ standby_ conf_ hba_ report_ reply_ peer_ probe_ pgctl_ slot_ tls_ gss_ GSS_ ldap_
cmd cmd_ out_ loop_ service_ settings_ act_ node_ monitor_ keeper_run_ show_ help_ complete_ screen_ spec_ web_ m_
'

# The names the objects of a folder define for others: "file name".
defined() {
	for o in "$1"/*.o; do
		[ -f "$o" ] || continue
		case $o in
		pg/embed.o) continue ;;
		esac
		[ -f "${o%.o}.c" ] || continue
		# sanitizers add their own
		nm -g --defined-only "$o" | awk -v o="$o" \
			'NF == 3 && $3 !~ /^(__asan|__odr_asan|__sanitizer|_Z|asan\.)/ { print o, $3 }'
	done
}

strays() {
	folder=$1
	shift
	defined "$folder" | awk -v list="$*" '
	BEGIN { n = split(list, p, " ") }
	{
		for (i = 1; i <= n; i++) {
			if (p[i] ~ /_$/ ? index($2, p[i]) == 1 : $2 == p[i]) next
		}
		print
	}'
}

printf '%s\n' "$table" >"${TMPDIR:-/tmp}/names.$$"
while read -r folder prefixes; do
	[ -n "$folder" ] || continue
	# shellcheck disable=SC2086
	is "$(strays "$folder" $prefixes)" "" "$folder/ exports its own names only"
done <"${TMPDIR:-/tmp}/names.$$"
rm -f "${TMPDIR:-/tmp}/names.$$"

is "$(for d in ini fsm pg cmd; do defined $d; done | awk '$2 ~ /^(pg_|PQ|pq)/')" "" \
	"no name could clash with libpq.a's"

done_testing
