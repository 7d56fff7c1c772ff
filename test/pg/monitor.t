#!/bin/sh
# The monitor alone: made twice, killed, replaced, on a database that is not its own.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init

log_says() {
	grep -Eq -e "$2" "$root/log/$1.log"
}

# pid of the postmaster of the monitor's own Postgres
mpm() {
	postmaster_of "$root/m"
}

epoch() {
	monitor_sql "select epoch from pgautofailover.monitor"
}

epoch_is() {
	[ "$(epoch)" = "$1" ]
}

# a report as a keeper sends it: report ID SEEN STATE POSTGRES [LSN]
report() {
	psql -XAtq "$(monitor_uri)" -c "select goal, goal_seq, term, gen from
		pgautofailover.keeper_report($1, 0, $2, '$3', '$4', false, true, 1,
		'${5:-0/3000000}', 0, 0, '0/0', 0, '0/0', ${6:-0}, 0, 0, false, 'none', 0, 0, '',
		'', '', '', '[]')"
}

register() {
	psql -XAtq "$(monitor_uri)" -c "select assigned_node_id from
		pgautofailover.register_node('default', '127.0.0.1', $1, 'postgres', '$2',
		candidate_priority => 50)"
}

# goal of node NAME, for within
has_goal() {
	[ "$(monitor_sql "select goalstate from pgautofailover.node where nodename = '$1'")" = "$2" ]
}

# the sqlstate of what goes wrong, for a command on the host of a node: sqlstate SQL
sqlstate() {
	PGOPTIONS="-c pgautofailover.node=here" psql -XAtq "$(monitor_uri)" -v VERBOSITY=sqlstate -c "$1" 2>&1 |
		sed -n 's/^ERROR:  //p'
}

# ---- made ----

out=$(monitor_create --run 2>&1)
is "$out" "" "create monitor prints nothing"
ok "its settings are there" [ -f "$root/etc/pg_autoctl$root/m/pg_autoctl.cfg" ]
is "$(mpm)" "$pid_nobody" "without --run its Postgres is stopped again"
before=$(cd "$root/m" && cat postgresql.conf pg_hba.conf postgresql-auto-failover.conf | cksum)
ok "create monitor again does no harm" "$autoctl" create monitor --pgdata "$root/m" \
	--formation other --formation third
is "$(cd "$root/m" && cat postgresql.conf pg_hba.conf postgresql-auto-failover.conf | cksum)" \
	"$before" "and changes no settings of Postgres"
ok "the monitor runs" monitor_up
is "$(monitor_sql "select string_agg(formationid, ' ' order by 1) from pgautofailover.formation")" \
	"default other third" "with the formations that were asked for"
is "$(monitor_sql "select count(*) > 20 from pgautofailover.state")" t "and the list of states"
is "$(monitor_sql "select count(*) > 20 from pgautofailover.fsm")" t "and the list of rules"
is "$(monitor_sql "select count(*) > 20 from pgautofailover.dump_fsm_edges()")" t \
	"and the list of edges"
is "$(monitor_sql "select count(*) from pgautofailover.check_fsm_reachability((select
	jsonb_agg(jsonb_build_object('current', current_state, 'assigned', assigned_state))
	from pgautofailover.dump_fsm_edges() where pos <> 5))")" 1 "one that a keeper lacks is found"
fails "a second process for the same directory is refused" 12 \
	"$autoctl" monitor run --pgdata "$root/m"
fails "and so is create monitor" 3 "$autoctl" create monitor --pgdata "$root/m"
fails "another monitor on a port in use is refused" 3 "$autoctl" create monitor \
	--pgdata "$root/m2" --pgport "$mport" --auth trust --no-ssl
ok "and leaves no directory" [ ! -e "$root/m2" ]

# ---- decisions ----

n1=$(register 1 node_a)
n2=$(register 2 node_b)
ok "the first node is to be single" within 5 has_goal node_a single
ok "the second one waits" within 5 has_goal node_b wait_standby
like "$(report "$n1" 1 init down)" '^single\|1\|1\|1$' "a report is answered with the goal"
like "$(report "$n1" 1 single rw 0/3000000 1)" '^[a-z_]+\|' "node_a is single"
like "$(report "$n2" 1 wait_standby down)" '^[a-z_]+\|' "node_b waits"
ok "node_a is told to take a standby" within 5 has_goal node_a wait_primary
is "$(monitor_sql "select count(*) from pgautofailover.event g join pgautofailover.event r
	on g.eventid > r.eventid and g.eventtime < r.eventtime + interval '0.5 s'
	where r.nodeid = $n2 and r.reportedstate = 'wait_standby' and r.goalstate = 'wait_standby'
	and g.nodeid = $n1 and g.goalstate = 'wait_primary'")" 1 "within half a second"
is "$(sqlstate "select pgautofailover.perform_failover()")" XX000 "no failover: not stable"
is "$(sqlstate "select pgautofailover.perform_failover('nope')")" XX000 "nor in no formation"
is "$(sqlstate "select pgautofailover.perform_promotion('default', 'nope')")" 42704 \
	"no promotion of nobody"
is "$(sqlstate "select pgautofailover.set_node_candidate_priority('default', 'node_b', 101)")" \
	22023 "no priority of 101"
is "$(sqlstate "select pgautofailover.remove_node(4711)")" 42704 "nobody cannot be removed"
is "$(sqlstate "select pgautofailover.stop_maintenance($n2)")" 55000 "there is no maintenance to stop"
is "$(sqlstate "select pgautofailover.start_maintenance('127.0.0.1', 4711)")" 42704 \
	"nor anybody at that port"
is "$(sqlstate "select pgautofailover.set_node_candidate_priority(1, '127.0.0.1', 2, -1)")" 22023 \
	"nor a priority of -1, in the old way"
is "$(sqlstate "select pgautofailover.register_node('nope', 'h', 1, 'postgres')")" 42P17 \
	"no registration in no formation"
is "$(sqlstate "select pgautofailover.register_node('default', '127.0.0.1', 1, 'postgres')")" \
	23505 "nor twice at one address"
is "$(sqlstate "select pgautofailover.register_node('other', 'h', 1, 'postgres',
	candidate_priority => 0)")" 55006 "nor first with priority zero"
is "$(sqlstate "begin; select pgautofailover.set_node_system_identifier($n1, 1);
	select pgautofailover.set_node_system_identifier($n2, 2); commit")" 23P01 \
	"nor another database cluster in one group"
is "$(sqlstate "select goal from pgautofailover.keeper_report(4711, 0, 0, 'init', 'down', false,
	false, 1, '0/0', 0, 0, '0/0', 0, '0/0', 0, 0, 0, false, 'none', 0, 0, '', '', '', '', '[]')")" \
	42704 "nobody cannot report"

# settings change while it runs
"$autoctl" config set ssl.sslmode require --pgdata "$root/m" >/dev/null
kill -HUP "$(pid_of monitor)"
ok "SIGHUP: it says what has changed" within 5 log_says monitor 'ssl.sslmode: "prefer" -> "require"'

# a registration whose answer was lost is simply made again
n9=$(register 6009 node_9)
is "$(register 6009 node_9)" "$n9" "registered again before it has anything: the same node"
monitor_sql "delete from pgautofailover.node where nodeid = $n9" >/dev/null

# only the last session that said hello reports: what an older one sent comes too late
psql -XAtq "$(monitor_uri)" <<-END >/dev/null &
	select pgautofailover.keeper_hello($n1);
	\! touch "$root/held"; while [ ! -e "$root/over" ]; do sleep 0.05; done
END
holder=$!
ok "a session says hello" within 10 test -e "$root/held"
is "$(sqlstate "select goal from pgautofailover.keeper_report($n1, 0, 0, 'init', 'down', false,
	false, 1, '0/0', 0, 0, '0/0', 0, '0/0', 0, 0, 0, false, 'none', 0, 0, '', '', '', '', '[]')")" \
	55000 "another session's report is refused"
touch "$root/over"
wait $holder
is "$(sqlstate "select goal from pgautofailover.keeper_report($n1, 0, 0, 'init', 'down', false,
	false, 1, '0/0', 0, 0, '0/0', 0, '0/0', 0, 0, 0, false, 'none', 0, 0, '', '', '', '', '[]')")" \
	"" "until that session has ended"

# who may what
is "$(sqlstate "update pgautofailover.node set goalstate = 'primary'")" 42501 \
	"a node cannot write to the tables"
is "$(sqlstate "select pgautofailover.add_event($n1, 'lie')")" 42501 "nor make events"
monitor_sql "insert into pgautofailover.setting values ('node_operations', 'off')" >/dev/null
is "$(sqlstate "select pgautofailover.remove_node($n2)")" 42501 \
	"nor operate where that is switched off"
monitor_sql "delete from pgautofailover.setting" >/dev/null

# a heartbeat is cheap: nothing but the row in place, and nobody woken
seq=$(monitor_sql "select goal_seq from pgautofailover.node where nodeid = $n1")
report "$n1" "$seq" single rw 0/3000000 1 >/dev/null
report "$n1" "$seq" single rw 0/3000000 1 >/dev/null
beats=$(psql -XAtq "$(monitor_uri)" <<-END
	listen pgautofailover_wake;
	$(i=0
	while [ $i -lt 20 ]; do
		echo "select null from pgautofailover.keeper_report($n1, 0, $seq, 'single', 'rw', false,
		true, 1, '0/3000000', 0, 0, '0/0', 0, '0/0', 1, 0, 0, false, 'none', 0, 0, '', '', '', '',
		'[]');"
		i=$((i + 1))
	done)
END
)
# the first one comes from another session, which is news
is "$(echo "$beats" | grep -c 'pgautofailover_wake')" 1 "heartbeats wake nobody"
# a session counts what it did when it ends, which psql does not wait for
in_place() {
	[ "$(monitor_sql "select pg_stat_get_tuples_hot_updated(
		'pgautofailover.node'::regclass) >= 15")" = t ]
}
ok "and are updates in place" within 10 in_place

# ---- processes come and go ----

e=$(epoch)
pm=$(mpm)
kill -KILL "$(pid_of monitor)" && within 5 gone "$(pid_of monitor)"
is "$(mpm)" "$pm" "the monitor is killed, its Postgres goes on"
monitor_start
ok "a new process decides" within 10 epoch_is $((e + 1))
is "$(mpm)" "$pm" "and has adopted the same Postgres"
kill -KILL "$pm" && within 5 gone "$pm"
ok "Postgres is killed, and comes back" within 15 eval '[ "$(mpm)" -ne "$pid_nobody" ] && epoch_is $((e + 2))'

# a request that nobody decides
kill -STOP "$(pid_of monitor)"
"$autoctl" drop node --name node_b --monitor "$(monitor_uri)" >"$root/out" 2>&1
is "$?" 12 "the process stands still: a command does not wait for ever"
like "$(cat "$root/out")" 'not decided.*15 s' "and says so"
is "$(monitor_sql "select outcome from pgautofailover.request where kind = 'remove'")" refused \
	"what it asked for is withdrawn"
monitor_sql "insert into pgautofailover.request (formationid, groupid, kind, nodeid, asked_at)
	values ('default', 0, 'remove', $n1, now() - interval '2 min')" >/dev/null
kill -CONT "$(pid_of monitor)"
old_request() {
	[ "$(monitor_sql "select outcome from pgautofailover.request
		where asked_at < now() - interval '1 min'")" = "$1" ]
}
ok "what was asked long ago is not done now" within 5 old_request refused
is "$(monitor_sql 'select count(*) from pgautofailover.node')" 2 "the nodes are all there"

# ---- two of them ----

second() {
	start second "$autoctl" monitor run --pgdata "$root/second" \
		--dburi "postgres://$superuser@127.0.0.1:$mport/pg_auto_failover"
}
second
ok "a second monitor on the same database stands by" within 10 log_says second 'stands by'
# taken_over EPOCH : within 5 s of $then it is that one
taken_over() {
	within 15 epoch_is "$1" || return 1
	clock
	echo $((now - then)) >>"$root/took"
	[ $((now - then)) -lt 5000 ]
}
# a decision is made once: one event per goal of that node
decided_once() {
	is "$(monitor_sql "select string_agg(goalstate || ' ' || count, ',') from (select goalstate,
		count(*) from pgautofailover.event where nodename = '$1' and rule_pos is not null
		group by 1) e")" "$2 1" "$1 was told once"
}
e=$(epoch)
clock
then=$now
kill -KILL "$(pid_of monitor)"
ok "the first one is killed: the second one takes over within 5 s" taken_over $((e + 1))
n3=$(register 3 node_c)
ok "and decides" within 5 has_goal node_c wait_standby
: >"$root/log/monitor.log"
monitor_start
ok "the first one comes back and stands by" within 10 log_says monitor 'stands by'
clock
then=$now
kill -STOP "$(pid_of second)"
n4=$(register 4 node_d)
ok "the second one hangs: the first one takes over within 5 s" taken_over $((e + 2))
ok "and decides what the other one should have" within 5 has_goal node_d wait_standby
kill -CONT "$(pid_of second)"
ok "the second one wakes up, and knows its place" within 10 log_says second 'taken over'
is "$(epoch)" $((e + 2)) "and has decided nothing"
note "taken over after $(tr '\n' ' ' <"$root/took")ms"
decided_once node_c wait_standby
decided_once node_d wait_standby
kill -TERM "$(pid_of monitor)"
ok "the first one stops" within 15 gone "$(pid_of monitor)"
kill -TERM "$(pid_of second)"
ok "the second one stops, without a database" within 15 gone "$(pid_of second)"

# ---- somebody else's database ----

fport=$((mport + 5))
initdb -D "$root/f" -A trust -U admin >/dev/null 2>&1
frugal "$root/f"
pg_ctl -D "$root/f" -o "-p $fport -k $root/s -c listen_addresses=127.0.0.1" -l "$root/log/f.log" \
	-w start >/dev/null
pid_note f "$(head -n 1 "$root/f/postmaster.pid")"
f_sql() {
	psql -XAtq -h 127.0.0.1 -p "$fport" -U admin -d "${2:-postgres}" -c "$1"
}
foreign() {
	"$autoctl" create monitor --pgdata "$root/on_f" \
		--dburi "postgres://plain@127.0.0.1:$fport/meta" </dev/null
}
fails "a Postgres that runs in the directory is not taken for ours" 3 \
	"$autoctl" create monitor --pgdata "$root/f" --pgport $((mport + 6)) --auth trust --no-ssl
f_sql "create role plain login"
fails "a database that is not there" 6 foreign
f_sql "create database meta"
fails "a role that may not create the schema" 2 foreign
like "$(foreign 2>&1)" 'GRANT CREATE ON DATABASE "meta" TO "plain"' "what to do is said"
f_sql 'GRANT CREATE ON DATABASE "meta" TO "plain"'
fails "a role for the nodes is missing" 2 foreign
like "$(foreign 2>&1)" 'CREATE ROLE autoctl_node LOGIN' "what to do is said"
f_sql 'CREATE ROLE autoctl_node LOGIN'
ok "an ordinary role on an ordinary database will do" foreign
is "$(f_sql "select distinct rolname from pg_class c join pg_roles r on r.oid = relowner
	where relnamespace = 'pgautofailover'::regnamespace" meta)" plain "the schema is its own"
start on_f "$autoctl" monitor run --pgdata "$root/on_f"
ok "and the monitor decides there" within 10 log_says on_f 'this monitor decides'
f_uri=postgres://autoctl_node@127.0.0.1:$fport/meta
is "$(psql -XAtq "$f_uri" -c "select assigned_node_name from pgautofailover.register_node(
	'default', '127.0.0.1', 1, 'postgres', candidate_priority => 50)")" node_1 "a node registers"
ok "and gets a goal" within 5 eval '[ "$(f_sql "select goalstate from pgautofailover.node" meta)" \
	= single ]'
pg_ctl -D "$root/f" -m immediate -w stop >/dev/null
ok "the database goes away: the monitor says so" within 10 log_says on_f 'connect to the metadata'
alive "$(pid_of on_f)"
is $? 0 "and lives"
pg_ctl -D "$root/f" -o "-p $fport -k $root/s -c listen_addresses=127.0.0.1" -l "$root/log/f.log" \
	-w start >/dev/null
pid_note f "$(head -n 1 "$root/f/postmaster.pid")"
ok "it comes back, and so does the monitor" within 15 eval \
	'[ "$(grep -c "this monitor decides" "$root/log/on_f.log")" -ge 2 ]'
kill -TERM "$(pid_of on_f)"
ok "the monitor stops" within 10 gone "$(pid_of on_f)"
is "$(f_sql 'select 1')" 1 "and leaves a Postgres that is not its own alone"

# ... that is a standby for now
pg_basebackup -D "$root/g" -h 127.0.0.1 -p "$fport" -U admin -R -c fast
pg_ctl -D "$root/g" -o "-p $((fport + 1)) -k $root/s -c listen_addresses=127.0.0.1" \
	-l "$root/log/g.log" -w start >/dev/null
pid_note g "$(head -n 1 "$root/g/postmaster.pid")"
start on_g "$autoctl" monitor run --pgdata "$root/on_g" \
	--dburi "postgres://plain@127.0.0.1:$((fport + 1))/meta"
ok "a standby: the monitor waits" within 10 log_says on_g 'is a standby'
pg_ctl -D "$root/g" promote >/dev/null
ok "it is promoted: the monitor decides" within 20 log_says on_g 'this monitor decides'
kill -TERM "$(pid_of on_g)"
ok "it stops" within 10 gone "$(pid_of on_g)"
pg_ctl -D "$root/g" -m immediate stop >/dev/null
pg_ctl -D "$root/f" -m immediate stop >/dev/null

# ---- dropped ----

ok "drop monitor keeps the files" "$autoctl" drop monitor --pgdata "$root/m"
ok "all of them" [ -f "$root/m/PG_VERSION" ]
monitor_up >/dev/null
ok "drop monitor --destroy, while it runs" "$autoctl" drop monitor --pgdata "$root/m" --destroy
ok "its directory is gone" [ ! -e "$root/m" ]
ok "its settings, too" [ ! -e "$root/etc/pg_autoctl$root/m/pg_autoctl.cfg" ]
ok "and its process" within 5 gone "$(pid_of monitor)"

done_testing
