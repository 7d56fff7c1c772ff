#!/bin/sh
# What operators do behind our back: a standby promoted by hand; all of them taken out.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

maintenance() {
	timeout 100 "$autoctl" "$1" maintenance --pgdata "$root/n$2"
}

in_recovery() {
	[ "$(sql "$1" 'select pg_is_in_recovery()')" = t ]
}

streams_from() {
	[ "$(sql "$1" "select status from pg_stat_wal_receiver
		where sender_port = $(node_port "$2")")" = streaming ]
}

# Node 3 found that it must be rewound, for the Nth time.
rewinds() {
	[ "$(grep -c "diverged: rewinding" "$root/log/node_3.log")" -ge "$1" ]
}

cluster_init
nodes_up 3
ok "an application writes" writer_start 1 2 3

since=$(event_id)
identifier=$(sql 3 'select system_identifier from pg_control_system()')
event fork
# not -w: its keeper may end it sooner than pg_ctl looks
ok "a standby is promoted by hand" pg_ctl -D "$root/n3" -W promote
sql 3 "set synchronous_commit = local; create table fork as select 1" >/dev/null 2>&1
ok "it goes its own way" within 30 rewinds 1
ok "it is a standby again" within 60 in_recovery 3
ok "it follows the primary" within 60 streams_from 3 1
ok "one primary, two secondaries" wait_settled 3 60
is "$(writer_node)" 1 "the primary is who it was"
is "$(sql 3 "select to_regclass('fork') is null")" t "what was written there is gone"
fails "nobody was a candidate" 1 was_goal 3 prepare_promotion "$since"
ok "writes did not stop for that" gap_below fork 2000
ok "it was rewound, not copied" eval '! grep -q "base backup" "$root/log/node_3.log"'

# the same while its keeper is away, and ended before its first checkpoint: the control file
# knows nothing of the new timeline, and pg_rewind sees no reason to do anything
checkpointer_of() {
	sql "$1" "select pid from pg_stat_activity where backend_type = 'checkpointer'"
}

in_hand() {
	pg_ctl -D "$root/n3" -s -w -l "$root/log/hand.log" -o "-p $(node_port 3) -k $root/s" "$@"
}

event hand
ok "the keeper of node 3 is stopped" stop_node 3 INT
ok "its Postgres is started by hand" in_hand start
pid=$(checkpointer_of 3)
kill -STOP "$pid"
ok "it is promoted" in_hand promote
ok "it takes a row" sql 3 "set synchronous_commit = local; create table hand as select 1"
in_hand -W -m immediate stop
kill -CONT "$pid"
ok "it is stopped" within 20 no_process 3
is "$(pg_controldata "$root/n3" | sed -n "s/^Latest checkpoint's TimeLineID: *//p")" \
	"$(pg_controldata "$root/n1" | sed -n "s/^Latest checkpoint's TimeLineID: *//p")" \
	"its control file has no other timeline than the primary's"
node_start 3
ok "it goes back" within 60 rewinds 2
ok "it follows the primary" within 60 streams_from 3 1
ok "one primary, two secondaries" wait_settled 3 60
is "$(sql 3 "select to_regclass('hand') is null")" t "what was written there is gone"
ok "writes did not stop for that" gap_below hand 2000
ok "it was rewound, not copied" eval '! grep -q "base backup" "$root/log/node_3.log"'

# all standbys aside: they stream, so writes go on, and the primary stays what it is
event maintenance
ok "maintenance of node 2" maintenance enable 2
ok "maintenance of node 3" maintenance enable 3
ok "both are" wait_state 2 maintenance 5
wait_state 3 maintenance 5
ok "the primary is primary" holds 3 state_is 1 primary
ok "writes go on" within 5 writing
ok "writes did not stop for that" gap_below maintenance 1000
ok "a failover to nobody is refused" eval '! perform failover'
event aside
for n in 2 3; do
	ok "Postgres of node $n is stopped" pg_ctl -D "$root/n$n" -m fast stop
done
ok "nothing is acknowledged on one node alone" within 10 nobody_acknowledges
ok "the primary is still primary" holds 3 state_is 1 primary
ok "the end of maintenance" maintenance disable 2
ok "writes go on" within 30 writing
ok "the end of maintenance" maintenance disable 3
ok "one primary, two secondaries" wait_settled 3 60

# ... and if the primary dies meanwhile, who comes back from maintenance takes over
event orphans
ok "maintenance of node 2" maintenance enable 2
ok "maintenance of node 3" maintenance enable 3
ok "the primary's host dies" kill_host 1
ok "nobody takes over" holds 5 nobody_acknowledges
maintenance disable 2 >>"$root/log/maintenance.log" 2>&1 &
ok "it takes over, for node 3 has told what it holds" wait_goal 2 wait_primary 20
ok "nothing is acknowledged on one node alone" holds 2 nobody_acknowledges
ok "node 3 is still in maintenance" state_is 3 maintenance
ok "the end of maintenance of node 3" maintenance disable 3
ok "writes go on" within 20 writing
restart_host 1
ok "one primary, two secondaries" wait_settled 3 60

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
