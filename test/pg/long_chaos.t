#!/bin/sh
# Rounds of random trouble for three nodes, up to three pieces of it at once. SEED=N
# repeats them, ROUNDS=N sets how many.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

seed=${SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
rounds=${ROUNDS:-12}
dice=$seed

# roll N : 0 to N - 1 into $rolled, the same for the same seed.
roll() {
	dice=$(((dice * 1103515245 + 12345) % 2147483648))
	rolled=$((dice / 65536 % $1))
}

# One piece of trouble for node $t_node, and what ends it.
trouble() {
	roll 3
	t_node=$((rolled + 1))
	roll 12
	case $rolled in
	0) t_name=postmaster_of_$t_node t_do="kill_postmaster $t_node" t_end=true ;;
	1 | 2) t_name=host_of_$t_node t_do="kill_host $t_node" t_end=true ;;
	3) t_name=keeper_of_$t_node t_do="kill_keeper $t_node" t_end=true ;;
	4) t_name=switchover t_do="perform switchover --wait 5" t_end=true ;;
	5) t_name=promotion_of_$t_node t_do="perform promotion --name node_$t_node --wait 5" t_end=true ;;
	6) t_name=cut_$t_node t_do="cut_off $t_node" t_end="heal $t_node" ;;
	7) t_name=keeper_frozen_$t_node t_do="freeze $t_node STOP" t_end="freeze $t_node CONT" ;;
	8) t_name=monitor t_do=kill_monitor t_end=monitor_back ;;
	9) t_name=lag_$t_node t_do="lag $t_node" t_end="lag_ends $t_node" ;;
	10) t_name=preferred_$t_node t_do="prefer $t_node" t_end=true ;;
	11) t_name=paused_$t_node t_do="pause $t_node" t_end=true ;;
	esac
}

freeze() {
	kill "-$2" "$(pid_of "node_$1")"
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
	for n in 1 2 3; do
		alive "$(pid_of node_$n)" || restart_host $n
	done
}

# A standby whose replay an operator has paused would not show what it has.
no_pause() {
	for n in 1 2 3; do
		sql $n "select pg_wal_replay_resume() where pg_is_in_recovery()" || return 1
	done
}

cluster_init wired
nodes_up 3
ok "an application writes" writer_start 1 2 3
note "SEED=$seed ROUNDS=$rounds"

round=0
while [ $((round += 1)) -le "$rounds" ]; do
	roll 3
	pieces=$((rolled + 1)) names= ends=
	while [ $((pieces -= 1)) -ge 0 ]; do
		trouble
		event "$t_name"
		$t_do >/dev/null 2>&1
		linger
		names="$names $t_name" ends="$t_end;$ends"
	done
	note "round $round:$names"
	ok "round $round: at most one takes writes" one_writer 1 2 3
	eval "$ends" >/dev/null 2>&1
	all_run
	ok "round $round (SEED=$seed):$names: one primary, two secondaries" \
		wait_settled 3 120 || break
	ok "round $round: writes go on" within 20 writing
	ok "round $round: replay goes on" within 20 no_pause
done

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost (SEED=$seed)" writer_verify
done_testing
