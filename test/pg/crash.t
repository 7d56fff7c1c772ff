#!/bin/sh
# Postgres dies, a host dies, and comes back.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
pair_up
ok "an application writes" writer_start

event postmaster_killed
ok "the primary's postmaster is killed" kill_postmaster 1
ok "writes go on" within 20 writing
ok "two nodes again, a primary and a secondary" wait_settled 2 60
ok "writes stopped for less than 5 s" gap_below postmaster_killed 5000

primary=$(writer_node)
standby=$((3 - primary))
event host_killed
ok "every process of the primary (node $primary) is killed" kill_host "$primary"
ok "node $standby takes over" wait_goal "$standby" wait_primary 20
ok "writes go on" within 20 writing
ok "writes stopped for less than 6 s" gap_below host_killed 6000
ok "only one takes writes" one_writer
event host_back
restart_host "$primary"
ok "the old primary comes back as a secondary" wait_pair "$standby" "$primary" 60
ok "writes did not stop for that" gap_below host_back 2000

primary=$(writer_node)
standby=$((3 - primary))
event standby_killed
ok "every process of the standby (node $standby) is killed" kill_host "$standby"
ok "the primary goes on alone" wait_state "$primary" wait_primary 20
ok "writes go on" within 20 writing
ok "writes stopped for less than 6 s" gap_below standby_killed 6000
event standby_back
restart_host "$standby"
ok "the standby comes back" wait_pair "$primary" "$standby" 60
ok "writes did not stop for that" gap_below standby_back 2000

event standby_postmaster_killed
ok "the standby's postmaster is killed" kill_postmaster "$standby"
ok "a pair again" wait_settled 2 60
ok "writes stopped for less than 6 s" gap_below standby_postmaster_killed 6000

event both_killed
kill_host "$primary"
kill_host "$standby"
restart_host "$primary"
restart_host "$standby"
ok "both hosts die and come back" wait_settled 2 90
ok "writes go on" within 20 writing

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
