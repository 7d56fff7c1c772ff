#!/bin/sh
# Tablespaces, and a pg_wal on a disk of its own: through a new copy they stay where the
# node has them, and what belongs to another node is never touched.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
ok "the monitor runs" monitor_up
ok "a node" node_up 1
mkdir "$root/ts1" "$root/ts2"
sql 1 "create tablespace ts location '$root/ts1'" >/dev/null
sql 1 "create table t tablespace ts as select i from generate_series(1, 10000) i" >/dev/null
oid=$(sql 1 "select oid from pg_tablespace where spcname = 'ts'")

# a standby that has it elsewhere
ok "a backup is restored, its tablespace elsewhere" pg_basebackup -h 127.0.0.1 -p "$(node_port 1)" \
	-U "$superuser" -D "$root/n2" -c fast -T "$root/ts1=$root/ts2"
ok "it becomes a node" node_up 2
ok "a pair" wait_pair 1 2
is "$(sql 2 'select count(*) from t')" 10000 "with the data"

# one that would share it with node 1
start create_3 "$autoctl" create postgres --pgdata "$root/n3" --pgport "$(node_port 3)" --name node_3 \
	--hostname 127.0.0.1 --listen 127.0.0.1 --auth trust --no-ssl --monitor "$(monitor_uri)"
ok "a node whose tablespace would be that of another: refused" \
	within 30 grep -q "$root/ts1 has files of another cluster" "$root/log/create_3.log"
kill -KILL $(family_of "$(pid_of create_3)") 2>/dev/null
ok "it is dropped" "$autoctl" drop node --monitor "$(monitor_uri)" --name node_3 --force
is "$(sql 1 'select count(*) from t')" 10000 "nothing is touched"
ok "still a pair" wait_pair 1 2

# its WAL moves to another disk, and then nothing helps but a new copy
"$autoctl" stop --pgdata "$root/n2" 2>/dev/null
within 30 no_process 2 >/dev/null
mkdir "$root/disk"
mv "$root/n2/pg_wal" "$root/disk/wal2"
ln -s "$root/disk/wal2" "$root/n2/pg_wal"
node_start 2
ok "WAL on a disk of its own" wait_pair 1 2
sql 1 'insert into t select i from generate_series(1, 10000) i' >/dev/null
touch "$root/n2/old_one"
ok "its host dies" kill_host 2
truncate -s 100 "$root/n2/global/pg_control"
touch "$root/disk/wal2/garbage"
ok "nobody waits for it" wait_state 1 wait_primary 60
sql 1 'insert into t select i from generate_series(1, 10000) i; checkpoint' >/dev/null
node_start 2
ok "its control file is gone: it is copied anew" within 90 eval '[ ! -e "$root/n2/old_one" ]'
ok "a pair" wait_pair 1 2
within 30 serves 2
is "$(sql 2 'select count(*) from t')" 30000 "with the data"
is "$(readlink "$root/n2/pg_tblspc/$oid")" "$root/ts2" "the tablespace is where it was"
is "$(readlink "$root/n2/pg_wal")" "$root/disk/wal2" "and so is the WAL"
ok "what was there is gone" eval '[ ! -e "$root/disk/wal2/garbage" ] && [ ! -e "$root/ts2/autoctl.copy" ] &&
	[ ! -e "$root/disk/wal2/autoctl.copy" ] && [ "$(ls "$root/ts2" | wc -l)" = 1 ]'

# and it can do everything
writer_start 1 2
ok "a switchover" perform switchover
ok "works" wait_pair 2 1
writer_stop
ok "nothing is lost" writer_verify
is "$(sql 1 'select count(*) from t')" 30000 "both have the data"
done_testing
