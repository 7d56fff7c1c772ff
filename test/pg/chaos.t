#!/bin/sh
# Rounds of random trouble. SEED=N repeats them, ROUNDS=N sets how many.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

seed=${SEED:-1} # make check tells the same story each time; check-long others
rounds=${ROUNDS:-6}
dice=$seed

# roll N : 0 to N - 1 into $rolled, the same for the same seed.
roll() {
	dice=$(((dice * 1103515245 + 12345) % 2147483648))
	rolled=$((dice / 65536 % $1))
}

# One piece of trouble, and what ends it.
trouble() {
	roll 2
	t_node=$((rolled + 1))
	roll 8
	case $rolled in
	0) t_name=postmaster_of_$t_node t_do="kill_postmaster $t_node" t_end=true ;;
	1) t_name=host_of_$t_node t_do="kill_host $t_node" t_end="restart_host $t_node" ;;
	2) t_name=keeper_of_$t_node t_do="kill_keeper $t_node" t_end="restart_host $t_node" ;;
	3) t_name=switchover t_do="perform switchover" t_end=true ;;
	4) t_name=cut_$t_node t_do="cut_off $t_node" t_end="heal $t_node" ;;
	5) t_name=keeper_frozen_$t_node t_do="freeze $t_node STOP" t_end="freeze $t_node CONT" ;;
	7) t_name=host_frozen_$t_node t_do="freeze_host $t_node" t_end="thaw_host $t_node" ;;
	6) t_name=monitor t_do=kill_monitor t_end=monitor_start ;;
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

# Wait as long as the dice say, so that trouble meets what earlier trouble began.
linger() {
	roll 30
	clock
	linger_end=$((now + 100 * rolled))
	while [ "$now" -lt "$linger_end" ]; do
		nap 0.05
		clock
	done
}

cluster_init wired
pair_up
ok "an application writes" writer_start
note "SEED=$seed ROUNDS=$rounds"

round=0
while [ $((round += 1)) -le "$rounds" ]; do
	trouble
	first=$t_name first_end=$t_end
	event "$t_name"
	$t_do >/dev/null 2>&1
	linger
	roll 2
	second=nothing second_end=true
	if [ "$rolled" = 1 ]; then
		trouble
		second=$t_name second_end=$t_end
		# the same again would only undo what ends the first
		if [ "$second" != "$first" ]; then
			event "$t_name"
			$t_do >/dev/null 2>&1
			linger
		else
			second_end=true
		fi
	fi
	note "round $round: $first, then $second"
	ok "round $round: at most one takes writes" one_writer
	$first_end >/dev/null 2>&1
	$second_end >/dev/null 2>&1
	ok "round $round (SEED=$seed): $first, $second: a pair again" wait_settled 2 120 || break
	ok "round $round: writes go on" within 20 writing
done

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost (SEED=$seed)" writer_verify
done_testing
