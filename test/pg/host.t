#!/bin/sh
# What is done to a local Postgres, one act after the other: see test/host_test.c.
# SPDX-License-Identifier: PostgreSQL

. test/pg/lib.sh

cluster_init
export PG_AUTOCTL_DEBUG=1
"$PWD/test/host_test" "$root" "$mport"
tap_failed=$? # for the logs
exit "$tap_failed"
