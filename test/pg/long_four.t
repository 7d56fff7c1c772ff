#!/bin/sh
# Four nodes: number_sync_standbys 2, settings that change under an application, one node
# that is copied to and nothing else, and who is preferred.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

names_like() {
	sql "$1" 'show synchronous_standby_names' | grep -Ex "$2"
}

s=pgautofailover_standby_
cluster_init
nodes_up 4
ok "an application writes" writer_start 1 2 3 4

event two_of_three
ok "number_sync_standbys 2" set_nss 2
ok "a commit waits for two out of three" within 20 names_like 1 \
	"ANY 2 \(${s}[234], ${s}[234], ${s}[234]\)"
fails "number_sync_standbys 3 with three standbys is refused" 6 set_nss 3
ok "the primary is primary" wait_state 1 primary 20

event priority
ok "node 3 is preferred" set_node 3 candidate-priority 90
ok "settings are applied" wait_settled 4 20

event one_standby_killed
ok "a standby's host dies" kill_host 4
ok "writes go on with two" within 5 writing
ok "writes stopped for less than 2 s" gap_below one_standby_killed 2000
event two_standbys_killed
ok "another standby's host dies" kill_host 2
ok "nothing is acknowledged with one" within 10 nobody_acknowledges
ok "and so it stays" holds 3 nobody_acknowledges
ok "the primary is still primary" state_is 1 primary
restart_host 2
ok "a second standby is back: writes go on" within 60 writing
restart_host 4
ok "one primary, three secondaries" wait_settled 4 60

event failover_of_two
ok "the primary's host dies" kill_host 1
ok "the preferred node takes over" wait_goal 3 primary 40
ok "writes go on with two" within 30 writing
ok "writes stopped for less than 5 s" gap_below failover_of_two 5000
restart_host 1
ok "one primary, three secondaries" wait_settled 4 60

# two are left: one could write if it had two standbys
event two_dead
ok "the hosts of the primary and of a standby die" kill_host 3
kill_host 4
ok "the others are asked" wait_goal 2 report_lsn 40
ok "nothing is acknowledged with one standby" holds 3 nobody_acknowledges
like "$("$autoctl" explain --monitor "$(monitor_uri)")" 'missing: node_4' "that is explained"
restart_host 4
ok "a second standby is back: writes go on" within 60 writing
restart_host 3
ok "one primary, three secondaries" wait_settled 4 60
ok "node 1 is the primary again" perform promotion --name node_1
ok "one primary, three secondaries" wait_settled 4 60

event one_of_two
ok "number_sync_standbys 1" set_nss 1
ok "node 4 is no candidate" set_node 4 candidate-priority 0
ok "no commit waits for node 4" set_node 4 replication-quorum false
ok "it is not in synchronous_standby_names" within 20 names_like 1 \
	"ANY 1 \(${s}[23], ${s}[23]\)"
ok "one primary, three secondaries" wait_settled 4 20
is "$(sql 1 "select sync_state from pg_stat_replication
	where application_name = '$s$(node_id 4)'")" async "it streams all the same"
fails "number_sync_standbys 2 is refused with two that commits wait for" 6 set_nss 2
for e in two_of_three priority one_of_two; do
	ok "no settings stopped writes for a second: $e" gap_below $e 1000
done

since=$(event_id)
event by_priority
ok "the primary's host dies" kill_host 1
ok "the preferred node takes over" wait_goal 3 primary 40
ok "writes go on" within 30 writing
ok "writes stopped for less than 5 s" gap_below by_priority 5000
fails "node 4 was never a candidate" 1 was_goal 4 prepare_promotion "$since"
restart_host 1
ok "one primary, three secondaries" wait_settled 4 60
ok "node 4 is still not in synchronous_standby_names" names_like 3 \
	"ANY 1 \(${s}[12], ${s}[12]\)"

# the one that no commit waits for must not hold up an election, nor win it
since=$(event_id)
event without_async
ok "the hosts of the primary and of node 4 die" kill_host 3
kill_host 4
ok "another node takes over" within 40 eval 'case $(writer_node) in 1 | 2) ;; *) false ;; esac'
ok "writes go on" within 30 writing
fails "node 4 was never a candidate" 1 was_goal 4 prepare_promotion "$since"
restart_host 3
restart_host 4
ok "one primary, three secondaries" wait_settled 4 60

# one in maintenance may hold what others lack: it is asked, and left alone otherwise
ok "node 4 is a standby like the others" set_node 4 replication-quorum true
old=$(writer_node)
aside=$((old % 4 + 1))
ok "one primary, three secondaries" wait_settled 4 30
ok "maintenance of node $aside" timeout 60 "$autoctl" enable maintenance --pgdata "$root/n$aside"
was=$(postmaster_of $aside)
others=$(echo "1 2 3 4" | tr -d "$old$aside")
for n in $others; do
	ok "node $n receives nothing any more" lag "$n"
done
ok "much is written, and node $aside alone has it" bulk "$old" much
since=$(event_id)
event aside
ok "the primary's host dies" kill_host "$old"
for n in $others; do
	lag_ends "$n"
done
ok "writes go on" within 30 writing
ok "writes stopped for less than 10 s" gap_below aside 10000
is "$(sql "$(writer_node)" 'select count(*) from much')" 60000 "the new primary has all rows"
ok "it fetched them first" was_goal "$(writer_node)" fast_forward "$since"
fails "node $aside did not take over" 1 eval '[ "$(writer_node)" = "$aside" ]'
ok "it is still in maintenance" state_is $aside maintenance
is "$(postmaster_of $aside)" "$was" "its Postgres was not touched"
restart_host "$old"
ok "the end of maintenance" timeout 60 "$autoctl" disable maintenance --pgdata "$root/n$aside"
ok "one primary, three secondaries" wait_settled 4 60

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
