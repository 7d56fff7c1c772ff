#!/bin/sh
# The monitor is away: writes go on; it is back: so does the rest.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
pair_up
ok "an application writes" writer_start

event monitor_away
ok "the monitor is stopped" monitor_down
# longer than any time after which a node by itself might stop
ok "writes go on for 25 s" holds 25 within 2 writing
fails "commands say that they cannot reach it" 6 timeout 30 "$autoctl" perform switchover \
	--monitor "$(monitor_uri)"
event monitor_back
ok "the monitor is started" monitor_up
ok "it hears from both nodes" within 10 heard
ok "all is well" wait_pair 1 2 20
ok "no gap while it was away" gap_below monitor_away 1000
ok "no gap when it came back" gap_below monitor_back 1000
ok "a switchover works" perform switchover
ok "node 2 is primary" wait_pair 2 1 30

event monitor_killed
ok "every process of the monitor is killed" kill_monitor
ok "writes go on" holds 5 within 2 writing
ok "no gap" gap_below monitor_killed 1000

event failover_meanwhile
ok "the primary dies while the monitor is down" kill_host 2
ok "the monitor comes back" monitor_up
ok "node 1 takes over" wait_state 1 wait_primary 60
ok "writes go on" within 20 writing
restart_host 2
ok "a pair again" wait_pair 1 2 60

event failover_during_restart
start stopper "$autoctl" stop --pgdata "$root/m"
ok "the primary dies as the monitor stops" kill_host 1
ok "the monitor is gone" within 30 gone "$(pid_of monitor)"
ok "the monitor comes back" monitor_up
ok "node 2 takes over" wait_state 2 wait_primary 60
restart_host 1
ok "a pair again" wait_pair 2 1 60

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
