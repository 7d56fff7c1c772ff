#!/bin/sh
# Same code, same answers: why nothing happens, what would be, what was decided, decided again.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

explain() {
	timeout 20 "$autoctl" explain --monitor "$(monitor_uri)" "$@"
}

# what explain says of the group, of a node
explains() {
	json "$(explain --json)" "$1"
}

# explain_is PATH TEXT
explain_is() {
	explain_now=$(explains "$1")
	echo "$explain_now"
	[ "$explain_now" = "$2" ]
}

says() {
	explain >"$root/says" && grep "$1" "$root/says"
}

# Every decision that was recorded is decided again; at least $1 of them.
replayed() {
	timeout 20 "$autoctl" fsm replay "$root/snapshots.log" >"$root/replay" || {
		grep -A9 DIFFERENT "$root/replay"
		return 1
	}
	tail -n 1 "$root/replay"
	[ "$(sed -n '$s/ snapshots.*//p' "$root/replay")" -ge "$1" ]
}

timeline_2() {
	show timeline | grep -E '^ +2 \| +1 \| +[0-9A-F]+/[0-9A-F]+$'
}

accept() {
	"$autoctl" accept timeline --monitor "$(monitor_uri)" "$@" >"$root/accepted" 2>&1
}

cluster_init
export PG_AUTOCTL_SNAPSHOTS="$root"
pair_up

# at rest
ok "nothing is in progress" within 10 explain_is '{explain}' 'nothing is in progress'
is "$(explains '{live}')" true "so says the monitor process"
is "$(explains '{primary}')" node_1 "the primary is known"
is "$(explains '{synchronous}')" true "commits wait for a standby"
ok "node 2 is well" within 10 explain_is '{nodes,1,probe}' ok
is "$(explains '{nodes,1,verdict}')" ok "... so is the verdict"
is "$(explains '{nodes,1,awaited}')" "" "nothing is awaited from it"
ok "and so in words" says 'default/0: nothing is in progress'

# what would be
lost=$(explain --if-lost node_1 --json)
is "$(json "$lost" '{refused,primary}') $(json "$lost" '{silent,primary}')" "node_2 node_2" \
	"if node 1 were lost, node 2 would take over"
is "$(json "$lost" '{refused,may_lose}')" false "and nothing would be lost"
ok "sooner when it is refused than when it is silent" test \
	"$(json "$lost" '{refused,commits_after_ms}')" -lt \
	"$(json "$lost" '{silent,commits_after_ms}')"
like "$(explain --if-lost node_1)" 'node_2 is the primary then; commits stop for ' "in words"
like "$(explain --if-lost node_2)" 'node_1 stays the primary; commits wait for ' \
	"if node 2 were lost, node 1 would go on"
explain --if-lost node_9 >"$root/out" 2>&1
is "$?" 3 "a node that is none"

# timelines
like "$(show timeline)" '^ +TLI \| Parent TLI \| Switchpoint LSN' "the timelines"
is "$(show timeline | grep -c 'ok, on accepted lineage')" 2 "both nodes are on the same"
ok "a switchover" perform switchover
ok "the other way round" wait_pair 2 1
ok "the second timeline is known" within 10 timeline_2
accept --tli 99
is "$?" 6 "timeline 99 is nobody's"
accept
is "$?" 1 "which one?"
accept --tli 2 --reason "it is the right one"
is "$?" 0 "timeline 2 is accepted"
like "$(cat "$root/accepted")" 'Timeline 2 .*"default".*group 0' "it says so"
is "$(monitor_sql "select accepted_tli || ' ' || decided_by from
	pgautofailover.accepted_timeline")" "2 it is the right one" "with the reason"
ok "what was decided is decided again" replayed 10

# foretold, then done
lost=$(explain --if-lost node_2 --json)
is "$(json "$lost" '{refused,primary}')" node_1 "node 1 would take over"
ok "node 2 is lost" kill_host 2
ok "node 1 takes over" wait_state 1 wait_primary 60
foretold=$(json "$lost" '{refused,steps,0,rule}')
is "$(monitor_sql "select count(*) > 0 from pgautofailover.event where rule_pos = $foretold
	and eventid > (select max(eventid) from pgautofailover.event where nodeid =
	$(node_id 2) and reportedstate = 'primary' and goalstate = 'primary')")" t \
	"by the rule that was foretold"
ok "its keeper is awaited" within 10 says 'node_2: .*its keeper does not report'
ok "and the way out is named" says 'way out: start its keeper'
ok "all that was decided is decided again" replayed 15

# the setting; without a monitor process
ok "the server knows the setting" monitor_sql "alter system set
	pgautofailover.log_snapshots = '$root/third'"
monitor_sql "insert into pgautofailover.setting values ('log_snapshots', '$root/other')"
kill -KILL "$(pid_of monitor)"
ok "the monitor process is gone" within 10 gone "$(pid_of monitor)"
is "$(explains '{live}')" false "without it: from the tables"
ok "it says so" says 'no monitor process has answered'
ok "and what they say" says 'node_2: .*its keeper does not report'
unset PG_AUTOCTL_SNAPSHOTS
ok "the monitor runs again" monitor_up
restart_host 2
ok "node 2 is back" wait_pair 1 2 90
ok "the snapshots are where the setting says" test -s "$root/other"
ok "and are decided again" timeout 20 "$autoctl" fsm replay "$root/other"

done_testing
