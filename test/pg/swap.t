#!/bin/sh
# The monitor is replaced under a running group; an application writes all the time.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
pair_up
ok "an application writes" writer_start

part() {
	timeout 60 "$autoctl" disable monitor --pgdata "$root/n$1" --force
}

meet() {
	timeout 60 "$autoctl" enable monitor --pgdata "$root/n$1" "$(monitor_uri)"
}

reports_primary() {
	case $(states 1) in primary*) ;; *) return 1 ;; esac
}

# A copy would come with a directory of its own.
directory=$(ls -di "$root/n2")
before=$(head -n 1 "$root/n1/postmaster.pid")
id1=$(node_id 1) id2=$(node_id 2)

fails "a registered node does not part without --force" 3 \
	"$autoctl" disable monitor --pgdata "$root/n1"
fails "a node with a monitor takes no other one" 2 \
	"$autoctl" enable monitor --pgdata "$root/n1" "$(monitor_uri)"
fails "a URI is asked for" 1 "$autoctl" enable monitor --pgdata "$root/n1"
ok "that changed nothing" state_is 1 primary

event parting
ok "the primary parts from the monitor" part 1
is "$("$autoctl" config get pg_autoctl.monitor --pgdata "$root/n1")" PG_AUTOCTL_DISABLED \
	"its settings say so"
ok "and again" part 1
ok "writes go on" holds 5 within 2 writing
ok "the old monitor promotes nobody" goal_is 2 secondary
ok "the standby parts" part 2
ok "writes go on" within 5 writing
ok "both keepers live" eval 'alive "$(pid_of node_1)" && alive "$(pid_of node_2)"'

event no_monitor
ok "the old monitor is stopped" monitor_down
mv "$root/m" "$root/old"
rm -rf "$root/etc/pg_autoctl$root/m" "$root/var/pg_autoctl$root/m"
ok "a new one is created" monitor_up
ok "writes go on" holds 3 within 2 writing

event meeting
fails "a monitor that is not there is not taken" 6 "$autoctl" enable monitor \
	--pgdata "$root/n1" "postgres://autoctl_node@127.0.0.1:1/pg_auto_failover"
# The keeper may report before the monitor has decided anything on the new row.
kill -STOP "$(pid_of monitor)"
ok "the primary meets it" meet 1
ok "it says what it is" within 20 reports_primary
kill -CONT "$(pid_of monitor)"
ok "node 1 is alone and writable" wait_state 1 single 30
ok "the standby meets it" meet 2
ok "they are a pair again" wait_pair 1 2 60
is "$(node_id 1) $(node_id 2)" "$id1 $id2" "with the numbers they had"
is "$(monitor_sql "select count(*) from pgautofailover.node_key where digest is not null")" 2 \
	"the new monitor knows both keepers by their keys"
is "$(head -n 1 "$root/n1/postmaster.pid")" "$before" "the primary's Postgres went on"
is "$(ls -di "$root/n2")" "$directory" "the standby was not copied anew"

ok "no gap above a second when they parted" gap_below parting 1000
ok "none with no monitor" gap_below no_monitor 1000
ok "none when they met" gap_below meeting 1500

event switchover
ok "the new monitor switches over" perform switchover
ok "node 2 is the primary" wait_pair 2 1 60

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
