#!/bin/sh
# The disk of pg_wal is full: said beforehand, one failover, no flapping, and a way back.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# A small file system for node 1, in a name space of our own: no root is needed for that.
if [ -z "${DISK:-}" ]; then
	[ "$(id -u)" -ne 0 ] || skip_all "Postgres refuses root: use test/as-user"
	DISK=$(mktemp -d) || exit 1
	export DISK
	unshare -r -m mount -t tmpfs tmpfs "$DISK" 2>/dev/null ||
		skip_all "this system gives no name spaces to users"
	unshare -r -m sh -c 'mount -t tmpfs -o size=160m,mode=700 tmpfs "$DISK" &&
		exec unshare -U --map-user="$1" --map-group="$1" sh "$0"' "$0" "$(id -u)"
	code=$?
	rmdir "$DISK"
	exit $code
fi

free_mb() {
	df -P "$DISK" | awk 'NR == 2 { print int($4 / 1024) }'
}

# fill MB : until so much is left.
fill() {
	head -c "$(($(free_mb) - $1))M" /dev/zero >>"$DISK/ballast"
}

event_says() {
	[ "$(monitor_sql "select count(*) from pgautofailover.event where nodename = 'node_1'
		and description like '%$1%'")" -ge 1 ]
}

state_says() {
	show state | grep -F "$1"
}

# How often another node was told to take over.
promotions() {
	monitor_sql "select count(*) from pgautofailover.event
		where goalstate = 'prepare_promotion' and reportedstate <> goalstate"
}

writes_only_at() {
	[ "$(writer_node)" = "$1" ]
}

write_wal() {
	sql 1 "set synchronous_commit = off; create table bulk$1 as select i, repeat('x', 500) t
		from generate_series(1, 100000) i" >/dev/null 2>&1
}

cluster_init
ok "the monitor runs" monitor_up
ok "node 1 is created" node_create 1
frugal "$root/n1"
mv "$root/n1/pg_wal" "$DISK/wal" && ln -s "$DISK/wal" "$root/n1/pg_wal"
ok "its pg_wal has a disk of its own" test -d "$root/n1/pg_wal"
node_start 1
ok "node 1 is single" wait_state 1 single 30
node_id 1 >"$root/id_1"
ok "node 2 is created" node_up 2
ok "node 1 is primary, node 2 secondary" wait_pair 1 2
ok "an application writes" writer_start 1 2

event little
fill 25
ok "the disk is almost full: an event says so" within 20 event_says 'the disk of pg_wal, 160 MB, is almost full'
ok "show state says so, too" state_says 'almost full'
ok "the primary stays what it is" holds 2 state_is 1 primary
ok "writes did not stop for that" gap_below little 1000
rm "$DISK/ballast"
ok "the end of it is an event" within 20 event_says 'over: the disk of pg_wal'

event full
fill 0
write_wal 1
ok "node 2 takes over" wait_state 2 wait_primary 60
ok "an event says why" within 20 event_says 'the disk of pg_wal, 160 MB, is full'
ok "writes go on" within 20 writing
ok "writes stopped for less than 10 s" gap_below full 10000
ok "show state says why node 1 does not come back" within 30 state_says 'is full'
is "$(promotions)" 1 "one promotion"
# a rewind removes WAL, and so makes some room: it may even come back
ok "nothing flaps" holds 15 writes_only_at 2
is "$(promotions)" 1 "still one promotion"
ok "no busy loop" [ "$(grep -c 'for catchingup' "$root/log/node_1.log")" -lt 30 ]

rm "$DISK/ballast"
ok "with room it comes back" wait_pair 2 1 60
ok "without a new copy" eval '! grep -q "base backup" "$root/log/node_1.log"'
ok "nobody complains any more" within 20 eval '! state_says "is full"'

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
