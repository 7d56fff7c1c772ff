#!/bin/sh
# The tools of these tests find what they are there to find: on plain instances.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# instance N : on its own, taking writes.
instance() {
	initdb -N -A trust -D "$root/n$1" >/dev/null || return 1
	frugal "$root/n$1"
	cat >>"$root/n$1/postgresql.conf" <<-END
		port = $(node_port "$1")
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$root/s'
	END
	instance_start "$1"
}

instance_start() {
	within 10 pg_ctl -s -D "$root/n$1" -l "$root/log/n$1.log" -w start
}

cluster_init wired
ok "an instance" instance 1
ok "one that takes writes is one" one_writer 1 2
ok "another instance, not in touch with it" instance 2
ok "two that take writes are one too many" eval '! one_writer 1 2'
pg_ctl -s -D "$root/n2" -m fast stop

# the relay
ok "a relay" node_wire 1
far() {
	timeout 2 psql -XAtq -h 127.0.1.1 -p "$(node_port 1)" -U "$superuser" -d postgres \
		-c 'select 1'
}
ok "it passes on" far
cut_off 1
fails "cut, it says nothing" 124 far
heal 1
ok "healed, it passes on" far
"$wire" slow "$root/s/wire_1" in 100
clock
before=$now
far >/dev/null
clock
ok "slowed, it takes its time: $((now - before)) ms" [ $((now - before)) -ge 200 ]
"$wire" refuse "$root/s/wire_1" in
fails "refused, it says so at once" 2 far
heal 1
fails "a link nobody knows" 2 "$wire" cut "$root/s/wire_1" nobody

# the writer
ok "an application writes" writer_start 1 2
event quiet
ok "for a second" holds 1 within 1 writing
event killed
ok "the instance is killed" kill -KILL $(processes_in "$root/n1")
ok "nobody takes writes" holds 1 eval '! writing'
ok "it is back" instance_start 1
ok "so is the application" within 10 writing
event after
ok "for a second" holds 1 within 1 writing
ok "the application stops" writer_stop
gaps
ok "the gap is where it belongs" eval '! gap_below killed 1000'
ok "and nowhere else: before" gap_below quiet 1000
ok "and nowhere else: after" gap_below after 1000
ok "every row is there" writer_verify
lost=$(sql 1 'delete from writer_row where (client, seq) = (select client, max(seq)
	from writer_row group by client limit 1) returning seq')
out=$(writer_verify 2>&1)
is $? 1 "a row that is not there is lost: exit code 1"
like "$out" "lost: client [0-9]+ row $lost " "and named"
like "$out" 'lost 1$' "and counted"
: >"$root/acks"
fails "no row at all proves nothing" 2 writer_verify

# a commit that was not replicated is no acknowledgement
sql 1 "alter system set synchronous_standby_names = 'nobody'" >/dev/null
sql 1 'select pg_reload_conf()' >/dev/null
start writer "$writer" run "$root/acks" "$(cat "$root/writer_uri")" 1 10
waiting() {
	[ "$(sql 1 "select count(*) from pg_stat_activity where wait_event = 'SyncRep'")" -ge 1 ]
}
ok "a commit waits for a standby" within 10 waiting
for round in 1 2 3; do
	sql 1 "select pg_cancel_backend(pid) from pg_stat_activity
		where wait_event = 'SyncRep'" >/dev/null
	within 10 waiting >/dev/null
done
ok "the application stops" writer_stop
like "$(cat "$root/log/writer.log")" 'acknowledged 0, .*doubtful [1-9]' \
	"a cancelled wait is a warning, and no acknowledgement"
done_testing
