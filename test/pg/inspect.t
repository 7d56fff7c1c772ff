#!/bin/sh
# inspect, manual, internal: what lies below the surface, on a pair.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# on N WORDS... : a command on the host of node N; its answer in $out, its talk in $err.
on() {
	on_n=$1
	shift
	out=$("$autoctl" "$@" --pgdata "$root/n$on_n" 2>"$root/err")
	code=$?
	err=$(cat "$root/err")
}

# exits CODE N WORDS...
exits() {
	want=$1
	shift
	on "$@"
	n=$1
	shift
	is "$code" "$want" "node $n: $* exits with $want" || note "$out" "$err"
}

cluster_init

# ---- before there is anything ----

exits 0 1 inspect pgsetup pg_ctl
exits 4 1 inspect pgsetup ready
like "$err" 'status is: "unknown"' "it says what is"
exits 4 1 inspect pgsetup wait --timeout 1
like "$err" 'no settings yet' "it waited for settings"
exits 2 1 inspect pgsetup discover --pgctl "$root/none"

pair_up
pid1=$(head -n 1 "$root/n1/postmaster.pid")

# ---- pgsetup ----

exits 0 1 inspect pgsetup ready
like "$err" 'Postgres status is: "ready"' "ready"
is "$out" "" "... and no answer on stdout"
exits 0 2 inspect pgsetup wait -T 5
exits 0 1 inspect pgsetup wait --read-write --timeout 5
exits 4 2 inspect pgsetup wait -W -T 1
like "$err" 'recovery' "a standby takes no writes"
is "$("$autoctl" inspect pgsetup ready --pgdata "$root/m" 2>&1)" \
	'autoctl: Postgres status is: "ready"' "the monitor's is ready too"
exits 0 1 inspect pgsetup discover
like "$out" "^pid: *$pid1\$" "the process"
exits 0 1 inspect pgsetup logs
like "$err" 'ready to accept' "lines of Postgres's log"
exits 0 1 inspect pgsetup tune
like "$out" '^shared_buffers = ' "tuned for this machine"
exits 0 1 inspect pgsetup hba-lan
exits 0 1 inspect pgsetup hba-lan
is "$(grep -c '^host all "*all"* 127.0.0.0/8 trust\|^host replication "*all"* 127.0.0.0/8 trust' \
	"$root/n1/pg_hba.conf")" 2 "two rules, also when it is asked twice" ||
	note "$(tail -n 4 "$root/n1/pg_hba.conf")"

# ---- fsm ----

cp "$(XDG_CONFIG_HOME=$root/etc "$autoctl" show file --state --pgdata "$root/n1")" "$root/state"
exits 0 1 inspect fsm state
is "$(json "$out" '{state,current_role}')" primary "where node 1 stands"
is "$(json "$out" '{state,nodeId}')" "$(cat "$root/id_1")" "its id"
is "$(json "$out" '{postgres,pid}')" "$pid1" "its Postgres"
is "$(json "$out" '{postgres,postmaster,status}')" ready "... is ready"
exits 0 1 inspect fsm list --json
is "$(json "$out" '{0,current}')" init "pairs of states"
exits 0 1 inspect fsm check --json
is "$(json "$out" '{ok}')" true "the monitor knows the same table"
exits 0 1 inspect fsm gv
exits 0 1 inspect fsm mermaid failover
exits 1 1 inspect fsm mermaid nonsense

# ---- monitor ----

exits 0 2 inspect monitor get primary
is "$out" "default/0 127.0.0.1:$(node_port 1)" "node 2 knows who the primary is"
exits 0 2 inspect monitor get primary --json
is "$(json "$out" '{name}')" node_1 "... by name"
exits 0 1 inspect monitor get others
like "$out" 'node_2 .* no$' "and node 1 who the other is"
exits 0 1 inspect monitor get others --json
is "$(json "$out" '{0,node_is_primary}')" false "... as JSON"
exits 0 1 inspect monitor get candidate-count
is "$out" 1 "one may take over"
exits 1 1 inspect monitor get coordinator
like "$err" 'Citus formations are not supported' "no coordinator"

# ---- acts that a running keeper does not mind ----

exits 0 1 manual primary slot create by_hand
exits 0 1 manual primary slot create by_hand
is "$(sql 1 "select count(*) from pg_replication_slots where slot_name = 'by_hand'")" 1 "a slot"
exits 4 2 manual primary slot create by_hand
exits 0 1 manual primary slot drop by_hand
is "$(sql 1 "select count(*) from pg_replication_slots where slot_name = 'by_hand'")" 0 "it is gone"
exits 0 1 manual primary adduser replica
exits 0 1 manual primary adduser monitor "$(monitor_uri)"
exits 0 1 manual primary defaults
exits 0 2 manual primary identify 127.0.0.1 "$(node_port 1)"
like "$out" '^Timeline: *1' "what the primary says of itself"
is "$("$autoctl" manual monitor version --pgdata "$root/m")" \
	"$(monitor_sql 'select max(version) from pgautofailover.schema_version')" "the schema's version"
exits 2 1 manual monitor version

# ---- ... and those it would undo ----

for act in "standby init 127.0.0.1 $(node_port 1)" "standby rewind 127.0.0.1 $(node_port 1)" \
	"standby crash-recovery" "standby promote" "monitor active" "fsm init"; do
	exits 3 2 manual $act
	like "$err" 'is served by process' "... it says by whom"
done
exits 2 2 manual fsm assign single
exits 2 2 manual fsm nodes get
exits 1 2 manual coordinator add
exits 12 1 internal service node-active
like "$err" 'already' "one keeper is enough"

# ---- services ----

exits 0 1 inspect getpid postgres
is "$out" "$pid1" "the process of Postgres"
exits 0 1 inspect getpid node-active
is "$out" "$(pid_of node_1)" "the keeper's"
exits 12 1 inspect getpid listener
is "$("$autoctl" inspect getpid listener --pgdata "$root/m")" "$(pid_of monitor)" "the monitor's"
is "$("$autoctl" manual service restart listener --pgdata "$root/m" 2>/dev/null)" \
	"$(pid_of monitor)" "a monitor that starts anew keeps its number"
ok "it does" within 20 grep -q 'is started anew' "$root/log/monitor.log"
ok "it hears from its nodes" within 30 heard
exits 0 1 manual service restart node-active
is "$out" "$(pid_of node_1)" "a keeper that starts anew keeps its number"
within 20 grep -q 'is started anew' "$root/log/node_1.log"
is "$(head -n 1 "$root/n1/postmaster.pid")" "$pid1" "... and its Postgres"
exits 0 2 manual service restart postgres
is "$out" "$(head -n 1 "$root/n2/postmaster.pid")" "another process of Postgres"
ok "the pair is one again" wait_pair 1 2
exits 0 2 manual service pgctl off
like "$err" 'starts it again' "a warning"
exits 0 2 manual service pgctl on --json
is "$(json "$out" '{postmaster,status}')" ready "it runs"
ok "the pair is one again" wait_pair 1 2

# ---- step by step ----

node_start_suspended() {
	start "node_$1" env PG_AUTOCTL_SUSPENDED=1 "$autoctl" node run --pgdata "$root/n$1"
}

stands() {
	states_now=$(states 2)
	echo "node_2 is $states_now"
	[ "$states_now" = "$1" ]
}

# steps STATE : as many as it takes until node 2 is there, also by the monitor's word.
steps() {
	"$autoctl" manual fsm step --pgdata "$root/n2" && stands "$1 $1"
}

exits 3 2 manual fsm step
like "$err" 'not in step mode' "a keeper that runs takes no steps"
ok "the keeper of node 2 stops" stop_node 2 INT
node_start_suspended 2
ok "it is back, in step mode, with its Postgres" within 30 serves 2
ok "as a secondary, in steps" within 60 steps secondary
exits 0 2 manual fsm step
is "$out" "secondary ➜ secondary" "a step that changes nothing"
ok "maintenance is asked for" monitor_sql "select pgautofailover.start_maintenance($(cat "$root/id_2"))"
ok "the monitor assigns it" within 20 goal_is 2 wait_maintenance
ok "the node hears nothing of it" holds 2 stands 'secondary wait_maintenance'
exits 0 2 manual fsm step report
is "$out" "secondary ➜ wait_maintenance" "it is told"
exits 0 2 manual fsm step advance
is "$out" "secondary ➜ wait_maintenance" "it goes there"
ok "the monitor does not know" holds 1 stands 'secondary wait_maintenance'
ok "until the next step" within 30 steps maintenance
ok "and back" monitor_sql "select pgautofailover.stop_maintenance($(cat "$root/id_2"))"
ok "step by step" within 60 steps secondary

# a failover, led step by step
ok "the primary goes" stop_node 1 INT
ok "node 2 takes over, in steps" within 60 steps wait_primary
ok "it takes writes" sql 2 'create table stepped ()'
node_start 1
ok "its standby comes back, and it takes note, in steps" within 60 steps primary
ok "roles are exchanged" wait_pair 2 1
is "$(grep -c 'lease is over' "$root/log/node_2.log")" 0 "between steps no lease ran out"
stop_node 2
ok "they are exchanged back" within 60 state_is 1 wait_primary
exits 0 2 manual fsm step
like "$out" '^primary ➜ ' "a step of a keeper that does not run: $out"

# ---- by hand, while no keeper runs ----

exits 0 2 manual monitor active
like "$out" "^default/0 127.0.0.1:$(node_port 2) $(cat "$root/id_2"):0 [a-z]" "a report, and a goal"
exits 0 2 manual service pgctl off
exits 0 2 manual standby crash-recovery
exits 4 2 inspect pgsetup ready
exits 0 2 manual standby init 127.0.0.1 "$(node_port 1)"
like "$err" 'it was copied' "a copy"
exits 0 2 manual standby rewind 127.0.0.1 "$(node_port 1)"
like "$err" 'nothing had to be undone' "nothing to rewind"
ok "it follows" within 20 eval '[ "$(sql 1 "select count(*) from pg_stat_replication
	where state = '"'streaming'"'")" = 1 ]'
node_start 2
ok "the pair is one again" wait_pair 1 2
stop_node 2 INT
start node_2 "$autoctl" do service postgres --pgdata "$root/n2"
ok "Postgres alone" within 20 serves 2
kill -KILL "$(head -n 1 "$root/n2/postmaster.pid")"
ok "killed, it is started again" within 30 serves 2
stop_node 2
fails "and stopped with its service" 2 serves 2

# a node that is to take steps is built first
start node_3 env PG_AUTOCTL_SUSPENDED=1 "$autoctl" node run --pgdata "$root/n3" \
	--pgport "$(node_port 3)" --hostname 127.0.0.1 --listen 127.0.0.1 --name node_3 \
	--monitor "$(monitor_uri 3)" $node_access
ok "node 3 is built" within 90 grep -q 'waits for steps' "$root/log/node_3.log"
ok "... and no more" eval '[ "$(states 3)" = "catchingup secondary" ] ||
	[ "$(states 3)" = "catchingup catchingup" ]' || note "$(states 3)"
ok "in steps it gets further" within 60 eval '"$autoctl" manual fsm step --pgdata "$root/n3" &&
	[ "$(states 3)" = "secondary secondary" ]'
stop_node 3

ok "node 2 is dropped" "$autoctl" drop node --pgdata "$root/n2"
exits 1 2 manual monitor register primary
exits 0 2 manual monitor register init
like "$out" "^default/0 127.0.0.1:$(node_port 2) [0-9]*:0 init\$" "and registered anew"
exits 3 2 manual monitor register init

done_testing
