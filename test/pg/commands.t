#!/bin/sh
# What the commands answer on a living pair: tables with their columns, JSON with its keys,
# exit codes, and who is asked when several could be.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# run ARG... : into $out, $err, $code.
run() {
	timeout 120 "$autoctl" "$@" >"$root/out" 2>"$root/err" </dev/null
	code=$?
	out=$(cat "$root/out") err=$(cat "$root/err")
}

# answers ARG... : exit 0, an answer on stdout, nothing on stderr.
answers() {
	run "$@"
	is "$code" 0 "exit 0: autoctl $(echo "$*" | sed "s,$root/,,g; s,--monitor [^ ]*,--monitor ...,")" ||
		note "$err"
	is "$err" "" "... and no talk"
}

# refuses CODE ERE ARG...
refuses() {
	want=$1 ere=$2
	shift 2
	run "$@"
	is "$code" "$want" "exit $want: autoctl $(echo "$*" | sed "s,$root/,,g; s,--monitor [^ ]*,--monitor ...,")"
	like "$err" "$ere" "... it says why: $(head -n 1 "$root/err")"
}

# has PATH WANT : the JSON of the last answer has that value there.
has() {
	is "$(json "$out" "$1")" "$2" "... $1 is $2"
}

# title : the column names of the last answer, without padding.
title() {
	head -n 1 "$root/out" | sed 's/ *| */|/g; s/^ *//; s/ *$//'
}

cluster_init
pair_up
within 20 heard
uri=$(monitor_uri)
here=127.0.0.1:$(node_port 1)

# the same from everywhere
for whom in "--monitor $uri" "--pgdata $root/m" "--pgdata $root/n2"; do
	answers show state $whom
	is "$(title)" 'Name|Node|Host:Port|TLI: LSN|Connection|Reported State|Assigned State' \
		"... its columns"
	like "$out" "^node_1 \| +1 \| +$here \| +1: [0-9A-F]+/[0-9A-F]+ \| +read-write \| +primary \| +primary\$" \
		"... the primary"
	like "$out" '\| +read-only \| +secondary \| +secondary$' "... the secondary"
done
run show state --monitor "$uri" --pgdata "$root/n1"
like "$err" 'warning: --pgdata is not looked at' "--monitor comes before --pgdata"
is "$(PG_AUTOCTL_MONITOR=$uri "$autoctl" show state --pgdata "$root/none" 2>&1 | grep -c primary)" 1 \
	"PG_AUTOCTL_MONITOR comes before --pgdata"
answers show state --json --monitor "$uri"
has '{0,nodename}' node_1
has '{0,current_group_state}' primary
has '{1,assigned_group_state}' secondary
has '{1,health}' 1
has '{1,candidate_priority}' 50
has '{1,replication_quorum}' true
is "$(json "$out" '{0}' | tr -d ' "{}' | tr ',' '\n' | cut -d: -f1 | sort | tr '\n' ' ')" \
	"$(echo assigned_group_state candidate_priority current_group_state formation_kind \
		group_id health node_id nodecluster nodehost nodename nodeport noderegion \
		replication_quorum reported_lsn reported_tli) " "... and those keys only"
answers show state --monitor "$uri" --formation nobody
is "$(wc -l <"$root/out")" 3 "an unknown formation has a header only"
run show state --monitor "$uri" --formation nobody --json
is "$(json "$out" '{0}')" "" "... and an empty array"

answers show state --local --pgdata "$root/n2"
like "$out" '^node_2 \| +2 \|.*read-only \? \| +secondary \| +secondary$' "the state file's word"
answers show state --local --json --pgdata "$root/n1"
has '{current_group_state}' primary
has '{reachable}' unknown
has '{conntype}' read-write
has '{timeline}' 1
refuses 6 'state file' show state --local --pgdata "$root/m"

# events
answers show events --monitor "$uri" --count 3
is "$(title)" 'Event Time|Node|Current State|Assigned State|Rule|Comment' "its columns"
is "$(wc -l <"$root/out")" 6 "three of them, oldest first"
is "$(sed -n '3,5p' "$root/out" | cut -c 1-30 | sort -c 2>&1)" "" "... in order"
answers show events --count 2 --json --pgdata "$root/m"
has '{1,formationid}' default
for key in eventid eventtime nodeid groupid nodename nodehost nodeport reportedstate goalstate \
	reportedrepstate reportedtli reportedlsn candidatepriority replicationquorum description; do
	ok "... with $key" test -n "$(json "$out" "{0,$key}")"
done

# uri
answers show uri --pgdata "$root/m"
is "$(title)" 'Type|Name|Connection String' "its columns"
app="postgres://127.0.0.1:$(node_port 1),127.0.0.1:$(node_port 2)/postgres?target_session_attrs=read-write&sslmode=prefer"
answers show uri --formation default --monitor "$uri"
is "$out" "$app" "the formation's"
is "$(psql -XAtq -U "$superuser" "$out" -c 'select pg_is_in_recovery()' 2>&1)" f "... leads to the primary"
answers show uri --formation default --json --pgdata "$root/n1"
has '{default}' "$app"
answers show uri --formation monitor --pgdata "$root/m"
ok "the monitor's leads to it" psql -XAtq "$out" -c 'select 1'
refuses 6 'nobody' show uri --formation nobody --monitor "$uri"
monitor_sql "update pgautofailover.node set nodecluster = 'reports' where nodename = 'node_2'"
answers show uri --pgdata "$root/m"
like "$out" '^read-replica \| +reports \| postgres://127.0.0.1:[0-9]+/postgres\?sslmode=prefer$' "read replicas apart"
answers show uri --formation default --citus-cluster reports --monitor "$uri"
is "$out" "postgres://127.0.0.1:$(node_port 2)/postgres?sslmode=prefer" "... and alone"
refuses 6 'cluster "none"' show uri --formation default --citus-cluster none --monitor "$uri"
monitor_sql "update pgautofailover.node set nodecluster = 'default'"

# what is completed by asking the monitor
completes() {
	answers complete-line -- "autoctl $1"
	is "$(echo "$out" | tr '\n' ' ')" "$2" "... completes with $2"
}
completes "show state --monitor '$uri' --formation " "default "
completes "drop node --pgdata $root/m --name=no" "node_1 node_2 "
completes "get node region -D $root/n1 --formation default -a node_2" "node_2 "
completes "get node region --pgdata $root/n1 --formation nobody --name " " "
completes "create postgres --monitor '$uri' --name " " "
completes "set node region -m$uri " "default "
completes "drop node -m $uri --pgport " "$(node_port 1) $(node_port 2) "

# settings
for cmd in "show settings" "get formation settings"; do
	answers $cmd --pgdata "$root/n1"
	is "$(title)" 'Context|Name|Setting|Value' "its columns"
	like "$out" "^ *primary \| +node_1 \| synchronous_standby_names \| 'ANY 1 \(pgautofailover_standby_2\)'" \
		"... the names"
	answers $cmd --json --monitor "$uri"
	has '{formation,0,value}' 0
	has '{primary,0,nodename}' node_1
	has '{nodes,3,setting}' 'replication quorum'
done
refuses 6 'nobody' show settings --formation nobody --monitor "$uri"
refuses 6 'nobody' get formation settings --formation nobody --monitor "$uri" --json
answers show standby-names --pgdata "$root/m"
is "$out" "'ANY 1 (pgautofailover_standby_2)'" "in quotes"
answers show standby-names --json --pgdata "$root/n2"
has '{synchronous_standby_names}' 'ANY 1 (pgautofailover_standby_2)'
has '{group}' 0

# properties
answers get node candidate-priority --pgdata "$root/n2"
is "$out" 50 "of the local node"
run set node candidate-priority 70 --monitor "$uri" --name node_2
is "$out" 70 "the new one"
like "$err" "Setting candidate priority to 70" "... and what the monitor says of it"
ok "the primary took it over" wait_pair 1 2 10
answers get node candidate-priority --json --monitor "$uri" --name node_2
has '{candidate-priority}' 70
has '{name}' node_2
answers -q set node replication-quorum false --pgdata "$root/n2" --json
has '{replication-quorum}' false
ok "the primary waits for nobody" within 10 eval \
	'[ "$(sql 1 "show synchronous_standby_names")" = "" ]'
answers -q set node replication-quorum true --pgdata "$root/n2"
ok "and waits again" wait_pair 1 2 30
answers get node replication-quorum --pgdata "$root/n2"
is "$out" true "as before"
answers get formation number-sync-standbys --monitor "$uri"
is "$out" 0 "none"
refuses 6 'at least 2 standby' set formation number-sync-standbys 1 --monitor "$uri"
refuses 6 'not registered' set node candidate-priority 5 --name nobody --monitor "$uri"
refuses 1 'which node' get node candidate-priority --monitor "$uri"
refuses 1 'which node' get node candidate-priority --pgdata "$root/m"

# operations: the table that grows
run perform promotion --name node_2 --monitor "$uri"
is "$code" 0 "a promotion"
is "$(title)" 'Time|Name|Node|Host:Port|Current State|Assigned State' "its columns"
like "$out" '^[0-9]{2}:[0-9]{2}:[0-9]{2} \| +node_2 .* primary \| +primary$' "... to the end"
is "$(grep -c ' | ' "$root/out")" "$(grep ' | ' "$root/out" | cut -d'|' -f2- | uniq | wc -l)" \
	"... and no line twice"
ok "done when it says so" state_is 2 primary
run perform promotion --name node_2 --monitor "$uri"
is "$code$out" 0 "once more: nothing to do"
like "$err" 'already' "... it says so"
refuses 1 'not registered' perform promotion --name nobody --monitor "$uri"
refuses 3 'no node' perform failover --formation nobody --monitor "$uri"
ok "a pair" wait_pair 2 1 30

# the service
answers config check --pgdata "$root/n1"
like "$out" "^pgdata: +$root/n1\$" "what there is"
like "$out" '^is in recovery: +yes$' "... a standby"
like "$out" '^Postmaster status: +ready$' "... and how it is"
answers config check --json --pgdata "$root/m"
has '{postgres,postmaster,status}' ready
has '{config,pg_autoctl,role}' monitor
run status --pgdata "$root/n1"
is "$code$out" 0 "status speaks on stderr"
like "$err" 'is running' "... that it runs"
run status --json --pgdata "$root/n1"
has '{pg_autoctl,status}' running
has '{pg_autoctl,pid}' "$(pid_of node_1)"
has '{postgres,in_recovery}' true
has '{pg_autoctl,services,0,status}' running
is "$(echo "$out" | sed -n 's/.*"name": "\([a-z-]*\)".*/\1/p' | sort | tr '\n' ' ')" \
	"node-active postgres " "... and of what it consists"
run status --json --pgdata "$root/m"
is "$(echo "$out" | sed -n 's/.*"name": "\([a-z-]*\)".*/\1/p' | sort | tr '\n' ' ')" \
	"listener postgres " "... and the monitor"
answers show file --state --contents --pgdata "$root/n1"
like "$out" '^Current Role: +secondary$' "the state file"
answers show file --state --contents --json --pgdata "$root/n1"
has '{current_role}' secondary
has '{nodeId}' 1
answers show file --pid --contents --json --pgdata "$root/n1"
has '{pid}' "$(pid_of node_1)"
has '{services,0,name}' node-active
is "$(echo "$out" | grep -c status)" 0 "... without what only a look at the processes tells"

answers config set timeout.network_partition_timeout 25 --pgdata "$root/n1"
ok "the service reads it" within 10 grep -q 'network_partition_timeout: "20" -> "25"' \
	"$root/log/node_1.log"

# away with it, from elsewhere
refuses 6 'not registered' drop node --name nobody --monitor "$uri"
run drop node --name node_1 --monitor "$uri"
is "$code$err" 0 "node 1 is dropped"
is "$(monitor_sql "select count(*) from pgautofailover.node where nodename = 'node_1'")" 0 \
	"... and gone when it says so"
ok "its keeper leaves" within 30 gone "$(pid_of node_1)"
refuses 3 'no service' status --pgdata "$root/n1"
ok "stop" "$autoctl" stop --fast --pgdata "$root/n2"
ok "the other one leaves" within 60 gone "$(pid_of node_2)"
refuses 12 'no service' stop --pgdata "$root/n2"
monitor_sql "insert into pgautofailover.node (formationid, groupid, nodename, nodehost, nodeport,
	goalstate, reportedstate) values ('default', 1, 'other', '127.0.0.1', 9, 'single', 'single')" >/dev/null
refuses 6 "another node's" run --pgdata "$root/n2" --name other
refuses 6 "another node's" config set postgresql.port 9 --pgdata "$root/n2"
is "$("$autoctl" config get pg_autoctl.name --pgdata "$root/n2") $(node_port 2)" \
	"node_2 $("$autoctl" config get postgresql.port --pgdata "$root/n2")" "what is refused is not kept"
monitor_sql "delete from pgautofailover.node where nodename = 'other'"
ok "the monitor stops" monitor_down
monitor_start
export PGCONNECT_TIMEOUT=30
answers show uri --formation monitor --json --monitor "$uri"
unset PGCONNECT_TIMEOUT
refuses 6 'connect to the monitor' show state --monitor "${uri%%:$mport*}:$((mport + 9))/x"
done_testing
