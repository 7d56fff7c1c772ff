# Verbs for tests with real Postgres: a monitor, nodes, a writer, and what befalls them.
# SPDX-License-Identifier: PostgreSQL
#
# Source it from a script in test/pg, which test/as-user (or test/run) has started:
#
#	. test/pg/lib.sh
#	cluster_init
#	monitor_up; node_up 1; node_up 2
#	ok "a pair" wait_pair 1 2
#	done_testing
#
# Nothing sleeps but the wait loops, and each of those has a deadline in seconds. Only
# processes whose pids are known are ever signalled: those started here, their
# children, and those that work in a data directory of this cluster.

. test/tap.sh

autoctl=$PWD/autoctl
writer=$PWD/test/writer
wire=$PWD/test/wire

# ---- time ----

# Milliseconds of the machine's uptime, without a process: into $now.
clock() {
	read -r now _ </proc/uptime
	now=${now%.*}${now#*.}0
	now=${now#0}
}

# The pause between two looks of a wait loop, and nothing else.
nap() {
	sleep "$1"
}

# within SECONDS COMMAND... : until it succeeds. What it prints at last is shown if not.
within() {
	clock
	within_end=$((now + $1 * 1000))
	shift
	while ! within_out=$("$@" 2>&1); do
		clock
		if [ "$now" -gt "$within_end" ]; then
			echo "in vain: $*"
			[ -z "$within_out" ] || echo "$within_out"
			diagnose
			return 1
		fi
		nap 0.1
	done
}

# ---- the cluster ----

# The programs of the newest Postgres here. (What Debian puts into PATH is a script.)
find_postgres() {
	for pgbin in "${PGBIN:-}" "$(pg_config --bindir 2>/dev/null)" \
		$(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -rV); do
		[ ! -x "$pgbin/initdb" ] || [ ! -x "$pgbin/psql" ] || return 0
	done
	pgbin=$(dirname "$(command -v initdb)")
	[ -x "$pgbin/initdb" ] || skip_all "no Postgres here"
}

port_free() {
	! grep -q ":$(printf %04X "$1") [0-9A-F]*:0000 0A" /proc/net/tcp
}

# Ten ports in a row that nobody listens on; below those the kernel gives to clients.
pick_ports() {
	while :; do
		port=$((15000 + $(od -An -N2 -tu2 /dev/urandom) % 600 * 10))
		for p in 0 1 2 3 4 5 6 7 8 9; do
			port_free $((port + p)) || continue 2
		done
		return
	done
}

# cluster_init [wired] : a folder, ports, the environment. "wired": every node is reached
# through a relay, and reaches the monitor through one (see cut_off).
cluster_init() {
	[ "$(id -u)" -ne 0 ] || skip_all "Postgres refuses root: use test/as-user"
	[ -x "$autoctl" ] || skip_all "autoctl is not built"
	find_postgres
	root=${cluster_root:-$(mktemp -d "${TMPDIR:-/tmp}/autoctl.XXXXXX")}
	[ -d "$root" ] || exit 1
	trap cluster_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir "$root/log" "$root/pid" "$root/run" "$root/s" || exit 1
	export HOME="$root" XDG_CONFIG_HOME="$root/etc" XDG_DATA_HOME="$root/var"
	export XDG_RUNTIME_DIR="$root/run" PATH="$pgbin:$PATH" PGCONNECT_TIMEOUT=3
	# sockets of test servers do not belong into /var/run
	export PG_REGRESS_SOCK_DIR="$root/s" LC_ALL=C
	unset PGDATA PGHOST PGPORT PGUSER PGDATABASE PG_AUTOCTL_MONITOR NOTIFY_SOCKET
	wired=${1:-}
	monitor_options= node_options=
	monitor_access="--auth trust --no-ssl" node_access="--auth trust --no-ssl"
	pick_ports
	mport=$port
	superuser=$(id -un)
}

node_port() {
	echo $((mport + $1))
}

node_host() {
	if [ -n "$wired" ]; then echo "127.0.1.$1"; else echo 127.0.0.1; fi
}

# Where node N finds the monitor; without N, where everybody else does.
monitor_uri() {
	host=127.0.0.1
	[ -z "$wired" ] || [ -z "${1:-}" ] || host=127.0.2.$1
	echo "postgres://autoctl_node@$host:$mport/pg_auto_failover?sslmode=prefer"
}

# Start a program of ours in the background: start NAME COMMAND...
start() {
	start_name=$1
	shift
	"$@" >>"$root/log/$start_name.log" 2>&1 </dev/null &
	pid_note "$start_name" $!
}

# Numbers are given out anew within minutes on a busy machine, so a process is known by
# when it began, too. This one is nobody's: no kernel gives out more than 2^22.
pid_nobody=4194305

# When process $1 began, in ticks since boot; into $began, "" when there is none.
process_began() {
	began=
	read -r pb_stat 2>/dev/null <"/proc/$1/stat" || return 1
	# field 22, counted behind the name, which may hold anything
	set -- ${pb_stat##*) }
	began=${20}
}

# pid_note NAME PID : remember it. pid_of NAME : while it lives, else nobody's.
pid_note() {
	if process_began "$2"; then
		echo "$2 $began" >"$root/pid/$1"
	else
		echo "$pid_nobody" >"$root/pid/$1"
	fi
}

pid_of() {
	po_pid= po_began=
	read -r po_pid po_began 2>/dev/null <"$root/pid/$1"
	if process_began "${po_pid:-$pid_nobody}" && [ "$began" = "$po_began" ]; then
		echo "$po_pid"
	else
		echo "$pid_nobody"
	fi
}

# Neither gone nor a corpse that its parent has yet to bury.
alive() {
	[ "$1" -gt 0 ] && read -r alive_stat 2>/dev/null <"/proc/$1/stat" || return 1
	case ${alive_stat##*) } in Z* | X*) return 1 ;; esac
}

gone() {
	! alive "$1"
}

# Cheap on the disk, small in memory; what is tested does not depend on it.
frugal() {
	grep -q '^fsync = off' "$1/postgresql.conf" 2>/dev/null || cat >>"$1/postgresql.conf" <<-END
		fsync = off
		shared_buffers = 16MB
		min_wal_size = 32MB
	END
}

monitor_create() {
	"$autoctl" create monitor --pgdata "$root/m" --pgport "$mport" \
		--hostname 127.0.0.1 --listen 127.0.0.1 \
		$monitor_access $monitor_options >>"$root/log/create.log" 2>&1 || {
		cat "$root/log/create.log"
		return 1
	}
	frugal "$root/m"
}

monitor_start() {
	start monitor "$autoctl" monitor run --pgdata "$root/m"
}

monitor_up() {
	[ -d "$root/m" ] || monitor_create || return 1
	monitor_start
	within 30 monitor_ready
}

monitor_ready() {
	[ "$(monitor_sql 'select count(*) from pgautofailover.formation')" -ge 1 ]
}

# Ask the monitor's process to stop, and see it gone.
monitor_down() {
	kill -TERM "$(pid_of monitor)" && within 30 gone "$(pid_of monitor)"
}

# node_create N [OPTION...] : what "create postgres" does, without running it.
node_create() {
	nc_n=$1
	shift
	timeout 90 "$autoctl" create postgres --pgdata "$root/n$nc_n" --pgport "$(node_port "$nc_n")" \
		--hostname "$(node_host "$nc_n")" --listen 127.0.0.1 --name "node_$nc_n" \
		--monitor "$(monitor_uri "$nc_n")" $node_access $node_options "$@" >>"$root/log/create.log" 2>&1
}

node_start() {
	start "node_$1" "$autoctl" node run --pgdata "$root/n$1"
}

# node_up N [OPTION...] : create and run; returns when its Postgres answers.
node_up() {
	nu_n=$1
	[ -z "$wired" ] || node_wire "$nu_n"
	node_create "$@" || {
		tail -n 20 "$root/log/create.log"
		diagnose
		return 1
	}
	frugal "$root/n$nu_n"
	node_start "$nu_n"
	within 30 serves "$nu_n"
	node_id "$nu_n" >"$root/id_$nu_n"
}

# stop_node N [TERM|INT|QUIT] : ask its keeper to stop, and see it gone.
stop_node() {
	kill "-${2:-TERM}" "$(pid_of "node_$1")" && within 90 gone "$(pid_of "node_$1")"
}

# pair_up : monitor, two nodes, primary and secondary.
pair_up() {
	ok "the monitor runs" monitor_up
	ok "node 1 is created" node_up 1
	ok "node 1 is alone and writable" wait_state 1 single 30
	ok "node 2 is created" node_up 2
	ok "node 1 is primary, node 2 secondary" wait_pair 1 2
}

# nodes_up N : monitor, N nodes, one primary, the others secondaries.
nodes_up() {
	pair_up
	nsu_n=2
	while [ "$nsu_n" -lt "$1" ]; do
		nsu_n=$((nsu_n + 1))
		ok "node $nsu_n is created" node_up "$nsu_n"
	done
	ok "one primary, $(($1 - 1)) secondaries" wait_settled "$1" 60
}

# strict DIR : of all that initdb trusts, the local socket and the tests' own writer are
# left, as somebody may have edited it.
strict() {
	sed -i '/^host .* trust$/d' "$1/pg_hba.conf"
	echo "host postgres $superuser 127.0.0.1/32 trust" >>"$1/pg_hba.conf"
}

# ---- looking ----

# One value or one line each, "|" between columns.
psql_at() {
	psql_port=$1 psql_db=$2
	shift 2
	psql -XAtq -h "${psql_host:-127.0.0.1}" -p "$psql_port" -U "$superuser" -d "$psql_db" \
		-v ON_ERROR_STOP=1 "$@"
}

monitor_sql() {
	psql_at "$mport" pg_auto_failover -c "$1"
}

# sql N 'query' : on node N itself, past any relay.
sql() {
	psql_at "$(node_port "$1")" postgres -c "$2"
}

serves() {
	sql "$1" 'select 1'
}

# "reported assigned" of node N.
states() {
	monitor_sql "select reportedstate || ' ' || goalstate from pgautofailover.node
		where nodename = 'node_$1'"
}

state_is() {
	state_now=$(states "$1") || return 1
	echo "node_$1 is $state_now"
	[ "$state_now" = "$2 $2" ]
}

goal_is() {
	state_now=$(states "$1") || return 1
	echo "node_$1 is $state_now"
	[ "${state_now#* }" = "$2" ]
}

# wait_state N STATE SECONDS : reported and assigned.
wait_state() {
	within "$3" state_is "$1" "$2"
}

wait_goal() {
	within "$3" goal_is "$1" "$2"
}

# wait_pair PRIMARY SECONDARY [SECONDS]
wait_pair() {
	wait_state "$1" primary "${3:-60}" && wait_state "$2" secondary "${3:-60}"
}

# "1 primary, N - 1 secondaries", and nothing else in the group.
settled() {
	settled_now=$(monitor_sql "select
		count(*) filter (where reportedstate = 'primary' and goalstate = 'primary') ||
		' primary, ' || count(*) filter (where reportedstate = 'secondary' and
		goalstate = 'secondary') || ' secondary of ' || count(*)
		from pgautofailover.node") || return 1
	echo "$settled_now"
	[ "$settled_now" = "1 primary, $(($1 - 1)) secondary of $1" ]
}

# wait_settled NODES SECONDS
wait_settled() {
	within "$2" settled "$1"
}

# The monitor hears from all nodes and finds them well: after it was away its tables still
# say what was.
heard() {
	[ "$(monitor_sql "select count(*) = count(*) filter (where health = 1 and
		reporttime > now() - interval '2 s') from pgautofailover.node")" = t ]
}

# holds SECONDS COMMAND... : it succeeds each time it is asked in this time.
holds() {
	clock
	holds_end=$((now + $1 * 1000))
	shift
	while [ "$now" -lt "$holds_end" ]; do
		"$@" || return 1
		nap 0.2
		clock
	done
}

# The number of the node that is, or is to be, the writer.
writer_node() {
	monitor_sql "select substring(nodename from '[0-9]+\$') from pgautofailover.node
		where goalstate in ('single', 'primary', 'wait_primary', 'apply_settings')"
}

# catch_goal N STATE SECONDS : as wait_goal, for goals that pass by within milliseconds.
# The server itself looks, again and again.
catch_goal() {
	monitor_sql "do \$\$ begin
		for i in 1 .. $3 * 500 loop
			if (select goalstate = '$2' from pgautofailover.node
				where nodename = 'node_$1') then return; end if;
			perform pg_sleep(0.002);
		end loop;
		raise 'node_$1 never had the goal $2';
		end \$\$"
}

# event_id : the newest event. was_goal N STATE EVENT : node N had this goal after that event.
event_id() {
	monitor_sql 'select coalesce(max(eventid), 0) from pgautofailover.event'
}

was_goal() {
	[ "$(monitor_sql "select count(*) > 0 from pgautofailover.event
		where nodename = 'node_$1' and goalstate = '$2' and eventid > $3")" = t ]
}

node_id() {
	monitor_sql "select nodeid from pgautofailover.node where nodename = 'node_$1'"
}

# json TEXT '{path,to,value}' : the value, read by a real reader of JSON.
json() {
	psql_at "$mport" pg_auto_failover -v text="$1" -v path="$2" <<-'END'
		select :'text'::jsonb #>> :'path'
	END
}

show() {
	"$autoctl" show "$@" --monitor "$(monitor_uri)"
}

# set_node N PROPERTY VALUE
set_node() {
	timeout 90 "$autoctl" set node "$2" "$3" --name "node_$1" --monitor "$(monitor_uri)"
}

set_nss() {
	timeout 90 "$autoctl" set formation number-sync-standbys "$1" --monitor "$(monitor_uri)"
}

perform() {
	timeout 120 "$autoctl" perform "$@" --monitor "$(monitor_uri)"
}

# A connection string for applications: all nodes, whoever takes writes.
app_uri() {
	hosts=
	for au_n in ${*:-1 2}; do
		hosts=$hosts${hosts:+,}127.0.0.1:$(node_port "$au_n")
	done
	echo "postgres://$superuser@$hosts/postgres?target_session_attrs=read-write&sslmode=disable"
}

# The pid of node N's postmaster (its data directory may be named instead), or nobody's.
postmaster_of() {
	case $1 in
	/*) pm_dir=$1 ;;
	*) pm_dir=$(readlink -f "$root/n$1") ;;
	esac
	pm_pid=0
	read -r pm_pid _ 2>/dev/null <"$pm_dir/postmaster.pid"
	if [ "${pm_pid:-0}" -gt 0 ] && [ "$(readlink "/proc/$pm_pid/cwd")" = "$pm_dir" ]; then
		echo "$pm_pid"
	else
		echo "$pid_nobody"
	fi
}

# Every process that works in this data directory, orphans of a postmaster included.
processes_in() {
	# one process looks at all of them: there may be hundreds
	find /proc/[0-9]*/cwd -maxdepth 0 -lname "$(readlink -f "$1")" 2>/dev/null | cut -d / -f 3
}

# A process, its children, their children.
family_of() {
	[ "$1" -ne "$pid_nobody" ] || return 0
	echo "$1"
	for fo_child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
		# in a subshell, for these variables are everybody's
		(family_of "$fo_child")
	done
}

# What makes up the host of node N: keeper, its workers, Postgres; the keeper first.
host_processes() {
	{
		family_of "$(pid_of "node_$1")"
		processes_in "$root/n$1"
	} | awk '!seen[$0]++'
}

# ---- what befalls it ----

kill_postmaster() {
	kill_pid=$(postmaster_of "$1")
	[ "$kill_pid" -ne "$pid_nobody" ] || {
		echo "node $1 has no postmaster"
		return 1
	}
	kill -KILL "$kill_pid"
}

kill_keeper() {
	kill -KILL "$(pid_of "node_$1")"
}

# Every process of the node at once: what clients see when a host loses power and its
# address is taken over by a living machine.
kill_host() {
	kill_pids=$(host_processes "$1")
	[ -n "$kill_pids" ] || return 1
	kill -KILL $kill_pids 2>/dev/null
	within 10 no_process "$1"
}

no_process() {
	for np in $(host_processes "$1"); do
		! alive "$np" || return 1
	done
}

# The monitor's process and its Postgres, all at once.
kill_monitor() {
	kill -KILL $(monitor_processes) 2>/dev/null
	within 10 monitor_dead
}

monitor_processes() {
	family_of "$(pid_of monitor)"
	processes_in "$root/m"
}

monitor_dead() {
	for md in $(monitor_processes); do
		! alive "$md" || return 1
	done
}

# lag N, lag_ends N : node N receives nothing, and nobody is told; and receives again.
lag() {
	lag_pid=$(sql "$1" 'select pid from pg_stat_wal_receiver')
	[ "${lag_pid:-0}" -gt 0 ] && kill -STOP "$lag_pid"
	pid_note "lag_$1" "${lag_pid:-$pid_nobody}"
}

lag_ends() {
	kill -CONT "$(pid_of "lag_$1")"
}

# bulk N NAME : on node N, a table of more WAL than sockets hold.
bulk() {
	sql "$1" "create table $2 as select i, repeat('x', 200) t
		from generate_series(1, 60000) i"
}

restart_host() {
	node_start "$1"
}

# wire for node N: its Postgres at 127.0.1.N, its way to the monitor at 127.0.2.N.
node_wire() {
	[ ! -S "$root/s/wire_$1" ] || return 0
	start "wire_$1" "$wire" run "$root/s/wire_$1" \
		"in=127.0.1.$1:$(node_port "$1"),127.0.0.1:$(node_port "$1")" \
		"out=127.0.2.$1:$mport,127.0.0.1:$mport"
	within 5 test -S "$root/s/wire_$1"
}

# cut_off N, heal N : the network of node N: who comes to it, its way to the monitor, and
# its replication from others. Applications still reach it (see app_uri).
cut_off() {
	"$wire" cut "$root/s/wire_$1" in && "$wire" cut "$root/s/wire_$1" out
	for co_other in "$root"/s/wire_*; do
		[ "$co_other" = "$root/s/wire_$1" ] || "$wire" cut "$co_other" in \
			"pgautofailover_standby_$(cat "$root/id_$1")"
	done
}

heal() {
	"$wire" heal "$root/s/wire_$1" out
	for heal_wire in "$root"/s/wire_*; do
		"$wire" heal "$heal_wire" in
	done
}

# ---- the writer ----

# writer_start [NODE...] : write through these nodes.
writer_start() {
	app_uri "$@" >"$root/writer_uri"
	start writer "$writer" run "$root/acks" "$(cat "$root/writer_uri")" 4 10
	within 10 writing
}

# More rows are acknowledged than a moment ago.
writing() {
	writing_before=$(wc -l <"$root/acks" 2>/dev/null || echo 0)
	nap 0.05
	[ "$(wc -l <"$root/acks" 2>/dev/null || echo 0)" -gt "$writing_before" ]
}

# More rows are acknowledged within a second or so.
one_acknowledges() {
	writing || writing || writing
}

nobody_acknowledges() {
	! one_acknowledges
}

writer_stop() {
	kill -TERM "$(pid_of writer)" && within 10 gone "$(pid_of writer)"
}

# Every acknowledged row is there.
writer_verify() {
	"$writer" verify "$root/acks" "$(cat "$root/writer_uri")" 30
}

# event NAME : what is measured from now on belongs to it.
event() {
	"$writer" mark "$root/acks" "$1"
}

# gap_below NAME MS : the longest time without a write in that event.
gap_below() {
	gap=$("$writer" gap "$root/acks" "$1") || return 1
	echo "gap of $1: $gap ms"
	[ "$gap" -lt "$2" ]
}

# The gaps, as comments.
gaps() {
	note "longest time without a write, ms: $("$writer" gaps "$root/acks" |
		awk '{ printf "%s%s %s", sep, $2, $1; sep = ", " }')"
}

# Does node N acknowledge a write? A commit that waits for a standby does not count.
takes_write() {
	timeout 2 psql -XAtq -h 127.0.0.1 -p "$(node_port "$1")" -U "$superuser" \
		-d postgres -c "create table if not exists one_writer (at timestamptz)" \
		-c "insert into one_writer values (now())" >/dev/null 2>&1
}

# one_writer [NODE...] : at most one of them acknowledges a write.
one_writer() {
	ow_pids=
	for ow_n in ${*:-1 2}; do
		(takes_write "$ow_n" && echo "$ow_n" >"$root/takes.$ow_n") &
		ow_pids="$ow_pids $!"
	done
	wait $ow_pids
	ow_who=$(cat "$root"/takes.* 2>/dev/null | tr '\n' ' ')
	rm -f "$root"/takes.*
	echo "writes are taken by: ${ow_who:-nobody}"
	[ "$(echo "$ow_who" | wc -w)" -le 1 ]
}

# ---- the end ----

# What there is to see; once, for what fails later mostly fails for the same reason.
diagnose() {
	[ ! -e "$root/diagnosed" ] || return 0
	touch "$root/diagnosed"
	echo "-- states"
	timeout 5 "$autoctl" show state --monitor "$(monitor_uri)" 2>&1
	echo "-- events"
	timeout 5 "$autoctl" show events --count 60 --monitor "$(monitor_uri)" 2>&1
	for d_log in "$root"/log/*.log "$root"/n*/log/*.log "$root"/n*/startup.log; do
		[ -s "$d_log" ] || continue
		echo "-- ${d_log#"$root"/}"
		tail -n "${DIAGNOSE_LINES:-30}" "$d_log"
	done
}

# Nothing of this cluster goes on running, nothing of it stays on the disk. KEEP_LOGS
# names a folder that gets the logs of a failed test.
cluster_end() {
	[ -n "${root:-}" ] && [ -d "$root" ] || return 0
	if [ -n "${KEEP_LOGS:-}" ] && [ "${tap_failed:-1}" -ne 0 ]; then
		ce_to=$KEEP_LOGS/$(basename "$0").$$
		mkdir -p "$ce_to" && cp "$root"/log/* "$ce_to/"
		rm -f "$root/diagnosed"
		DIAGNOSE_LINES=1000 diagnose >"$ce_to/diagnose"
		for ce_n in "$root"/n* "$root/m"; do
			cat "$ce_n"/log/* "$ce_n/startup.log" \
				>"$ce_to/postgres_${ce_n##*/}.log" 2>/dev/null
		done
	fi
	for ce_turn in 1 2 3; do
		ce_pids=
		for ce_file in "$root"/pid/*; do
			[ -e "$ce_file" ] || continue
			for ce_pid in $(family_of "$(pid_of "${ce_file##*/}")"); do
				belongs "$ce_pid" && ce_pids="$ce_pids $ce_pid"
			done
		done
		for ce_dir in "$root"/n* "$root/m" "$root"/x*; do
			ce_pids="$ce_pids $(processes_in "$ce_dir")"
		done
		ce_pids=$(echo $ce_pids)
		[ -n "$ce_pids" ] || break
		kill -KILL $ce_pids 2>/dev/null
		nap 0.1
	done
	rm -rf "$root"
}

# A pid from a file may have been given to somebody else: ours mention our folder.
belongs() {
	tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF "$root" ||
		case $(readlink "/proc/$1/cwd" 2>/dev/null) in "$root"*) true ;; *) false ;; esac
}
