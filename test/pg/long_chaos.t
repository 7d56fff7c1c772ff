#!/bin/sh
# Rounds of random trouble for two to four nodes, up to three pieces of it at once. SEED=N
# repeats them, ROUNDS=N sets how many, NODES=N how many nodes.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

seed=${SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
rounds=${ROUNDS:-12}
nodes=${NODES:-$((seed % 3 + 2))}
all=$(seq "$nodes")
dice=$seed

# roll N : 0 to N - 1 into $rolled, the same for the same seed.
roll() {
	dice=$(((dice * 1103515245 + 12345) % 2147483648))
	rolled=$((dice / 65536 % $1))
}

# One piece of trouble for node $t_node, and what ends it.
trouble() {
	roll "$nodes"
	t_node=$((rolled + 1)) t_end=true
	roll 18
	case $rolled in
	0) t_name=postmaster_of_$t_node t_do="kill_postmaster $t_node" ;;
	1 | 2) t_name=host_of_$t_node t_do="kill_host $t_node" ;;
	3) t_name=keeper_of_$t_node t_do="kill_keeper $t_node" ;;
	4) t_name=switchover t_do="perform switchover --wait 5" ;;
	5) t_name=promotion_of_$t_node t_do="perform promotion --name node_$t_node --wait 5" ;;
	6) t_name=cut_$t_node t_do="cut_off $t_node" t_end="heal $t_node" ;;
	7) t_name=keeper_frozen_$t_node t_do="freeze $t_node STOP" t_end="freeze $t_node CONT" ;;
	8) t_name=monitor t_do=kill_monitor t_end=monitor_back ;;
	9) t_name=lag_$t_node t_do="lag $t_node" t_end="lag_ends $t_node" ;;
	10) t_name=preferred_$t_node t_do="prefer $t_node" ;;
	11) t_name=paused_$t_node t_do="pause $t_node" ;;
	12) t_name=host_frozen_$t_node t_do="freeze_host $t_node" t_end="thaw_host $t_node" ;;
	13 | 14)
		t_name=maintenance_of_$t_node t_do="maintenance enable $t_node --allow-failover"
		t_end="maintenance_ends $t_node"
		;;
	15) t_name=dropped_$t_node t_do="drop $t_node" t_end="added $t_node" ;;
	16)
		t_name=quorum_without_$t_node t_do="quorum $t_node false"
		t_end="quorum $t_node true"
		;;
	17) roll 3 && t_name=number_sync_standbys_$rolled t_do="set_nss $rolled" ;;
	esac
}

freeze() {
	kill "-$2" "$(pid_of "node_$1")"
}

# As a machine that is suspended, and goes on where it was: a former writer, too.
freeze_host() {
	host_processes "$1" >"$root/frozen_$1"
	kill -STOP $(cat "$root/frozen_$1")
}

thaw_host() {
	kill -CONT $(cat "$root/frozen_$1")
}

pause() {
	sql "$1" 'select pg_wal_replay_pause()'
}

# The monitor may have been killed twice.
monitor_back() {
	alive "$(pid_of monitor)" || monitor_start
}

prefer() {
	roll 100
	timeout 5 "$autoctl" set node candidate-priority $((rolled + 1)) --name "node_$1" \
		--monitor "$(monitor_uri)"
}

quorum() {
	timeout 5 "$autoctl" set node replication-quorum "$2" --name "node_$1" \
		--monitor "$(monitor_uri)"
}

# What an operator asks for is asked for again until it is done: the group may be busy.
maintenance() {
	timeout 20 "$autoctl" "$1" maintenance --pgdata "$root/n$2" ${3:-}
}

in_maintenance() {
	case $(states "$1") in *maintenance*) ;; *) false ;; esac
}

maintenance_ends() {
	within 90 eval "! in_maintenance $1 || { maintenance disable $1; false; }"
}

# Somebody drops it and comes again with the same name, whatever has become of its data.
drop() {
	timeout 40 "$autoctl" drop node --name "node_$1" --monitor "$(monitor_uri)"
}

added() {
	[ -z "$(states "$1")" ] || return 0
	within 30 gone "$(pid_of "node_$1")"
	within 60 eval "[ -n \"\$(states $1)\" ] || { node_create $1; false; }"
	node_id "$1" >"$root/id_$1"
}

# Wait as long as the dice say, so that trouble meets what earlier trouble began.
linger() {
	roll 20
	clock
	linger_end=$((now + 100 * rolled))
	while [ "$now" -lt "$linger_end" ]; do
		nap 0.05
		clock
	done
}

all_run() {
	for n in $all; do
		alive "$(pid_of "node_$n")" || restart_host "$n"
	done
}

# A standby whose replay an operator has paused would not show what it has.
no_pause() {
	for n in $all; do
		sql "$n" "select pg_wal_replay_resume() where pg_is_in_recovery()" || return 1
	done
}

# Nothing is in progress, nothing is awaited from anybody; it may be too much of late.
at_rest() {
	explain=$(timeout 10 "$autoctl" explain --json --monitor "$(monitor_uri)") || return 1
	echo "$explain"
	case $(json "$explain" '{explain}') in
	"nothing is in progress" | "the primary was replaced again and again"*) ;;
	*) return 1 ;;
	esac
	! echo "$explain" | grep -q '"awaited": *"[^"]'
}

# Every decision that was recorded is decided again.
replayed() {
	timeout 60 "$autoctl" fsm replay "$root/snapshots.log" >"$root/replay" || {
		grep -A9 DIFFERENT "$root/replay"
		return 1
	}
}

cluster_init wired
export PG_AUTOCTL_SNAPSHOTS="$root"
nodes_up "$nodes"
ok "an application writes" writer_start $all
note "SEED=$seed ROUNDS=$rounds NODES=$nodes"

round=0
while [ $((round += 1)) -le "$rounds" ]; do
	roll 3
	pieces=$((rolled + 1)) names= ends=
	while [ $((pieces -= 1)) -ge 0 ]; do
		trouble
		event "$t_name"
		$t_do >>"$root/log/trouble.log" 2>&1
		linger
		names="$names $t_name" ends="$t_end;$ends"
	done
	note "round $round:$names"
	ok "round $round: at most one takes writes" one_writer $all
	# the monitor and hosts first, for what else is to be ended may wait for them
	monitor_back >>"$root/log/trouble.log" 2>&1
	within 30 monitor_ready >/dev/null
	for n in $all; do
		kill -CONT $(host_processes "$n") 2>/dev/null
	done
	all_run
	eval "$ends" >>"$root/log/trouble.log" 2>&1
	all_run
	clock
	began=$now
	ok "round $round (SEED=$seed):$names: one primary, $((nodes - 1)) secondaries" \
		wait_settled "$nodes" 120 || break
	clock
	note "round $round: settled after $((now - began)) ms"
	ok "round $round: writes go on" within 20 writing
	ok "round $round: replay goes on" within 20 no_pause
	ok "round $round: explain has nothing to say" within 20 at_rest
done

ok "what was decided is decided again" replayed
ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost (SEED=$seed)" writer_verify
done_testing
