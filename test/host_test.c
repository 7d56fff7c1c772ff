/* Everything that is done to a local Postgres, on real ones: run by test/pg/host.t. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/config.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/hba.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/proc.h"
#include "pg/report.h"
#include "pg/setup.h"
#include "pg/slot.h"
#include "pg/standby.h"
#include "test/tap.h"

#include "ini/ban.h"

struct server {
	struct config cfg;
	struct host h;
};

static const char *scratch;
static struct server n1, n2, other;
static struct err e;

static void give_up_all(void);

/* A failure says why, and is the end: what follows stands on it. */
static void
works(int rc, const char *what)
{
	if (OK(rc >= 0, "%s", what))
		return;
	tap_note("%s (%s)", e.msg, e.detail);
	give_up_all();
}

#define WORKS(call, what) works((call), (what))

static void
server_init(struct server *s, const char *name, int port, int64_t id)
{
	config_init(&s->cfg, CONFIG_KEEPER);
	s->cfg.pgdata = xasprintf("%s/%s", scratch, name);
	s->cfg.port = port;
	free(s->cfg.hostname);
	free(s->cfg.listen_addresses);
	free(s->cfg.auth_method);
	free(s->cfg.backup_directory);
	s->cfg.hostname = xstrdup("127.0.0.1");
	s->cfg.listen_addresses = xstrdup("127.0.0.1");
	/* passwords are asked for from the other nodes (see test_first_start) */
	s->cfg.auth_method = xstrdup("scram-sha-256");
	s->cfg.replication_password = xstrdup("it's: a \\ \"word\"");
	s->cfg.backup_directory = xasprintf("%s/backup_%s", scratch, name);
	if (host_init(&s->h, &s->cfg, id, &e))
		die("%s", e.msg);
}

static void
give_up_all(void)
{
	struct postmaster_stop how = { .mode = POSTMASTER_KILL };

	for (struct server *s = &n1; s; s = s == &n1 ? &n2 : s == &n2 ? &other : NULL)
		if (s->h.pgdata[0] && postmaster_stop(&s->h, &how, NULL))
			tap_note("%s is still there", s->h.pgdata);
	printf("Bail out!\n");
	exit(1);
}

/* -- asking -- */

static char answer[8192];
static int64_t patience_ms = 10000;

/* One value from a server; "" for none, the error in words when it fails. */
static const char *
ask_as(const struct server *s, const char *options, const char *sql)
{
	struct db_target t = { .host = "127.0.0.1",
		.port = s->cfg.port,
		.dbname = "postgres",
		.user = s->h.osuser,
		.application_name = "stranger",
		.options = options,
		.statement_ms = patience_ms };
	struct err own = { 0 };
	struct db d = { 0 };
	struct rows r = { 0 };

	answer[0] = '\0';
	if (db_open(&d, &t, &own) || db_query(&d, &own, &r, sql, DB_END)) {
		snprintf(answer, sizeof answer, "error: %s", own.msg);
	} else if (r.count > 0) {
		struct row row = row_at(&r, 0);

		snprintf(answer, sizeof answer, "%s",
		    row_has(&row, "x") ? row_text(&row, "x") : "");
	}
	rows_drop(&r);
	db_close(&d);
	return answer;
}

static const char *
ask(const struct server *s, const char *sql)
{
	return ask_as(s, NULL, sql);
}

/* A commit that nobody may acknowledge: does it hang? */
static bool
commit_waits(const struct server *s)
{
	patience_ms = 1000;
	ask(s, "insert into public.t values (4) returning 1 as x");
	patience_ms = 10000;
	return str_starts(answer, "error: ");
}

/* Until the answer is this one, for 20 s. */
static bool
becomes(const struct server *s, const char *sql, const char *want)
{
	struct mono deadline = mono_after(clock_mono(), 20000);

	while (strcmp(ask(s, sql), want) != 0)
		if (!clock_nap_until(deadline, 20)) {
			tap_note("%s is \"%s\"", sql, answer);
			return false;
		}
	return true;
}

static void
stop(const struct server *s, enum postmaster_mode mode)
{
	struct postmaster_stop how = { .mode = mode };

	WORKS(postmaster_stop(&s->h, &how, &e), "it stops");
	IS_INT(postmaster_processes(&s->h), 0, "no process of it is left");
}

static struct conf_upstream
upstream(const struct server *s)
{
	struct conf_upstream u = { .id = s->h.node_id, .port = s->cfg.port };

	snprintf(u.host, sizeof u.host, "127.0.0.1");
	return u;
}

static int
join(struct server *s, const struct server *to, enum standby_way *way)
{
	struct standby_join j = {
		.upstream = upstream(to), .may_copy = true, .deadline_ms = 20000
	};

	return standby_join(&s->h, &j, way, &e);
}

/* -- making one -- */

static void
test_setup(void)
{
	struct control c;
	enum setup_state state;
	char *path = xasprintf("%s/foreign", scratch);
	char *file = xasprintf("%s/something", path);
	struct server foreign;
	struct buf text = { 0 };

	tap_note("setup");
	WORKS(setup_find(&n1.h, &e), "the programs are found");
	WORKS(setup_find(&n2.h, &e), "twice");
	WORKS(setup_find(&other.h, &e), "three times");
	WORKS(setup_state(&n1.h, &state, &e), "the directory can be looked at");
	IS_INT(state, SETUP_MISSING, "it is missing");
	WORKS(setup_initdb(&n1.h, &e), "initdb");
	WORKS(setup_state(&n1.h, &state, &e), "the directory can be looked at");
	IS_INT(state, SETUP_CLUSTER, "it is a cluster");
	OK(setup_initdb(&n1.h, &e) && e.kind == ERR_STATE, "not twice: %s", e.msg);
	WORKS(setup_control(&n1.h, &c, &e), "pg_controldata");
	OK(c.state == CONTROL_SHUT_DOWN && c.tli == 1 && c.system_identifier &&
		c.segment_bytes == 16 * 1024 * 1024,
	    "it says what it must");

	server_init(&foreign, "foreign", n1.cfg.port, 9);
	WORKS(file_mkdir(path, 0700, &e), "a directory");
	buf_str(&text, "x");
	WORKS(file_replace(file, &text, 0600, &e), "with something in it");
	WORKS(setup_find(&foreign.h, &e), "programs");
	OK(setup_initdb(&foreign.h, &e) && e.kind == ERR_STATE, "is refused: %s", e.msg);
	OK(file_exists(file), "and left alone");
	config_drop(&foreign.cfg);
	buf_drop(&text);
	free(path);
	free(file);
}

static void
append(const struct server *s, const char *lines)
{
	char *path = xasprintf("%s/postgresql.conf", s->h.pgdata);
	struct buf text = { 0 };

	WORKS(file_read(path, &text, &e), "postgresql.conf is read");
	buf_str(&text, lines);
	WORKS(file_replace(path, &text, 0600, &e), "and added to");
	buf_drop(&text);
	free(path);
}

static void
test_first_start(void)
{
	struct peer peer = { .id = 2 };
	struct hba who = { .peer = &peer, .npeers = 1, .monitor_host = "127.0.0.1" };
	struct postmaster pm;
	struct buf missing = { 0 };
	struct db d = { 0 };
	int64_t began;

	tap_note("first start");
	snprintf(peer.host, sizeof peer.host, "127.0.0.1");
	IS_INT(conf_main(&n1.h, &e), 1, "our settings are written");
	IS_INT(conf_main(&n1.h, &e), 0, "once");
	WORKS(conf_standby_clear(&n1.h, &e), "not a standby");
	append(&n1, "fsync = off\nshared_buffers = 16MB\nwal_keep_size = 32MB\n");
	began = clock_mono().ms;
	WORKS(postmaster_start(&n1.h, POSTMASTER_PRIVATE, 0, &e), "it starts");
	tap_note("in %lld ms", (long long)(clock_mono().ms - began));
	postmaster_find(&n1.h, &pm);
	OK(pm.pid > 0 && pm.start > 0 && pm.port == n1.cfg.port &&
		strcmp(pm.status, "ready") == 0,
	    "it is found");
	WORKS(postmaster_start(&n1.h, POSTMASTER_LISTEN, 0, &e),
	    "starting it twice is fine");
	OK(str_starts(ask(&n1, "select 1 as x"), "error: "), "privately");
	WORKS(host_objects(&n1.h, &e), "roles and database");
	WORKS(host_objects(&n1.h, &e), "which are there the second time");
	IS_INT(hba_update(&n1.h, &who, &e), 1, "rules are written");
	IS_INT(hba_update(&n1.h, &who, &e), 0, "once");
	WORKS(host_open(&n1.h, &d, 0, &e), "a session");
	WORKS(conf_missing(&d, &missing, &e), "settings are checked");
	IS_STR(buf_peek(&missing), "", "and enough");
	db_close(&d);
	stop(&n1, POSTMASTER_FAST);
	WORKS(postmaster_start(&n1.h, POSTMASTER_LISTEN, 0, &e), "it starts for all");
	free(n2.cfg.replication_password);
	n2.cfg.replication_password = xstrdup("wrong");
	OK(join(&n2, &n1, NULL) && strcmp(e.sqlstate, "28P01") == 0,
	    "not for a wrong password: %s", e.msg);
	free(n2.cfg.replication_password);
	n2.cfg.replication_password = xstrdup(n1.cfg.replication_password);
	IS_STR(ask(&n1, "select 1 as x"), "1", "who can come in");
	IS_STR(ask(&n1, "select setting as x from pg_catalog.pg_settings where name = "
			"'wal_keep_size'"),
	    "32", "an operator's line wins");
	IS_STR(ask(&n1, "select pg_catalog.string_agg(rolname, ' ' order by rolname) as x"
			" from pg_catalog.pg_roles where rolname ~ '^pgauto'"),
	    HOST_HEALTH " " HOST_REPLICATOR, "the roles are there");
	buf_drop(&missing);
}

/* -- a standby -- */

static int progress_seen;

static bool
see_progress(void *arg, const char *text)
{
	(void)arg;
	if (str_starts(text, "base backup"))
		progress_seen++;
	return true;
}

static void
test_copy(void)
{
	struct peer peer = { .id = 2 };
	enum standby_way way = STANDBY_FOLLOW;
	struct db d = { 0 };

	tap_note("copy");
	snprintf(peer.host, sizeof peer.host, "127.0.0.1");
	WORKS(host_open(&n1.h, &d, 0, &e), "a session");
	WORKS(slot_keep(&d, &peer, 1, &e), "a slot is made");
	WORKS(slot_keep(&d, &peer, 1, &e), "and kept");
	db_close(&d);
	IS_STR(ask(&n1, "select slot_name as x from pg_catalog.pg_replication_slots"),
	    "pgautofailover_standby_2", "it is there");
	ask(&n1, "create table public.t as select i from generate_series(1, 1000) i");
	n2.h.progress = see_progress;
	WORKS(join(&n2, &n1, &way), "the second joins");
	n2.h.progress = NULL;
	IS_INT(way, STANDBY_COPY, "by a copy");
	OK(progress_seen > 1, "which told how far it was, %d times", progress_seen);
	IS_STR(ask(&n2, "select count(*) as x from public.t"), "1000", "it has the rows");
	IS_STR(ask(&n1, "select application_name as x from pg_catalog.pg_stat_replication"
			" where state = 'streaming'"),
	    "pgautofailover_standby_2", "it streams under its name");
	WORKS(join(&n2, &n1, &way), "joining again");
	IS_INT(way, STANDBY_FOLLOW, "needs nothing");
}

#define ANY_2 "ANY 1 (pgautofailover_standby_2)"

static void
test_sync(void)
{
	tap_note("synchronous replication");
	WORKS(host_sync(&n1.h, ANY_2, 1, 20000, &e), "it is turned on, for certain");
	IS_STR(ask(&n1, "select sync_state as x from pg_catalog.pg_stat_replication"),
	    "quorum", "the standby counts");
	OK(host_sync(&n1.h, "ANY 1 (nobody)", 1, 700, &e) && e.kind == ERR_SYSTEM,
	    "a standby that is not there is missed: %s", e.msg);
	OK(commit_waits(&n1), "and commits wait");
	WORKS(host_sync(&n1.h, "", 0, 5000, &e), "it is turned off");
	IS_STR(ask(&n1, "insert into public.t values (2) returning 1 as x"), "1",
	    "and commits do not wait");
	WORKS(host_sync(&n1.h, ANY_2, 1, 20000, &e), "and on again");
}

/* -- let go, with replay blocked -- */

static void
test_detach(void)
{
	struct conf_upstream up = upstream(&n1);
	struct host_position p, again;
	int64_t began;

	tap_note("detach while replay is paused");
	ask(&n2, "select pg_catalog.pg_wal_replay_pause()");
	OK(becomes(
	       &n2, "select pg_catalog.pg_get_wal_replay_pause_state() as x", "paused"),
	    "replay is paused");
	IS_STR(ask(&n1, "insert into public.t values (3) returning 1 as x"), "1",
	    "a paused standby acknowledges");
	began = clock_mono().ms;
	WORKS(standby_detach(&n2.h, &p, &e), "it lets go");
	tap_note("in %lld ms", (long long)(clock_mono().ms - began));
	OK(commit_waits(&n1), "and acknowledges nothing more");
	WORKS(host_position(&n2.h, &again, &e), "its position");
	OK(p.lsn && again.lsn == p.lsn && again.tli == p.tli && p.tli == 1,
	    "is exact and stays");
	WORKS(standby_detach(&n2.h, &again, &e), "letting go again is fine");
	OK(again.lsn == p.lsn, "at the same place");
	ask(&n2, "select pg_catalog.pg_wal_replay_resume()");
	began = clock_mono().ms;
	WORKS(standby_follow(&n2.h, &up, 1, 20000, &e), "it follows again");
	tap_note("in %lld ms", (long long)(clock_mono().ms - began));
	IS_STR(ask(&n1, "insert into public.t values (5) returning 1 as x"), "1",
	    "and acknowledges again");
}

/* -- a closed door -- */

struct stranger {
	volatile int64_t acks, refused;
	volatile int64_t last_ms; /* when the last one came */
};

/* One that was let in before, one that knocks again and again. Neither lets durability
 * or read_only settings stop it. */
static void
hammer(struct stranger *s, bool stay)
{
	struct db_target t = { .host = "127.0.0.1",
		.port = n2.cfg.port,
		.dbname = "postgres",
		.user = n2.h.osuser,
		.application_name = "stranger",
		.options =
		    "-c synchronous_commit=off -c default_transaction_read_only=off",
		.statement_ms = 2000 };
	struct db d = { 0 };

	for (;;) {
		if (!db_is_open(&d) && db_open(&d, &t, NULL)) {
			s->refused++;
			clock_nap_ms(2);
			continue;
		}
		if (db_run(&d, NULL, "insert into public.t values (99)", DB_END) == 0) {
			s->acks++;
			s->last_ms = clock_mono().ms;
		} else {
			clock_nap_ms(1);
		}
		if (!stay)
			db_close(&d);
	}
}

static pid_t
start_stranger(struct stranger *s, bool stay)
{
	pid_t pid = fork();

	if (pid == 0) {
		log_level_set(LOG_LEVEL_ERROR);
		hammer(s, stay);
	}
	return pid;
}

static void
end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static bool
more_than(volatile int64_t *counter, int64_t n)
{
	struct mono deadline = mono_after(clock_mono(), 10000);

	while (*counter <= n)
		if (!clock_nap_until(deadline, 5))
			return false;
	return true;
}

static void
test_door(void)
{
	struct stranger *s = mmap(NULL, 2 * sizeof *s, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct host_position p;
	pid_t child[2];
	int64_t refused;
	int tli = 0;
	int64_t began;

	tap_note("promotion behind a closed door");
	WORKS(standby_detach(&n2.h, &p, &e), "the standby lets go");
	for (int i = 0; i < 2; i++)
		child[i] = start_stranger(&s[i], i == 0);
	began = clock_mono().ms;
	WORKS(hba_close(&n2.h, &e), "the door is closed");
	tap_note("in %lld ms", (long long)(clock_mono().ms - began));
	OK(hba_is_closed(&n2.h), "and says so");
	began = clock_mono().ms;
	WORKS(postmaster_promote(&n2.h, 0, &tli, &e), "it is promoted");
	tap_note("in %lld ms", (long long)(clock_mono().ms - began));
	IS_INT(tli, 2, "to timeline 2");
	WORKS(postmaster_promote(&n2.h, 0, &tli, &e), "twice is fine");
	WORKS(conf_standby_clear(&n2.h, &e), "it follows nobody");
	refused = s[0].refused;
	OK(more_than(&s[0].refused, refused + 20), "strangers knock");
	OK(more_than(&s[1].refused, s[1].refused + 20), "both of them");
	IS_INT(s[0].acks + s[1].acks, 0, "nobody was let in");
	WORKS(hba_close(&n2.h, &e), "closing it again is fine");
	began = clock_mono().ms;
	WORKS(host_names(&n2.h, "", &e), "names");
	WORKS(hba_open(&n2.h, &e), "the door is opened");
	OK(!hba_is_closed(&n2.h), "and says so");
	OK(more_than(&s[0].acks, 0) && more_than(&s[1].acks, 0), "strangers write");
	for (int i = 0; i < 2; i++)
		end_child(child[i]);
	munmap(s, 2 * sizeof *s);
}

/* -- the old primary comes back -- */

static void
test_rewind(void)
{
	enum standby_way way = STANDBY_FOLLOW;
	struct conf_upstream up = upstream(&n2);
	struct standby_source source;
	struct host_position p;

	tap_note("rewind right after a promotion");
	/* nobody else has it, so nobody waits */
	ask_as(&n1, "-c synchronous_commit=local",
	    "insert into public.t values (100666) returning 1 as x");
	IS_STR(ask(&n1, "select count(*) as x from public.t where i = 100666"), "1",
	    "the old primary has a row of its own");
	stop(&n1, POSTMASTER_IMMEDIATE);
	WORKS(join(&n1, &n2, &way), "it joins the new one");
	IS_INT(way, STANDBY_REWIND, "by a rewind");
	IS_STR(ask(&n1, "select count(*) as x from public.t where i = 100666"), "0",
	    "without the row");
	IS_STR(ask(&n1, "select pg_catalog.current_setting('port') as x"),
	    (snprintf(answer + 4096, 16, "%d", n1.cfg.port), answer + 4096),
	    "on its own port");
	IS_STR(ask(&n1, "select pg_catalog.current_setting('synchronous_standby_names')"
			" as x"),
	    "", "without names of standbys");
	OK(conf_signal_exists(&n1.h), "as a standby");
	OK(!setup_marked(&n1.h), "the mark is gone");
	WORKS(standby_identify(&n1.h, &up, &source, &e), "the source is asked");
	OK(source.tli == 2 && source.nhistory == 1 && source.history[0].tli == 1 &&
		!source.recovery,
	    "and tells its history");
	WORKS(host_position(&n1.h, &p, &e), "position");
	IS_INT(p.tli, 2, "it is on timeline 2");
}

static void
test_switchover(void)
{
	struct control c;
	enum standby_way way = STANDBY_COPY;
	struct host_position p;
	uint64_t final;
	int tli;

	tap_note("clean stop: nothing is missing, nothing is rewound");
	WORKS(host_checkpoint(&n2.h, 20000, &e), "checkpoint");
	ask(&n2, "insert into public.t select i from generate_series(1, 5000) i");
	WORKS(conf_signal_write(&n2.h, &e), "standby.signal lies there before");
	stop(&n2, POSTMASTER_FAST);
	WORKS(setup_control(&n2.h, &c, &e), "control file");
	final = setup_final_lsn(&c);
	OK(final > 0, "it ended cleanly");
	WORKS(standby_wait_lsn(&n1.h, final, 10000, &e), "the standby has got all of it");
	WORKS(standby_detach(&n1.h, &p, &e), "it lets go");
	OK(p.lsn >= final && p.lsn < final + 64, "having just that");
	WORKS(postmaster_promote(&n1.h, 0, &tli, &e), "it is promoted");
	IS_INT(tli, 3, "to timeline 3");
	WORKS(conf_standby_clear(&n1.h, &e), "it follows nobody");
	WORKS(join(&n2, &n1, &way), "the other one joins");
	IS_INT(way, STANDBY_FOLLOW, "by following");
	WORKS(host_sync(&n1.h, ANY_2, 1, 20000, &e), "synchronous again");
}

/* -- trouble -- */

static void
test_diverged(void)
{
	struct conf_upstream up = upstream(&n1);
	struct host_position p;
	enum standby_way way;
	int tli;

	tap_note("a fork is seen");
	WORKS(standby_detach(&n2.h, &p, &e), "the standby lets go");
	WORKS(postmaster_promote(&n2.h, 0, &tli, &e), "and is promoted");
	ask(&n2, "insert into public.t values (100777) returning 1 as x");
	WORKS(conf_signal_write(&n2.h, &e), "standby.signal");
	WORKS(host_names(&n1.h, "", &e), "the primary does not wait for it");
	stop(&n2, POSTMASTER_FAST);
	WORKS(standby_start_alone(&n2.h, &p, &e), "it runs, following nobody");
	OK(p.tli == 4 && p.recovery, "on its own timeline");
	OK(standby_follow(&n2.h, &up, 3, 6000, &e), "it cannot follow: %s", e.msg);
	WORKS(join(&n2, &n1, &way), "it joins");
	IS_INT(way, STANDBY_REWIND, "by a rewind");
	IS_STR(ask(&n2, "select count(*) as x from public.t where i = 100777"), "0",
	    "without what was its own");
}

static void
test_mark(void)
{
	struct standby_join j = { .upstream = upstream(&n1), .deadline_ms = 20000 };
	enum standby_way way = STANDBY_FOLLOW;
	enum setup_state state;

	tap_note("a half-made directory");
	stop(&n2, POSTMASTER_FAST);
	WORKS(setup_mark(&n2.h, true, &e), "it is marked");
	OK(postmaster_start(&n2.h, POSTMASTER_LISTEN, 0, &e) && e.kind == ERR_STATE,
	    "it does not start: %s", e.msg);
	OK(standby_join(&n2.h, &j, &way, &e) && e.kind == ERR_STATE,
	    "without permission nothing happens: %s", e.msg);
	WORKS(setup_state(&n2.h, &state, &e), "it is looked at");
	IS_INT(state, SETUP_CLUSTER, "it is still there");
	WORKS(join(&n2, &n1, &way), "it joins");
	IS_INT(way, STANDBY_COPY, "by a copy");
	OK(!setup_marked(&n2.h), "the mark is gone");
}

static void
test_orphan(void)
{
	struct postmaster pm;
	pid_t child = fork();

	tap_note("a postmaster is killed, a backend goes on");
	if (child == 0) {
		ask(&n1, "do $$ begin loop insert into public.t values (1); commit;"
			 " end loop; end $$");
		_exit(0);
	}
	OK(becomes(&n1,
	       "select (count(*) > 0)::text as x from pg_catalog.pg_stat_activity"
	       " where query ~ '^do'",
	       "true"),
	    "a session is busy");
	postmaster_find(&n1.h, &pm);
	if (OK(pm.pid > 0, "the postmaster is found"))
		kill(pm.pid, SIGKILL);
	postmaster_find(&n1.h, &pm);
	while (pm.pid)
		postmaster_find(&n1.h, &pm);
	OK(postmaster_processes(&n1.h) > 0, "it survives its postmaster");
	WORKS(postmaster_start(&n1.h, POSTMASTER_LISTEN, 0, &e), "Postgres starts again");
	IS_STR(ask(&n1, "select 1 as x"), "1", "and answers");
	end_child(child);
}

static pid_t
process_titled(const struct server *s, const char *what)
{
	struct host_process *list;
	size_t n = host_process_list(&s->h, &list);
	pid_t pid = 0;

	for (size_t i = 0; i < n; i++) {
		char title[256];

		host_process_title(list[i].pid, title, sizeof title);
		if (strstr(title, what))
			pid = list[i].pid;
	}
	free(list);
	return pid;
}

static void
test_hung_receiver(void)
{
	struct postmaster_stop how = { .mode = POSTMASTER_FAST, .walsender_ms = 500 };
	struct control c;
	int64_t began = clock_mono().ms;
	pid_t receiver;

	tap_note("a walreceiver hangs");
	OK(becomes(&n1,
	       "select count(*)::text as x from pg_catalog.pg_stat_replication"
	       " where state = 'streaming'",
	       "1"),
	    "the standby streams");
	receiver = process_titled(&n2, "walreceiver");
	if (OK(receiver > 0, "its walreceiver is found"))
		kill(receiver, SIGSTOP);
	ask_as(&n1, "-c synchronous_commit=local",
	    "insert into public.t select i from generate_series(1, 50000) i");
	began = clock_mono().ms;
	WORKS(postmaster_stop(&n1.h, &how, &e), "the primary stops all the same");
	OK(clock_mono().ms - began < 5000, "in %lld ms",
	    (long long)(clock_mono().ms - began));
	kill(receiver, SIGCONT);
	WORKS(setup_control(&n1.h, &c, &e), "control file");
	IS_INT(c.state, CONTROL_SHUT_DOWN, "cleanly");
	WORKS(postmaster_start(&n1.h, POSTMASTER_LISTEN, 0, &e), "it starts");
}

static bool
give_up(void *arg, const char *text)
{
	int *lines = arg;

	return !(str_starts(text, "base backup") && strstr(text, "%") && ++*lines >= 1);
}

/* A copy that is cut off leaves the old directory as it was. */
static void
test_cut_copy(void)
{
	struct standby_join j = { .upstream = upstream(&n1), .deadline_ms = 20000 };
	struct standby_source source;
	enum setup_state state;
	int lines = 0;
	pid_t child;
	char *backup_file = xasprintf("%s/PG_VERSION", n2.cfg.backup_directory);

	tap_note("base backup cut off");
	stop(&n2, POSTMASTER_FAST);
	free(n2.cfg.maximum_backup_rate);
	n2.cfg.maximum_backup_rate = xstrdup("1M");
	WORKS(standby_identify(&n2.h, &j.upstream, &source, &e), "the source is asked");
	n2.h.progress = give_up;
	n2.h.arg = &lines;
	OK(standby_copy(&n2.h, &j, &source, &e), "it is given up on request: %s", e.msg);
	n2.h.progress = NULL;
	OK(!file_exists(n2.cfg.backup_directory), "its traces are gone");
	WORKS(setup_state(&n2.h, &state, &e), "the old directory");
	IS_INT(state, SETUP_CLUSTER, "is there");
	child = fork();
	if (child == 0) {
		log_level_set(LOG_LEVEL_ERROR);
		_exit(standby_copy(&n2.h, &j, &source, &e) ? 1 : 0);
	}
	for (int i = 0; i < 2000 && !file_exists(backup_file); i++)
		clock_nap_ms(10);
	OK(file_exists(backup_file), "another one has begun");
	end_child(child);
	OK(becomes(&n1,
	       "select count(*)::text as x from"
	       " pg_catalog.pg_stat_progress_basebackup",
	       "0"),
	    "pg_basebackup dies with its worker");
	free(n2.cfg.maximum_backup_rate);
	n2.cfg.maximum_backup_rate = NULL;
	WORKS(standby_copy(&n2.h, &j, &source, &e), "the next one does not mind");
	WORKS(join(&n2, &n1, NULL), "and joins");
	free(backup_file);
}

static void
test_foreign(void)
{
	struct standby_join j = { .upstream = upstream(&other), .may_copy = true };
	enum standby_way way;

	tap_note("another cluster, nobody there");
	WORKS(setup_initdb(&other.h, &e), "another cluster");
	WORKS(conf_main(&other.h, &e), "settings");
	WORKS(conf_standby_clear(&other.h, &e), "settings");
	OK(standby_join(&n2.h, &j, &way, &e), "an upstream that is down: %s", e.msg);
	append(&other, "fsync = off\nshared_buffers = 16MB\n");
	WORKS(postmaster_start(&other.h, POSTMASTER_LISTEN, 0, &e), "it starts");
	WORKS(host_objects(&other.h, &e), "roles");
	OK(standby_join(&n2.h, &j, &way, &e) && e.kind == ERR_STATE, "a foreign one: %s",
	    e.msg);
	OK(becomes(&n1,
	       "select count(*)::text as x from pg_catalog.pg_stat_replication"
	       " where state = 'streaming'",
	       "1"),
	    "nothing was changed");
	stop(&other, POSTMASTER_KILL);
}

/* Both were promoted from the same timeline: the same number, two histories. */
static void
test_twins(void)
{
	struct host_position p;
	enum standby_way way = STANDBY_FOLLOW;
	int tli1, tli2;

	tap_note("two timelines with the same number");
	WORKS(standby_detach(&n2.h, &p, &e), "the standby lets go");
	WORKS(postmaster_promote(&n2.h, 0, &tli2, &e), "and is promoted");
	ask(&n2, "insert into public.t values (100888) returning 1 as x");
	WORKS(conf_signal_write(&n1.h, &e), "the primary becomes a standby");
	stop(&n1, POSTMASTER_FAST);
	WORKS(standby_start_alone(&n1.h, &p, &e), "of nobody");
	ask(&n1, "select 1 as x");
	WORKS(postmaster_promote(&n1.h, 0, &tli1, &e), "and is promoted, too");
	WORKS(conf_standby_clear(&n1.h, &e), "it follows nobody");
	IS_INT(tli1, tli2, "to the same timeline");
	ask(&n1, "insert into public.t select i from generate_series(1, 1000) i");
	WORKS(join(&n2, &n1, &way), "one joins the other");
	IS_INT(way, STANDBY_COPY, "by a copy");
	IS_STR(ask(&n2, "select count(*) as x from public.t where i = 100888"), "0",
	    "without what was its own");
}

static void
test_no_hints(void)
{
	struct host_position p;
	enum standby_way way = STANDBY_FOLLOW;
	int tli;

	tap_note("a rewind that cannot be");
	WORKS(standby_detach(&n2.h, &p, &e), "the standby lets go");
	append(&n2, "wal_log_hints = off\n");
	stop(&n2, POSTMASTER_FAST);
	WORKS(standby_start_alone(&n2.h, &p, &e), "it runs without wal_log_hints");
	WORKS(postmaster_promote(&n2.h, 0, &tli, &e), "and is promoted");
	ask(&n2, "insert into public.t values (100999) returning 1 as x");
	WORKS(join(&n2, &n1, &way), "it joins");
	IS_INT(way, STANDBY_COPY, "by a copy");
	IS_STR(ask(&n2, "select count(*) as x from public.t where i = 100999"), "0",
	    "without what was its own");
}

/* The parent is not writable, as that of a mount point. */
static void
test_mount_point(void)
{
	struct server s;
	enum standby_way way = STANDBY_FOLLOW;
	char *parent = xasprintf("%s/n4", scratch);
	char *left[2];

	tap_note("a data directory that cannot be renamed");
	server_init(&s, "n4/data", n1.cfg.port + 3, 4);
	left[0] = xasprintf("%s/autoctl.backup", s.h.pgdata);
	left[1] = xasprintf("%s/autoctl.replaced", s.h.pgdata);
	WORKS(setup_find(&s.h, &e), "programs");
	WORKS(file_mkdir(s.h.pgdata, 0700, &e), "an empty directory");
	if (chmod(parent, 0500))
		die("chmod");
	for (int i = 0; i < 2; i++) {
		WORKS(join(&s, &n1, &way), i ? "it joins again" : "it joins");
		IS_INT(way, STANDBY_COPY, "by a copy");
		stop(&s, POSTMASTER_FAST);
		OK(!file_exists(left[0]) && !file_exists(left[1]),
		    "nothing is left over");
		OK(!setup_marked(&s.h), "the mark is gone");
		if (i == 0)
			WORKS(setup_mark(&s.h, true, &e), "half made");
	}
	WORKS(chmod(parent, 0700), "swept");
	ask(&n1,
	    "select pg_catalog.pg_drop_replication_slot('pgautofailover_standby_4')");
	config_drop(&s.cfg);
	free(parent);
	free(left[0]);
	free(left[1]);
}

static void
test_stale(void)
{
	struct postmaster_stop how = { .mode = POSTMASTER_FAST, .deadline_ms = 300 };
	struct postmaster pm;
	char *path = xasprintf("%s/postmaster.pid", n1.h.pgdata);
	struct buf text = { 0 };

	tap_note("a postmaster that hangs, a pid file of somebody else");
	postmaster_find(&n1.h, &pm);
	if (OK(pm.pid > 0, "the postmaster is found"))
		kill(pm.pid, SIGSTOP);
	WORKS(postmaster_stop(&n1.h, &how, &e), "it is stopped, by force");
	IS_INT(postmaster_processes(&n1.h), 0, "no process of it is left");
	buf_printf(&text, "%ld\n%s\n1\n%d\n/tmp\n*\n 1 1\nready\n", (long)getpid(),
	    n1.h.pgdata, n1.cfg.port);
	WORKS(file_replace(path, &text, 0600, &e), "a pid file that names us");
	postmaster_find(&n1.h, &pm);
	IS_INT(pm.pid, 0, "is nobody's");
	WORKS(postmaster_start(&n1.h, POSTMASTER_LISTEN, 0, &e),
	    "and does not stop a start");
	IS_STR(ask(&n1, "select 1 as x"), "1", "it answers");
	buf_drop(&text);
	free(path);
}

int
main(int argc, char **argv)
{
	if (argc < 3) {
		printf("1..0 # SKIP run by test/pg/host.t\n");
		return 0;
	}
	scratch = argv[1];
	log_level_set(getenv("VERBOSE") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	server_init(&n1, "n1", (int)strtol(argv[2], NULL, 10), 1);
	server_init(&n2, "n2", n1.cfg.port + 1, 2);
	server_init(&other, "n3", n1.cfg.port + 2, 3);
	test_setup();
	test_first_start();
	test_copy();
	test_sync();
	test_detach();
	test_door();
	test_rewind();
	test_switchover();
	test_diverged();
	test_mark();
	test_orphan();
	test_hung_receiver();
	test_cut_copy();
	test_foreign();
	test_twins();
	test_no_hints();
	test_mount_point();
	test_stale();
	stop(&n2, POSTMASTER_IMMEDIATE);
	stop(&n1, POSTMASTER_FAST);
	return tap_done();
}
