#!/bin/sh
# The steps of the schema: released ones never change, functions cannot be led astray.
# SPDX-License-Identifier: PostgreSQL
#
# pg/sql/released has a line of sha256sum for every step that was in a release; a release
# adds its own: (cd pg/sql && sha256sum [0-9]*.sql) >pg/sql/released

cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# released DIR : every file that was released is as it was.
released() {
	(cd "$1" && [ -f released ] && { [ ! -s released ] || sha256sum -c --quiet released; })
}

# every function of DIR names the schemas it looks in, so that no caller's search_path
# decides what it calls; pg_temp last, where it would be first if it were not named
pinned() {
	cat "$1"/*.sql | awk '
	tolower($0) ~ /^create (or replace )?function/ { name = $3; want++; body = 0; ok = 0 }
	name && /set search_path = pg_catalog, pg_temp/ { ok = 1 }
	name && /\$\$/ {
		if (!ok) { print "not pinned: " name; bad = 1 }
		name = ""
	}
	END { print want " functions"; exit bad || want < 20 }'
}

ok "the released steps are unchanged" released pg/sql
ok "every function pins its search_path" pinned pg/sql
is "$(grep -inE 'grant .* to public' pg/sql/*.sql)" "" "nothing is granted to PUBLIC"
ok "and what is there by default is taken away" \
	grep -q 'revoke all on all functions in schema pgautofailover from public' pg/sql/*.sql
is "$(grep -nE '^[[:space:]]*(drop|alter) ' pg/sql/0001*.sql)" "" \
	"the first step only creates"

# do these tests see anything?
mkdir "$scratch/sql" && cp pg/sql/*.sql "$scratch/sql" &&
	(cd "$scratch/sql" && sha256sum ./*.sql >released)
ok "as copied: unchanged" released "$scratch/sql"
echo "-- changed" >>"$scratch/sql/0001_formation.sql"
fails "a changed step is seen" 1 released "$scratch/sql"
cat >"$scratch/sql/0099_bad.sql" <<-'END'
	create function pgautofailover.bad() returns int language sql as $$
		select 1
	$$;
END
fails "a function with the caller's search_path is seen" 1 pinned "$scratch/sql"

done_testing
