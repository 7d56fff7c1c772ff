#!/bin/sh
# A node is created while its group has no primary: in the middle of a failover.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

added() {
	[ "$(cat "$root/added" 2>/dev/null)" = 0 ]
}

cluster_init
nodes_up 2
ok "an application writes" writer_start 1 2
ok "the candidate hangs: its keeper is stopped" kill -STOP "$(pid_of node_2)"
event add
ok "the primary's host dies" kill_host 1
(node_create 3; echo $? >"$root/added") &
ok "nothing is acknowledged" within 10 nobody_acknowledges
ok "the candidate goes on" kill -CONT "$(pid_of node_2)"
ok "it takes writes" within 60 takes_write 2
ok "the new node is created" within 90 added
frugal "$root/n3"
node_start 3
ok "it runs" within 60 serves 3
ok "it is a standby of the new primary" within 60 state_is 3 secondary
ok "commits wait for it" within 30 state_is 2 primary
restart_host 1
ok "the old primary joins them" wait_settled 3 90
ok "only one takes writes" one_writer 1 2 3
ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
