#!/bin/sh
# Somebody asks for a failover of a pair whose primary is dead already, or dies meanwhile.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
nodes_up 2
ok "an application writes" writer_start 1 2
ok "the primary's host dies" kill_host 1
ok "a failover is asked for at once, and is done" perform failover
ok "node 2 takes writes" within 20 takes_write 2
ok "it is the primary, without a standby" wait_state 2 wait_primary 20
ok "another one is refused: nobody is there" eval '! perform failover'
restart_host 1
ok "the old primary follows" wait_pair 2 1 90
ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify

# the tail of what the primary wrote does not come through
ok "an application writes" writer_start 1 2
ok "node 1 receives nothing any more" lag 1
event tail
ok "a switchover cannot work" eval '! perform switchover --wait 40'
ok "the primary goes on" within 20 takes_write 2
ok "writes stopped for less than 20 s" gap_below tail 20000
lag_ends 1
ok "the standby follows" wait_pair 2 1 60
ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify

# the standby misses what the primary does alone, then the primary dies
ok "the standby's host dies" kill_host 1
ok "the primary goes on alone" wait_state 2 wait_primary 40
ok "it writes what the standby never gets" sql 2 "create table lost (x int)"
ok "the primary's host dies" kill_host 2
restart_host 1
ok "node 1 is not promoted by itself" holds 5 eval '! takes_write 1'
ok "nor when asked to" eval '! perform failover --wait 5'
ok "unless a loss is accepted" eval 'perform failover --allow-data-loss --wait 3; true'
ok "node 1 is promoted behind a closed door" wait_state 1 stop_replication 30
like "$("$autoctl" explain --monitor "$(monitor_uri)" 2>&1)" 'dropped by force' \
	"explain tells the way out"
ok "an operator vouches that node 2 is dead" timeout 60 "$autoctl" drop node --force \
	--name node_2 --monitor "$(monitor_uri)"
ok "node 1 takes writes" within 30 takes_write 1

# the same, and the one that is to take over is named
rm -rf "$root/n2" && ok "node 2 is made anew" node_up 2
ok "a pair" wait_pair 1 2 60
ok "the standby's host dies" kill_host 2
ok "the primary goes on alone" wait_state 1 wait_primary 40
ok "it writes what the standby never gets" sql 1 "create table lost_again (x int)"
ok "the primary's host dies" kill_host 1
restart_host 2
ok "node 2 follows nobody" wait_goal 2 catchingup 30
ok "node 1 is given up" within 60 eval \
	'"$autoctl" explain --monitor "$(monitor_uri)" | grep "node_1 is down"'
like "$(perform promotion --name node_2 --wait 5 2>&1)" 'node_2 in formation default has reported' \
	"it is not promoted when asked to"
like "$(perform promotion --name node_2 --allow-data-loss --wait 3 2>&1)" 'not done within|in time|wait' \
	"unless a loss is accepted"
ok "node 2 is promoted behind a closed door" wait_state 2 stop_replication 30
ok "an operator vouches that node 1 is dead" timeout 60 "$autoctl" drop node --force \
	--name node_1 --monitor "$(monitor_uri)"
ok "node 2 takes writes" within 30 takes_write 2
done_testing
