/* A node becomes a member: what is in PGDATA, a row at the monitor, the local files. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/node_create.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/service.h"
#include "ini/clock.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/host.h"
#include "pg/setup.h"
#include "pg/statefile.h"

#include "ini/ban.h"

#define REGISTER_MS 900000 /* for a group that has no primary at the moment */
#define FORMATION_MS 30000 /* for a formation that is about to be made */
#define AGAIN_MS 200
#define REACH_MS 1000

/* What is known of the Postgres before there is a node. */
struct finding {
	struct host host;
	enum statefile_found found;
	struct control control;
};

static int
read_state(const struct config *c, struct statefile *s, struct err *e)
{
	struct buf path = { 0 };
	int rc = config_path(c->pgdata, CONFIG_FILE_STATE, &path, e);

	if (rc == 0)
		rc = statefile_read(buf_peek(&path), s, e);
	buf_drop(&path);
	return rc;
}

static bool
has_init_file(const struct config *c)
{
	struct buf path = { 0 };
	bool yes = config_path(c->pgdata, CONFIG_FILE_INIT, &path, NULL) == 0 &&
		   file_exists(buf_peek(&path));

	buf_drop(&path);
	return yes;
}

int
node_stage(const struct config *c, enum node_stage *stage, struct err *e)
{
	struct statefile s;

	*stage = NODE_NEW;
	if (read_state(c, &s, e) == -1) {
		if (errno != ENOENT)
			return -1;
		err_clear(e);
		return 0;
	}
	if (s.keeper.current == FSM_DROPPED)
		return 0;
	*stage = has_init_file(c) ? NODE_UNFINISHED : NODE_READY;
	return 0;
}

/* When the monitor cannot be asked the files are believed. */
static bool
is_unknown(const struct config *c, const struct statefile *s)
{
	struct db_target t = { .uri = c->monitor };
	struct db db = { 0 };
	struct rows r = { 0 };
	char id[24];
	bool unknown = false;

	if (config_no_monitor(c) || db_open(&db, &t, NULL) == -1)
		return false;
	snprintf(id, sizeof id, "%lld", (long long)s->keeper.node_id);
	if (db_query(&db, NULL, &r,
		"select from pgautofailover.node where nodeid = $1::bigint", id,
		DB_END) == 0)
		unknown = r.count == 0;
	rows_drop(&r);
	db_close(&db);
	return unknown;
}

/*
 * The files are written before the registration is committed. A create that was killed in
 * between left files of a node that never was: it registers anew.
 */
bool
node_never_was(const struct config *c)
{
	struct statefile s;

	return read_state(c, &s, NULL) == 0 && s.keeper.current == FSM_INIT &&
	       is_unknown(c, &s);
}

bool
node_is_no_more(const struct config *c)
{
	struct statefile s;

	return read_state(c, &s, NULL) == 0 && is_unknown(c, &s);
}

/* -- what is there -- */

static int
look_at_running(struct finding *f, struct err *e)
{
	struct host_position at;
	struct db db = { 0 };
	struct buf missing = { 0 };
	int rc;

	if (host_position(&f->host, &at, e) == -1)
		return err_wrap(e, "the running Postgres");
	if (at.recovery) {
		err_set(e, ERR_STATE,
		    "the running Postgres is a standby, which cannot be "
		    "registered as it is");
		return err_hint(e,
		    "Stop it first, or remove its data directory: a copy is "
		    "made then.");
	}
	f->found = STATEFILE_FOUND_PRIMARY;
	if (host_open(&f->host, &db, 0, e) == -1)
		return -1;
	rc = conf_missing(&db, &missing, e);
	db_close(&db);
	if (rc == 0 && buf_len(&missing) > 0) {
		err_set(e, ERR_POSTGRES,
		    "the settings of the running Postgres do not suffice");
		err_detail(e, "%s", buf_peek(&missing));
		rc = err_hint(e, "Change them, restart Postgres, and try again.");
	}
	buf_drop(&missing);
	return rc;
}

static int
look_at_pgdata(struct finding *f, struct err *e)
{
	enum setup_state s;

	f->found = STATEFILE_FOUND_NOTHING;
	if (setup_state(&f->host, &s, e) == -1)
		return -1;
	if (s == SETUP_FOREIGN)
		return err_set(e, ERR_STATE,
		    "%s is not empty, and not a data directory of Postgres",
		    f->host.pgdata);
	if (s != SETUP_CLUSTER && s != SETUP_RUNNING)
		return 0;
	if (setup_debian(&f->host, e) == -1 ||
	    setup_control(&f->host, &f->control, e) == -1)
		return -1;
	f->found = STATEFILE_FOUND_STOPPED;
	return s == SETUP_RUNNING ? look_at_running(f, e) : 0;
}

static int
examine(struct config *c, struct finding *f, struct err *e)
{
	struct buf path = { 0 };

	memset(f, 0, sizeof *f);
	if (geteuid() == 0) {
		err_set(e, ERR_SYSTEM, "Postgres refuses to run as root");
		return err_hint(e, "Run this as the user who is to own %s.", c->pgdata);
	}
	if (host_init(&f->host, c, 0, e) == -1 || setup_find(&f->host, e) == -1)
		return -1;
	if (str_empty(c->pg_ctl)) {
		setup_program(&f->host, "pg_ctl", &path);
		c->pg_ctl = xstrdup(buf_peek(&path));
		buf_drop(&path);
	}
	if (look_at_pgdata(f, e) == -1)
		return -1;
	return f->found == STATEFILE_FOUND_PRIMARY ? 0 : host_check_port(c, e);
}

/* -- registration -- */

struct registered {
	int64_t id;
	int group;
	char name[STR_NAME_MAX + 1];
};

static int
call_register(struct cmd_ctx *x, const struct config *c, const struct finding *f,
    struct db *db, struct registered *r)
{
	const struct cmd_args *a = &x->args;
	char port[16], sysid[24];
	struct rows rows = { 0 };
	struct row row;

	snprintf(port, sizeof port, "%d", c->proxyport > 0 ? c->proxyport : c->port);
	snprintf(sysid, sizeof sysid, "%lld", (long long)f->control.system_identifier);
	if (db_query(db, &x->err, &rows,
		"select assigned_node_id as id, assigned_group_id as grp, "
		"assigned_node_name "
		"as name from pgautofailover.register_node($1, $2, $3::int, $4, $5, "
		"$6::bigint, -1, -1, $7, $8, $9::int, $10::bool, 'default', $11)",
		c->formation, c->hostname, port, c->dbname, c->name ? c->name : "", sysid,
		f->found == STATEFILE_FOUND_PRIMARY ? "single" : "init", c->nodekind,
		a->priority ? a->priority : "50", a->quorum ? a->quorum : "true",
		a->region ? a->region : "default", DB_END) == -1)
		return -1;
	row = row_at(&rows, 0);
	r->id = row_i64(&row, "id");
	r->group = row_int(&row, "grp");
	snprintf(r->name, sizeof r->name, "%s", row_text(&row, "name"));
	rows_drop(&rows);
	return 0;
}

static int
write_init(const char *pgdata, enum statefile_found found, struct err *e)
{
	struct buf path = { 0 };
	int rc = config_path(pgdata, CONFIG_FILE_INIT, &path, e);

	if (rc == 0 && (rc = file_unlink(buf_peek(&path), e)) == 0)
		rc = statefile_init_write(buf_peek(&path), found, e);
	buf_drop(&path);
	return rc;
}

static int
write_state(const struct config *c, const struct finding *f, const struct registered *r,
    struct err *e)
{
	struct buf path = { 0 };
	struct statefile s;
	int rc = config_path(c->pgdata, CONFIG_FILE_STATE, &path, e);

	statefile_init(&s);
	s.pg_version = f->host.version / 100;
	s.control_version = f->control.control_version;
	s.catalog_version = f->control.catalog_version;
	s.keeper.node_id = r->id;
	s.keeper.group_id = r->group;
	s.keeper.system_identifier = f->control.system_identifier;
	s.keeper.goal = FSM_INIT;
	if (rc == 0)
		rc = statefile_write(buf_peek(&path), &s, e);
	buf_drop(&path);
	return rc;
}

static int
write_settings(struct config *c, const struct registered *r, struct err *e)
{
	struct buf path = { 0 };
	int rc;

	c->group = r->group;
	free(c->name);
	c->name = xstrdup(r->name);
	rc = config_path(c->pgdata, CONFIG_FILE_CFG, &path, e);
	if (rc == 0)
		rc = config_save(c, buf_peek(&path), e);
	buf_drop(&path);
	return rc;
}

/* The files are written before the row is there for others: whatever fails in between,
 * no node is known that has no files. */
static int
register_once(struct cmd_ctx *x, struct config *c, const struct finding *f, struct db *db)
{
	struct registered r = { 0 };
	struct err *e = &x->err;

	if (db_run(db, e, "begin", DB_END) == -1)
		return -1;
	if (call_register(x, c, f, db, &r) == -1 ||
	    write_init(c->pgdata, f->found, e) == -1 || write_state(c, f, &r, e) == -1 ||
	    write_settings(c, &r, e) == -1 || db_run(db, e, "commit", DB_END) == -1)
		return -1;
	log_info("registered as node %lld \"%s\" in formation \"%s\", group %d",
	    (long long)r.id, r.name, c->formation, r.group);
	return 0;
}

static bool
is_retryable(const char *sqlstate)
{
	static const char *const exact[] = { "40001", "40003", "40P01", "55006", "42P17",
		"3F000", "42883" };

	for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
		if (strcmp(sqlstate, exact[i]) == 0)
			return true;
	return strncmp(sqlstate, "53", 2) == 0 || strncmp(sqlstate, "54", 2) == 0;
}

/* What is to go on as a service may be there before the monitor is. Somebody who waits
 * for the command to end is told at once; a wrong password will not be right later. */
static int
reach_monitor(struct cmd_ctx *x, const struct config *c, struct db *db)
{
	struct db_target t = { .uri = c->monitor };
	bool service = x->args.run || (x->cmd->flags & CMD_SERVICE);
	struct mono until = mono_after(clock_mono(), service ? REGISTER_MS : 0);
	struct log_once once = { 0 };

	while (db_open(db, &t, &x->err) == -1) {
		if (strcmp(x->err.sqlstate, "28P01") == 0 ||
		    !clock_nap_until(until, REACH_MS))
			return err_wrap(&x->err, "connect to the monitor");
		log_once(
		    &once, LOG_LEVEL_WARN, "waiting for the monitor: %s", x->err.msg);
		err_clear(&x->err);
	}
	return 0;
}

static int
register_retrying(struct cmd_ctx *x, struct config *c, const struct finding *f)
{
	struct log_once once = { 0 };
	struct mono began = clock_mono();
	struct mono until;
	struct db db = { 0 };
	int rc;

	if (reach_monitor(x, c, &db) == -1)
		return -1;
	while (
	    (rc = register_once(x, c, f, &db)) == -1 && is_retryable(x->err.sqlstate)) {
		bool formation = strcmp(x->err.sqlstate, "42P17") == 0 ||
				 strcmp(x->err.sqlstate, "3F000") == 0 ||
				 strcmp(x->err.sqlstate, "42883") == 0;

		log_once(&once, LOG_LEVEL_WARN, "%s; trying again", x->err.msg);
		until = mono_after(began, formation ? FORMATION_MS : REGISTER_MS);
		if (db_run(&db, NULL, "rollback", DB_END) == -1 ||
		    !clock_nap_until(until, AGAIN_MS))
			break;
	}
	db_close(&db);
	return rc == 0 ? 0 : err_wrap(&x->err, "register with the monitor");
}

static int
register_alone(struct cmd_ctx *x, struct config *c, const struct finding *f)
{
	struct registered r = { .group = 0 };
	int id;

	if (x->args.node_id == NULL)
		return err_set(&x->err, ERR_USAGE, "--disable-monitor needs --node-id");
	if (str_int_between(x->args.node_id, 1, INT32_MAX, &id, &x->err) == -1)
		return err_wrap(&x->err, "--node-id");
	r.id = id;
	if (c->name)
		snprintf(r.name, sizeof r.name, "%s", c->name);
	else
		snprintf(r.name, sizeof r.name, "node_%d", id);
	if (write_init(c->pgdata, f->found, &x->err) == -1 ||
	    write_state(c, f, &r, &x->err) == -1)
		return -1;
	return write_settings(c, &r, &x->err);
}

static void
remove_files(const struct config *c, bool settings)
{
	static const enum config_file file[] = { CONFIG_FILE_INIT, CONFIG_FILE_STATE,
		CONFIG_FILE_CFG };

	for (int i = 0; i < (settings ? 3 : 2); i++) {
		struct buf path = { 0 };

		if (config_path(c->pgdata, file[i], &path, NULL) == 0 &&
		    file_unlink(buf_peek(&path), NULL) == -1)
			log_warn("%s is left behind", buf_peek(&path));
		buf_drop(&path);
	}
}

int
node_register(struct cmd_ctx *x, struct config *c)
{
	struct finding *f = xcalloc(1, sizeof *f);
	bool had_settings = x->have_config;
	int rc = examine(c, f, &x->err);

	if (rc == 0) {
		rc = config_no_monitor(c) ? register_alone(x, c, f)
					  : register_retrying(x, c, f);
		if (rc == -1)
			remove_files(c, !had_settings);
	}
	free(f);
	return rc;
}
