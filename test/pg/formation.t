#!/bin/sh
# A formation from its creation to its end, and what operators change about its nodes:
# region, name, host and port.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# run ARG... : into $out, $err, $code.
run() {
	timeout 120 "$autoctl" "$@" >"$root/out" 2>"$root/err" </dev/null
	code=$?
	out=$(cat "$root/out") err=$(cat "$root/err")
}

# does ARG... : exit 0.
does() {
	run "$@"
	is "$code" 0 "exit 0: autoctl $(echo "$*" | sed "s,$root/,,g; s,--monitor [^ ]*,--monitor ...,")" ||
		note "$err"
}

# refuses CODE ERE ARG...
refuses() {
	want=$1 ere=$2
	shift 2
	run "$@"
	is "$code" "$want" "exit $want: autoctl $(echo "$*" | sed "s,$root/,,g; s,--monitor [^ ]*,--monitor ...,")"
	like "$err" "$ere" "... it says why: $(head -n 1 "$root/err")"
}

formations() {
	monitor_sql "select string_agg(formationid || ' ' || kind || ' ' || dbname || ' ' ||
		opt_secondary || ' ' || number_sync_standbys, ', ' order by formationid)
		from pgautofailover.formation"
}

# what the monitor has of node N, by its number
address() {
	monitor_sql "select nodename || ' ' || nodehost || ':' || nodeport
		from pgautofailover.node where nodeid = $(cat "$root/id_$1")"
}

is_address() {
	[ "$(address "$1")" = "$2" ]
}

setting() {
	"$autoctl" config get "$2" --pgdata "$root/n$1"
}

cluster_init
ok "the monitor runs" monitor_up
uri=$(monitor_uri)

# created
refuses 1 'which formation' create formation --kind pgsql --monitor "$uri"
refuses 1 'which kind' create formation --formation blue --monitor "$uri"
refuses 6 'unknown kind' create formation --formation blue --kind mysql --monitor "$uri"
refuses 1 'Citus formations are not supported yet' \
	create formation --formation blue --kind citus --monitor "$uri"
is "$(formations)" "default pgsql postgres true 0" "nothing was made"
does create formation --formation blue --kind pgsql --dbname app --disable-secondary --pgdata "$root/m"
is "$out" "" "... without an answer"
is "$(formations)" "blue pgsql app false 0, default pgsql postgres true 0" "... as it was asked for"
refuses 6 'exists already' create formation --formation blue --kind pgsql --monitor "$uri"

# a database whose name bites, everywhere it is written
bites=$(printf 'a%sp"p %%s?sslmode=x&y\\z' "'")
does create formation --formation red --kind pgsql --dbname "$bites" --monitor "$uri"
ok "its node" node_up 3 --formation red --dbname "$bites"
ok "... is alone" wait_state 3 single 60
does show uri --formation red --monitor "$uri"
is "$(psql -XAtqw "$out" -U "$superuser" -c 'select current_database()' 2>&1)" "$bites" \
	"its URI leads there"
is "$(sql 3 'select count(*) from pg_hba_file_rules where error is not null')" 0 \
	"pg_hba.conf has no errors"
ok "... and knows it" [ "$(psql -XAtqw "$out" -U "$superuser" -v name="$bites" 2>&1 <<-'END'
	select count(*) > 0 from pg_hba_file_rules where :'name' = any (database)
END
)" = t ]
does drop node --pgdata "$root/n3" --destroy
does drop formation --formation red --monitor "$uri"

# one node in each group, then more
ok "its first node" node_up 1 --formation blue --dbname app
ok "... is alone" wait_state 1 single 60
fails "a second one is refused" 6 node_create 2 --formation blue --dbname app
like "$(tail -n 5 "$root/log/create.log")" 'does not allow secondary' "... it says why"
refuses 1 'which formation' enable secondary --monitor "$uri"
refuses 6 'unknown formation "green"' enable secondary --formation green --monitor "$uri"
refuses 6 'unknown formation "green"' disable secondary --formation green --pgdata "$root/n1"
does enable secondary --formation blue --pgdata "$root/m"
ok "now it is taken" node_up 2 --formation blue --dbname app
ok "... as a standby" wait_pair 1 2
refuses 6 'not in SINGLE state' disable secondary --formation blue --monitor "$uri"
refuses 6 'has nodes' drop formation --formation blue --monitor "$uri"
like "$err" 'hint: .*drop node' "... and the way out"

# regions
does get node region --pgdata "$root/n2"
is "$out" default "where it was not said"
does set node region 'far "away"' --pgdata "$root/n2"
is "$out" 'far "away"' "the new one"
does get node region --name node_2 --formation blue --monitor "$uri" --json
is "$(json "$out" '{name}')/$(json "$out" '{region}')" 'node_2/far "away"' "... as JSON"
refuses 1 'empty' set node region '' --pgdata "$root/n2"
refuses 6 'not registered' set node region x --name node_9 --formation blue --monitor "$uri"
refuses 1 'kept on the monitor' config set pg_autoctl.region x --pgdata "$root/n1"
refuses 1 'kept on the monitor' config get pg_autoctl.region --pgdata "$root/n1"

# another name, another host
refuses 1 'set what' set node metadata --pgdata "$root/n2"
refuses 2 'on a node' set node metadata --name x --pgdata "$root/m"
refuses 6 "another node's" set node metadata --name node_1 --pgdata "$root/n2"
is "$(setting 2 pg_autoctl.name)" node_2 "... and the settings are as before"
does set node metadata --name red --hostname localhost --pgdata "$root/n2" --json
is "$(json "$out" '{pg_autoctl,name}')" red "the settings, as JSON"
is "$(address 2)" "red localhost:$(node_port 2)" "the monitor knows"
ok "the service, too" within 20 grep -q 'pg_autoctl.name: "node_2" -> "red"' "$root/log/node_2.log"
refuses 6 "another node's" config set pg_autoctl.name node_1 --pgdata "$root/n2"
does config set pg_autoctl.name node_2 --pgdata "$root/n2"
is "$(address 2)" "node_2 localhost:$(node_port 2)" "config set tells the monitor, too"
refuses 2 'ssl.cert_file' config set ssl.cert_file "$root/none" --pgdata "$root/n2"
refuses 2 'pg_autoctl.monitor' config set pg_autoctl.monitor 'postgres://[' --pgdata "$root/n2"

# another port: when Postgres listens there
does set node metadata --pgport $((mport + 7)) --pgdata "$root/n2"
like "$err" "still listens on port $(node_port 2)" "it says when"
is "$(address 2)" "node_2 localhost:$(node_port 2)" "... and tells nobody before"
ok "the service is stopped" stop_node 2
node_start 2
ok "... and started: the monitor knows" within 60 is_address 2 "node_2 localhost:$((mport + 7))"
ok "... and the pair is one again" wait_pair 1 2 90

# the end
does drop node --name node_2 --formation blue --monitor "$uri"
does disable secondary --formation blue --monitor "$uri"
does drop node --name node_1 --formation blue --monitor "$uri" --force
does drop formation --formation blue --monitor "$uri"
is "$(formations)" "default pgsql postgres true 0" "it is gone"
refuses 6 'find formation' drop formation --formation blue --monitor "$uri"
done_testing
