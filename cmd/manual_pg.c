/* manual primary, manual standby: single acts of a keeper, on this host. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/service.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/hba.h"
#include "pg/postmaster.h"
#include "pg/report.h"
#include "pg/setup.h"
#include "pg/standby.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define RESTORE_MS 60000

/* -- of a primary -- */

/* A running Postgres that takes writes. */
static int
primary(struct cmd_ctx *x, struct host *h)
{
	struct host_position p;

	if (cmd_local_programs(x, h) == -1 || host_position(h, &p, &x->err) == -1)
		return -1;
	if (!p.recovery)
		return 0;
	return err_set(
	    &x->err, ERR_POSTGRES, "%s: this Postgres is a standby", h->pgdata);
}

/* The slot that is named, else that of this node. */
static void
slot_name(struct cmd_ctx *x, const struct host *h, struct buf *b)
{
	if (x->nwords > 0 && x->word[0])
		buf_str(b, x->word[0]);
	else
		buf_printf(b, HOST_STANDBY "%lld", (long long)h->node_id);
}

static int
slot(struct cmd_ctx *x, const char *sql, const char *done)
{
	struct buf name = { 0 };
	struct db d = { 0 };
	struct rows r = { 0 };
	struct host h;
	int rc = primary(x, &h);

	if (rc == 0)
		rc = host_open(&h, &d, 0, &x->err);
	slot_name(x, &h, &name);
	if (rc == 0)
		rc = db_query(&d, &x->err, &r, sql, buf_peek(&name), DB_END);
	if (rc == 0)
		log_info("replication slot \"%s\" %s", buf_peek(&name),
		    r.count ? done : "was as wanted");
	rows_drop(&r);
	db_close(&d);
	buf_drop(&name);
	return rc;
}

int
cmd_manual_primary_slot_create(struct cmd_ctx *x)
{
	return slot(x,
	    "select pg_catalog.pg_create_physical_replication_slot($1, true) where not "
	    "exists (select from pg_catalog.pg_replication_slots where slot_name = $1)",
	    "is created");
}

int
cmd_manual_primary_slot_drop(struct cmd_ctx *x)
{
	return slot(x,
	    "select pg_catalog.pg_drop_replication_slot(slot_name) from "
	    "pg_catalog.pg_replication_slots where slot_name = $1",
	    "is dropped");
}

/* The others of the group, as the monitor knows them: rules of pg_hba.conf that leave one
 * out would shut it out. */
static int
let_in(struct cmd_ctx *x, const struct host *h, const char *uri)
{
	struct peer peer[FSM_NODES_MAX];
	struct hba hba = { .peer = peer };
	struct rows r = { 0 };
	struct buf host = { 0 };
	char id[24];
	int rc;

	snprintf(id, sizeof id, "%lld", (long long)h->node_id);
	rc = uri_get(uri, "host", &host, &x->err);
	if (rc == 0)
		rc = cmd_open_monitor(x);
	if (rc == 0)
		rc = db_query(&x->monitor, &x->err, &r, report_peers_sql, id, DB_END);
	for (int i = 0; rc == 0 && i < r.count && i < FSM_NODES_MAX; i++) {
		struct row row = row_at(&r, i);

		rc = peer_parse(&peer[hba.npeers++], &row, &x->err);
	}
	hba.monitor_host = buf_peek(&host);
	if (rc == 0 && hba_update(h, &hba, &x->err) == -1)
		rc = -1;
	rows_drop(&r);
	buf_drop(&host);
	return rc;
}

/* Roles always; the rules are a running keeper's, which has let the monitor in already.
 */
int
cmd_manual_primary_adduser_monitor(struct cmd_ctx *x)
{
	const char *uri = x->word[0];
	struct host h;
	pid_t pid;
	int runs;

	if (uri_check(uri, &x->err) == -1) {
		x->err.kind = ERR_USAGE;
		return -1;
	}
	if (primary(x, &h) == -1 || host_objects(&h, &x->err) == -1)
		return -1;
	log_info("role " HOST_HEALTH " is there");
	runs = service_find(buf_peek(&x->pgdata), &pid, &x->err);
	if (runs == -1)
		return -1;
	return runs ? 0 : let_in(x, &h, uri);
}

int
cmd_manual_primary_adduser_replica(struct cmd_ctx *x)
{
	struct host h;

	if (primary(x, &h) == -1 || host_objects(&h, &x->err) == -1)
		return -1;
	log_info("role " HOST_REPLICATOR " is there");
	return 0;
}

int
cmd_manual_primary_defaults(struct cmd_ctx *x)
{
	struct postmaster p;
	struct host h;
	int changed;

	if (cmd_local_programs(x, &h) == -1)
		return -1;
	changed = conf_main(&h, &x->err);
	if (changed == -1)
		return -1;
	log_info("%s/" CONF_MAIN " %s", h.pgdata,
	    changed ? "is written" : "was as it should be");
	postmaster_find(&h, &p);
	return changed && p.pid ? host_reload(&h, &x->err) : 0;
}

/* -- whom a standby follows -- */

static int
upstream(struct cmd_ctx *x, struct conf_upstream *up)
{
	memset(up, 0, sizeof *up);
	up->id = 1; /* somebody: which node it is does not matter here */
	if (str_host(x->word[0], &x->err) == -1 ||
	    str_copy(up->host, sizeof up->host, x->word[0], &x->err) == -1)
		return -1;
	return str_int_between(x->word[1], 1, 65535, &up->port, &x->err);
}

int
cmd_manual_primary_identify(struct cmd_ctx *x)
{
	static struct standby_source s;
	struct conf_upstream up;
	char lsn[STR_LSN_MAX];
	struct host h;

	if (upstream(x, &up) == -1 || cmd_local(x, &h) == -1 ||
	    standby_identify(&h, &up, &s, &x->err) == -1)
		return -1;
	printf(
	    "%-20s%llu\n", "System Identifier:", (unsigned long long)s.system_identifier);
	printf("%-20s%d\n", "Timeline:", s.tli);
	printf("%-20s%s\n", "LSN:", str_lsn_format(s.lsn, lsn));
	printf("%-20s%s\n", "In recovery:", s.recovery ? "yes" : "no");
	return 0;
}

static bool
tell_progress(void *arg, const char *text)
{
	static char last[128];

	(void)arg;
	if (strncmp(last, text, sizeof last - 1) != 0)
		log_info("%s", text);
	snprintf(last, sizeof last, "%s", text);
	return true;
}

/* A half made directory is marked with the keeper's state, as a keeper does it. */
static int
mark(void *arg, bool on, struct err *e)
{
	struct cmd_ctx *x = arg;
	struct statefile s;
	struct err no = x->err;
	int rc = cmd_local_state(x, &s);

	if (rc == 0) {
		s.keeper.rewinding = on;
		rc = cmd_local_state_write(x, &s);
	}
	if (rc == -1 && e)
		*e = x->err;
	if (rc == 0)
		x->err = no;
	return rc;
}

/* Settings, programs, whom to follow, and nobody else who works here. */
static int
begin(struct cmd_ctx *x, struct host *h, struct standby_join *j)
{
	struct statefile s;

	memset(j, 0, sizeof *j);
	if (cmd_local_alone(x) == -1 || upstream(x, &j->upstream) == -1 ||
	    cmd_local_state(x, &s) == -1 || cmd_local_programs(x, h) == -1)
		return -1;
	j->rewinding = mark;
	j->arg = x;
	h->progress = tell_progress;
	return 0;
}

static int
join(struct cmd_ctx *x, const struct host *h, const struct standby_join *j,
    enum standby_way before)
{
	static const char *const ways[] = { [STANDBY_FOLLOW] = "nothing had to be undone",
		[STANDBY_AHEAD] = "it was ahead",
		[STANDBY_REWIND] = "it was rewound",
		[STANDBY_COPY] = "it was copied" };
	enum standby_way way;

	if (standby_join(h, j, &way, &x->err) == -1)
		return -1;
	log_info("a standby of %s:%d: %s", j->upstream.host, j->upstream.port,
	    ways[way == STANDBY_FOLLOW ? before : way]);
	return 0;
}

static int
refuse_running(struct cmd_ctx *x, const struct host *h)
{
	struct postmaster p;

	postmaster_find(h, &p);
	if (p.pid == 0)
		return 0;
	err_set(
	    &x->err, ERR_STATE, "%s: Postgres runs, process %d", h->pgdata, (int)p.pid);
	return err_hint(
	    &x->err, "stop it first: \"%s manual service pgctl off\"", x->program);
}

/* A copy, whatever is there: what is there stays until the copy is complete. */
int
cmd_manual_standby_init(struct cmd_ctx *x)
{
	static struct standby_source s;
	struct standby_join j;
	struct host h;

	if (begin(x, &h, &j) == -1 || refuse_running(x, &h) == -1 ||
	    standby_identify(&h, &j.upstream, &s, &x->err) == -1 ||
	    standby_source_slot(&h, &j.upstream, &x->err) == -1 ||
	    standby_copy(&h, &j, &s, &x->err) == -1)
		return -1;
	return join(x, &h, &j, STANDBY_COPY);
}

/* Never a copy. */
int
cmd_manual_standby_rewind(struct cmd_ctx *x)
{
	struct standby_join j;
	struct host h;

	return begin(x, &h, &j) == -1 || join(x, &h, &j, STANDBY_FOLLOW) == -1 ? -1 : 0;
}

/* As a standby that follows nobody, so that nothing is written; then down, cleanly. */
int
cmd_manual_standby_crash_recovery(struct cmd_ctx *x)
{
	static const struct postmaster_stop fast = { .mode = POSTMASTER_FAST,
		.deadline_ms = RESTORE_MS };
	struct host_position p;
	char lsn[STR_LSN_MAX];
	struct host h;

	if (cmd_local_alone(x) == -1 || cmd_local_programs(x, &h) == -1 ||
	    refuse_running(x, &h) == -1 || standby_start_alone(&h, &p, &x->err) == -1 ||
	    postmaster_stop(&h, &fast, &x->err) == -1)
		return -1;
	log_info("recovered up to %s on timeline %d, and stopped",
	    str_lsn_format(p.lsn, lsn), p.tli);
	log_hint("standby.signal is there: a start by hand makes it a standby");
	return 0;
}

int
cmd_manual_standby_promote(struct cmd_ctx *x)
{
	struct host h;
	int tli;

	if (cmd_local_alone(x) == -1 || cmd_local_programs(x, &h) == -1 ||
	    postmaster_promote(&h, 0, &tli, &x->err) == -1 ||
	    conf_standby_clear(&h, &x->err) == -1 ||
	    host_read_only(&h, false, &x->err) == -1 || hba_open(&h, &x->err) == -1)
		return -1;
	log_info("promoted, on timeline %d", tli);
	log_warn("the monitor does not know: the group may have another primary");
	return 0;
}
