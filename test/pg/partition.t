#!/bin/sh
# The network of a node is cut, silently, and heals.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init wired
pair_up
ok "an application writes, also to a node that is cut off" writer_start

event primary_cut
cut_off 1
ok "node 2 takes over" wait_goal 2 wait_primary 40
ok "writes go on" within 20 writing
ok "only one takes writes" one_writer
ok "writes stopped for less than 10 s" gap_below primary_cut 10000
ok "and so it stays, the old one shut off or waiting" holds 6 one_writer
event primary_healed
heal 1
ok "node 1 comes back as a secondary" wait_pair 2 1 90
ok "writes did not stop for that" gap_below primary_healed 2000

event standby_cut
cut_off 1
ok "the primary goes on alone" wait_state 2 wait_primary 40
ok "writes go on" within 20 writing
ok "writes stopped for less than 10 s" gap_below standby_cut 10000
event standby_healed
heal 1
ok "node 1 comes back as a secondary" wait_pair 2 1 90

# only the way to the monitor: no reason to do anything
event monitor_link_cut
"$wire" cut "$root/s/wire_2" out
ok "writes go on while the primary cannot reach the monitor" holds 8 within 2 writing
ok "no other node has taken over" eval '[ "$(writer_node)" = 2 ]'
"$wire" heal "$root/s/wire_2" out
ok "a pair" wait_pair 2 1 60
ok "no gap" gap_below monitor_link_cut 1000

# slow, not dead
event slow
"$wire" slow "$root/s/wire_1" in 200
"$wire" slow "$root/s/wire_1" out 200
"$wire" slow "$root/s/wire_2" in 200
"$wire" slow "$root/s/wire_2" out 200
ok "writes go on over a slow network" holds 8 within 3 writing
ok "nobody was given up for that" eval '[ "$(writer_node)" = 2 ]'
heal 1
heal 2
ok "a pair" wait_pair 2 1 60

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
