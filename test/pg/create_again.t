#!/bin/sh
# Creating a node is interrupted, anywhere, and simply done again.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# create_and_kill N MS [OPTION...] : killed, with all its children, after that time.
create_and_kill() {
	n=$1 ms=$2
	shift 2
	start "create_$n" "$autoctl" create postgres --pgdata "$root/n$n" \
		--pgport "$(node_port "$n")" --hostname 127.0.0.1 --listen 127.0.0.1 \
		--name "node_$n" --auth trust --no-ssl --monitor "$(monitor_uri)" "$@"
	clock
	kill_at=$((now + ms))
	while [ "$now" -lt "$kill_at" ] && alive "$(pid_of "create_$n")"; do
		nap 0.01
		clock
	done
	kill -KILL $(family_of "$(pid_of "create_$n")") $(processes_in "$root/n$n") 2>/dev/null
	within 10 gone "$(pid_of "create_$n")"
}

cluster_init
ok "the monitor runs" monitor_up
for ms in 20 100 300 700 1200; do
	ok "the first node, killed after $ms ms" create_and_kill 1 $ms
done
ok "the first node, left alone" node_up 1
ok "it is single" wait_state 1 single 30
is "$(monitor_sql 'select count(*) from pgautofailover.node')" 1 "it is registered once"
sql 1 "create table filler as select i, repeat('x', 500) as t
	from generate_series(1, 20000) i" >/dev/null

for ms in 20 100 300 700 1500 2500; do
	ok "the second node, killed after $ms ms" create_and_kill 2 $ms \
		--maximum-backup-rate 16M
done
ok "the second node, left alone" node_up 2
ok "a pair" wait_pair 1 2 90
is "$(monitor_sql 'select count(*) from pgautofailover.node')" 2 "it is registered once"
is "$(sql 2 'select count(*) from filler')" 20000 "the data is on both"

# the monitor
"$autoctl" stop --pgdata "$root/m" 2>/dev/null
within 30 gone "$(pid_of monitor)" >/dev/null
start create_m "$autoctl" create monitor --pgdata "$root/m2" --pgport $((mport + 9)) \
	--hostname 127.0.0.1 --listen 127.0.0.1 --auth trust --no-ssl
ok "a second monitor, killed on the way" within 20 test -f "$root/m2/PG_VERSION"
kill -KILL $(family_of "$(pid_of create_m)") $(processes_in "$root/m2") 2>/dev/null
ok "it is gone" within 10 gone "$(pid_of create_m)"
ok "and created again" "$autoctl" create monitor --pgdata "$root/m2" \
	--pgport $((mport + 9)) --hostname 127.0.0.1 --listen 127.0.0.1 --auth trust --no-ssl
start monitor2 "$autoctl" monitor run --pgdata "$root/m2"
ok "it runs" within 20 eval '[ "$(psql_at $((mport + 9)) pg_auto_failover -c "select count(*)
	from pgautofailover.formation")" = 1 ]'
done_testing
