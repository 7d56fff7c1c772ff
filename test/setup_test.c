/* What the programs and files of Postgres say, read; and what follows from it. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/mem.h"
#include "pg/postmaster.h"
#include "pg/spawn.h"
#include "pg/standby.h"
#include "test/tap.h"

#include "ini/ban.h"

static struct err e;

static const char sample[] =
    "pg_control version number:            1300\n"
    "Catalog version number:               202209061\n"
    "Database system identifier:           7575757575757575757\n"
    "Database cluster state:               shut down\n"
    "pg_control last modified:             Mon 23 Nov 2026 08:00:00 PM UTC\n"
    "Latest checkpoint location:           1/5000028\n"
    "Latest checkpoint's REDO location:    1/5000028\n"
    "Latest checkpoint's REDO WAL file:    000000020000000100000005\n"
    "Latest checkpoint's TimeLineID:       2\n"
    "Latest checkpoint's PrevTimeLineID:   2\n"
    "Minimum recovery ending location:     0/0\n"
    "Min recovery ending loc's timeline:   0\n"
    "wal_level setting:                    replica\n"
    "wal_log_hints setting:                on\n"
    "max_connections setting:              100\n"
    "max_worker_processes setting:         8\n"
    "max_wal_senders setting:              12\n"
    "max_prepared_xacts setting:           0\n"
    "max_locks_per_xact setting:           64\n"
    "Bytes per WAL segment:                16777216\n"
    "Data page checksum version:           0\n";

static void
test_control(void)
{
	struct control c;
	char *text = xstrdup(sample);
	char *at;

	OK(setup_control_parse(text, &c, &e) == 0, "a control file is read");
	OK(c.control_version == 1300 && c.catalog_version == 202209061 &&
		c.system_identifier == UINT64_C(7575757575757575757) &&
		c.state == CONTROL_SHUT_DOWN && c.checkpoint == UINT64_C(0x105000028) &&
		c.tli == 2 && c.segment_bytes == 16777216 && c.wal_log_hints &&
		!c.checksums && c.max_connections == 100 && c.max_locks_per_xact == 64,
	    "and understood");
	OK(setup_final_lsn(&c) == UINT64_C(0x105000028) + 114, "the end of a clean stop");
	at = strstr(text, "shut down");
	memcpy(at, "in produc", 9);
	OK(setup_control_parse(text, &c, &e) == 0 && c.state == CONTROL_UNKNOWN &&
		setup_final_lsn(&c) == 0,
	    "a state we do not know is unknown");
	at = strstr(text, "1/5000028");
	memcpy(at, "x/5000028", 9);
	OK(setup_control_parse(text, &c, &e) && e.kind == ERR_PGCTL, "damage: %s", e.msg);
	text[strlen(text) - 60] = '\0';
	OK(setup_control_parse("nothing\n", &c, &e) && e.kind == ERR_PGCTL, "less: %s",
	    e.msg);
	free(text);
}

static void
test_postmaster(void)
{
	char full[] =
	    "4711\n/data\n1700000000\n5433\n/tmp/s\nlocalhost\n  123 456\nready   \n";
	char half[] = "4711\n/data\n";
	char single[] = "-4711\n/data\n";
	char none[] = "";
	char odd[] = "x\n\n\n\n\n\n\n\n\n\n\n";
	struct postmaster pm;

	postmaster_parse(full, &pm);
	OK(pm.pid == 4711 && pm.port == 5433 && strcmp(pm.sockdir, "/tmp/s") == 0 &&
		strcmp(pm.status, "ready") == 0,
	    "postmaster.pid");
	postmaster_parse(half, &pm);
	OK(pm.pid == 4711 && pm.port == 0 && !pm.sockdir[0] && !pm.status[0],
	    "half of it");
	postmaster_parse(single, &pm);
	IS_INT(pm.pid, 0, "a single-user backend is not a postmaster");
	postmaster_parse(none, &pm);
	IS_INT(pm.pid, 0, "an empty one");
	postmaster_parse(odd, &pm);
	IS_INT(pm.pid, 0, "a damaged one");
}

static void
test_compare(void)
{
	struct standby_source s = { .system_identifier = 1,
		.tli = 3,
		.lsn = 5000,
		.nhistory = 2,
		.history = { { 1, 1000 }, { 2, 2000 } } };
	static const struct {
		uint64_t id;
		int tli;
		uint64_t lsn;
		enum standby_way want;
		const char *what;
	} cases[] = {
		{ 1, 3, 5000, STANDBY_FOLLOW, "as far as it" },
		{ 1, 3, 4000, STANDBY_FOLLOW, "behind it" },
		{ 1, 3, 5001, STANDBY_AHEAD, "ahead of it" },
		{ 1, 2, 2000, STANDBY_FOLLOW, "at the fork" },
		{ 1, 2, 2001, STANDBY_REWIND, "past the fork" },
		{ 1, 1, 900, STANDBY_FOLLOW, "before an older fork" },
		{ 1, 1, 1500, STANDBY_REWIND, "past an older fork" },
		{ 1, 4, 100, STANDBY_REWIND, "on a timeline it does not know" },
		{ 2, 3, 100, STANDBY_COPY, "of another cluster" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct host_position p = { .recovery = true,
			.tli = cases[i].tli,
			.lsn = cases[i].lsn,
			.system_identifier = cases[i].id };

		IS_INT(standby_compare(&p, &s), cases[i].want, cases[i].what);
	}
	OK(standby_same_history("1\t0/3E8\tno recovery target\n\n2\t0/7D0\twhy\n", &s),
	    "the same history");
	OK(standby_same_history("# a comment\n1\t0/3E8\tx\n", &s), "a shorter one");
	OK(!standby_same_history("1\t0/3E8\tx\n2\t0/7D1\tx\n", &s), "another one");
}

static bool
first_line(void *arg, const char *line)
{
	snprintf(arg, 64, "%s", line);
	return strcmp(line, "stop") != 0;
}

static int
run(const char *script, struct spawn s, struct err *err)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };

	s.argv = argv;
	return spawn_run(&s, err);
}

static void
test_spawn(void)
{
	struct buf out = { 0 };
	char line[64] = "";
	const char *env[] = { "WORD=green", NULL };
	int64_t began = clock_mono().ms;
	const char *none[] = { "/no/such/program", NULL };
	struct spawn lost = { .argv = none };

	OK(run("echo $WORD; echo one >&2; printf two >&2",
	       (struct spawn){ .out = &out, .env = env, .line = first_line, .arg = line },
	       &e) == 0,
	    "a program runs");
	IS_STR(buf_peek(&out), "green\n", "its output is taken");
	IS_STR(line, "two", "line by line, the last one too");
	OK(run("echo why >&2; exit 3", (struct spawn){ 0 }, &e) && e.kind == ERR_PGCTL &&
		strcmp(e.detail, "why") == 0,
	    "it fails: %s", e.msg);
	OK(run("exec cat /dev/zero >/dev/null", (struct spawn){ .deadline_ms = 50 },
	       &e) &&
		e.kind == ERR_SYSTEM,
	    "it is late: %s", e.msg);
	OK(run("echo x >&2; exec tail -f /dev/null", (struct spawn){ .silence_ms = 50 },
	       &e) &&
		e.kind == ERR_SYSTEM,
	    "it is silent: %s", e.msg);
	OK(run("echo stop >&2; exec tail -f /dev/null",
	       (struct spawn){ .line = first_line, .arg = line }, &e) &&
		e.kind == ERR_SYSTEM,
	    "it is told to stop: %s", e.msg);
	OK(run("tail -f /dev/null & exit 0", (struct spawn){ .deadline_ms = 5000 }, &e) ==
		0,
	    "what it leaves behind is not waited for");
	OK(spawn_run(&lost, &e) && e.kind == ERR_EXEC, "it is not there: %s", e.msg);
	OK(clock_mono().ms - began < 4000, "none of this took long");
	buf_drop(&out);
}

int
main(void)
{
	test_control();
	test_postmaster();
	test_compare();
	test_spawn();
	return tap_done();
}
