/* A monitor is made: its settings, its Postgres or another one, its database. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/settings.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/hba.h"
#include "pg/schema.h"
#include "pg/setup.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define OWNER "autoctl"
#define NODE_ROLE "autoctl_node"
#define STATEMENT_MS 3000
#define STOP_MS 30000
#define PG_VERSION_MIN 130000

/* -- settings -- */

/* The name others would use, when there is one that they can look up; else the address
 * that packets leave by. */
static void
find_hostname(char *to, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	struct sockaddr_in far = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct sockaddr_in own = { 0 };
	socklen_t len = sizeof own;
	int fd;

	if (gethostname(to, size - 1) == 0 && strcmp(to, "localhost") != 0 &&
	    getaddrinfo(to, NULL, &hints, &found) == 0) {
		freeaddrinfo(found);
		return;
	}
	snprintf(to, size, "localhost");
	/* connecting a datagram socket sends nothing, it only asks the routing table */
	inet_pton(AF_INET, "8.8.8.8", &far.sin_addr);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&far, sizeof far) == 0 &&
	    getsockname(fd, (struct sockaddr *)&own, &len) == 0)
		inet_ntop(AF_INET, &own.sin_addr, to, (socklen_t)size);
	close(fd);
}

static int
dburi_setting(struct cmd_ctx *x)
{
	const char *uri = x->args.dburi;

	if (!uri)
		return 0;
	if (uri_check(uri, &x->err))
		return err_wrap(&x->err, "--dburi");
	if (x->have_config && !str_empty(x->config.dburi) &&
	    !uri_same(uri, x->config.dburi))
		return err_set(&x->err, ERR_CONFIG,
		    "this monitor keeps its metadata in another database");
	free(x->config.dburi);
	x->config.dburi = xstrdup(uri);
	return 0;
}

static int
new_settings(struct cmd_ctx *x)
{
	struct config *c = &x->config;

	config_init(c, CONFIG_MONITOR);
	free(c->pgdata);
	c->pgdata = xstrdup(buf_peek(&x->pgdata));
	return 0;
}

static int
load_settings(struct cmd_ctx *x)
{
	if (config_path(buf_peek(&x->pgdata), CONFIG_FILE_CFG, &x->cfg_path, &x->err))
		return -1;
	if (!x->have_config && file_exists(buf_peek(&x->cfg_path)) && cmd_load_config(x))
		return -1;
	if (!x->have_config)
		return new_settings(x);
	if (x->config.kind != CONFIG_MONITOR)
		return err_set(&x->err, ERR_CONFIG,
		    "%s belongs to a node, not to a monitor", buf_peek(&x->pgdata));
	return 0;
}

static int
settings(struct cmd_ctx *x)
{
	char name[256] = "";

	if (load_settings(x) || dburi_setting(x) || settings_common(x))
		return -1;
	/* a database that is there has its own ways of authentication and encryption */
	if (str_empty(x->config.dburi) && settings_access(x))
		return -1;
	if (str_empty(x->config.hostname)) {
		find_hostname(name, sizeof name);
		x->config.hostname = xstrdup(name);
	}
	if (settings_secret(x, "pg_autoctl.autoctl_node_password", x->args.node_password,
		"PG_AUTOCTL_NODE_PASSWORD") ||
	    settings_secret(x, "pg_autoctl.monitor_password", x->args.monitor_password,
		"PG_AUTOCTL_MONITOR_PASSWORD"))
		return -1;
	return config_check(&x->config, &x->err);
}

/* -- the instance -- */

int
monitor_home_init(struct monitor_home *h, struct config *c, struct err *e)
{
	*h = (struct monitor_home){ .cfg = c, .embedded = str_empty(c->dburi) };
	if (!h->embedded)
		return 0;
	if (host_init(&h->host, c, 0, e) || setup_find(&h->host, e))
		return -1;
	return 0;
}

static int
make_cluster(struct monitor_home *h, struct err *e)
{
	struct host *host = &h->host;

	log_info("creating the monitor's Postgres in %s", host->pgdata);
	if (setup_initdb(host, e))
		return -1;
	return 0;
}

int
monitor_home_make(struct monitor_home *h, struct err *e)
{
	enum setup_state state;

	if (!h->embedded)
		return 0;
	if (setup_state(&h->host, &state, e))
		return -1;
	if (state == SETUP_FOREIGN)
		return err_set(e, ERR_STATE,
		    "%s is not empty, and no Postgres data directory", h->host.pgdata);
	if (state != SETUP_RUNNING && host_check_port(h->cfg, e))
		return -1;
	if ((state == SETUP_MISSING || state == SETUP_EMPTY) && make_cluster(h, e))
		return -1;
	if (h->cfg->ssl_active && setup_certificate(&h->host, e))
		return -1;
	if (conf_main(&h->host, e) < 0)
		return -1;
	/* rules for encrypted connections count when there are such */
	if (state == SETUP_RUNNING && host_reload(&h->host, e))
		return -1;
	return hba_monitor(&h->host, e) < 0 ? -1 : 0;
}

static void
log_change(void *arg, const struct config_key *k, enum config_outcome outcome,
    const char *before, const char *after)
{
	static const char *const text[] = { "", ", after the next start",
		", refused: decided when the monitor was created" };

	(void)arg;
	log_at(outcome == CONFIG_APPLIED ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
	    "%s.%s: \"%s\" -> \"%s\"%s", k->section, k->name, before, after,
	    text[outcome]);
}

/* -- the database -- */

static int
is_true(struct db *d, const char *sql, bool *yes, struct err *e)
{
	struct rows r = { 0 };
	struct row row;

	if (db_query(d, e, &r, sql, DB_END))
		return -1;
	row = row_at(&r, 0);
	*yes = row_bool(&row, "v");
	rows_drop(&r);
	return 0;
}

/* Unless the first statement says that it is there, run the second. */
static int
ensure(struct db *d, const char *test, const char *sql, struct err *e)
{
	bool there;

	if (is_true(d, test, &there, e))
		return -1;
	return there ? 0 : db_run(d, e, sql, DB_END);
}

/* A keeper that hangs in a transaction must not hold the locks a decision needs. */
#define NODE_ROLE_SQL                                                                    \
	"create role " NODE_ROLE " login; alter role " NODE_ROLE                         \
	" set idle_in_transaction_session_timeout = '60s'"

static int
ensure_node_role(struct db *d, struct err *e)
{
	bool there;

	if (is_true(d,
		"select exists (select from pg_catalog.pg_roles where rolname = "
		"'" NODE_ROLE "') as v",
		&there, e))
		return -1;
	return there ? 0 : db_script(d, NODE_ROLE_SQL, e);
}

static int
create_database(struct db *d, const char *name, struct err *e)
{
	struct rows r = { 0 };
	char *quoted;
	char *sql;
	int count;
	int rc;

	if (db_query(d, e, &r, "select from pg_catalog.pg_database where datname = $1",
		name, DB_END))
		return -1;
	count = r.count;
	rows_drop(&r);
	if (count)
		return 0;
	quoted = PQescapeIdentifier(d->conn, name, strlen(name));
	if (!quoted)
		return db_conn_err(d->conn, d->local, e);
	sql = xasprintf("create database %s owner " OWNER, quoted);
	rc = db_run(d, e, sql, DB_END);
	free(sql);
	PQfreemem(quoted);
	return rc;
}

static int
fill_embedded(struct monitor_home *h, struct err *e)
{
	struct db d;
	int rc = -1;

	if (host_open(&h->host, &d, 0, e))
		return -1;
	if (ensure(&d,
		"select exists (select from pg_catalog.pg_roles where rolname = '" OWNER
		"') as v",
		"create role " OWNER " login", e) == 0 &&
	    ensure_node_role(&d, e) == 0 &&
	    host_password(&d, NODE_ROLE, h->cfg->autoctl_node_password, e) == 0 &&
	    create_database(&d, h->cfg->dbname, e) == 0)
		rc = 0;
	db_close(&d);
	return rc;
}

int
monitor_home_reload(struct monitor_home *h, struct err *e)
{
	struct buf path = { 0 };
	struct config fresh;
	int rc;

	if (config_path(h->cfg->pgdata, CONFIG_FILE_CFG, &path, e))
		return -1;
	rc = config_load(&fresh, buf_peek(&path), e);
	buf_drop(&path);
	if (rc)
		return -1;
	rc = config_reload(h->cfg, &fresh, log_change, NULL, e);
	config_drop(&fresh);
	if (rc < 0 || !h->embedded)
		return rc < 0 ? -1 : 0;
	return monitor_home_make(h, e) || fill_embedded(h, e) ? -1 : 0;
}

/* clang-format off */
#define ABOUT_SQL \
	"select pg_is_in_recovery() as standby, current_setting('server_version_num')::int" \
	" as version, current_user as me, current_database() as db," \
	" coalesce((select pg_has_role(nspowner, 'usage') from pg_catalog.pg_namespace" \
	"  where nspname = 'pgautofailover')," \
	"  has_database_privilege(current_database(), 'create')) as owner," \
	" exists (select from pg_catalog.pg_roles where rolname = '" NODE_ROLE "') as role," \
	" (select rolsuper or rolcreaterole from pg_catalog.pg_roles" \
	"  where rolname = current_user) as creator"
/* clang-format on */

static int
check_foreign(struct db *d, const struct row *r, struct err *e)
{
	if (row_bool(r, "standby"))
		return err_set(e, ERR_MONITOR,
		    "the metadata database is a standby: waiting until it, or another "
		    "one that "
		    "the connection string names, is the primary");
	if (row_int(r, "version") < PG_VERSION_MIN)
		return err_set(e, ERR_CONFIG,
		    "the metadata database runs Postgres %d, the oldest "
		    "that will do is 13",
		    row_int(r, "version") / 10000);
	if (!row_bool(r, "owner")) {
		err_set(e, ERR_CONFIG,
		    "role \"%s\" may not create the schema pgautofailover",
		    row_text(r, "me"));
		return err_hint(e,
		    "Have an administrator run: GRANT CREATE ON DATABASE \"%s\" TO "
		    "\"%s\"",
		    row_text(r, "db"), row_text(r, "me"));
	}
	if (row_bool(r, "role"))
		return 0;
	if (row_bool(r, "creator"))
		return db_script(d, NODE_ROLE_SQL, e);
	err_set(e, ERR_CONFIG,
	    "there is no role " NODE_ROLE ", by which nodes connect, and "
	    "\"%s\" may not create it",
	    row_text(r, "me"));
	return err_hint(e, "Have an administrator run: CREATE ROLE " NODE_ROLE " LOGIN");
}

static int
fill_foreign(struct monitor_home *h, struct err *e)
{
	struct rows r = { 0 };
	struct db d;
	int rc = -1;

	if (monitor_home_open(h, &d, e))
		return -1;
	if (db_query(&d, e, &r, ABOUT_SQL, DB_END) == 0) {
		struct row row = row_at(&r, 0);

		rc = check_foreign(&d, &row, e);
		if (rc == 0 && !str_empty(h->cfg->autoctl_node_password))
			rc = host_password(
			    &d, NODE_ROLE, h->cfg->autoctl_node_password, e);
	}
	rows_drop(&r);
	db_close(&d);
	return rc;
}

int
monitor_home_open(const struct monitor_home *h, struct db *d, struct err *e)
{
	struct host_target local;
	struct db_target t = { .uri = h->cfg->dburi, .connect_ms = 3000 };

	if (h->embedded) {
		host_target(&h->host, &local);
		t = local.t;
		t.dbname = h->cfg->dbname;
	}
	t.application_name = "autoctl monitor";
	t.statement_ms = STATEMENT_MS;
	/* an operator's open transaction must not hold up a decision without a word */
	t.options = "-c lock_timeout=2s -c plan_cache_mode=force_generic_plan";
	if (db_open(d, &t, e))
		return err_wrap(e, "connect to the metadata database");
	/* what the superuser would create must belong to the owner of the schema */
	if (h->embedded && db_run(d, e, "set role " OWNER, DB_END)) {
		db_close(d);
		return -1;
	}
	return 0;
}

int
monitor_home_fill(struct monitor_home *h, struct err *e)
{
	struct db d;
	int rc = -1;

	if (h->embedded ? fill_embedded(h, e) : fill_foreign(h, e))
		return -1;
	if (monitor_home_open(h, &d, e))
		return -1;
	if (schema_migrate(&d, e) >= 0 && schema_fill(&d, e) == 0)
		rc = 0;
	db_close(&d);
	return rc;
}

/* -- the commands -- */

static int
make_formations(struct cmd_ctx *x, const struct monitor_home *h)
{
	struct db d;
	int rc = 0;

	if (x->args.nformations == 0)
		return 0;
	if (monitor_home_open(h, &d, &x->err))
		return -1;
	for (int i = 0; i < x->args.nformations && rc == 0; i++)
		rc = str_name(x->args.formations[i], &x->err) ||
		     db_run(&d, &x->err,
			 "insert into pgautofailover.formation (formationid) values ($1)"
			 " on conflict do nothing",
			 x->args.formations[i], DB_END);
	db_close(&d);
	return rc ? -1 : 0;
}

/* Somebody's running Postgres is not taken for ours only because of where it is. */
static int
check_running(const struct cmd_ctx *x, const struct monitor_home *h, struct err *e)
{
	enum setup_state state;

	if (!h->embedded || x->have_config)
		return 0;
	if (setup_state(&h->host, &state, e))
		return -1;
	if (state != SETUP_RUNNING)
		return 0;
	err_set(e, ERR_STATE, "a Postgres that is no monitor runs in %s", h->host.pgdata);
	return err_hint(e, "Stop it first, or use --dburi.");
}

static int
make(struct cmd_ctx *x, struct monitor_home *h)
{
	struct err *e = &x->err;

	if (monitor_home_init(h, &x->config, e) || check_running(x, h, e) ||
	    monitor_home_make(h, e) || config_save(&x->config, buf_peek(&x->cfg_path), e))
		return -1;
	if (h->embedded && postmaster_start(&h->host, POSTMASTER_LISTEN, 0, e))
		return -1;
	return monitor_home_fill(h, e) || make_formations(x, h) ? -1 : 0;
}

static int
stop_postgres(struct monitor_home *h, struct err *e)
{
	struct postmaster_stop how = { .mode = POSTMASTER_FAST, .deadline_ms = STOP_MS };

	return h->embedded ? postmaster_stop(&h->host, &how, e) : 0;
}

/* A foreign database may be away, or a standby, for now: the service waits for it. */
static bool
may_wait(const struct monitor_home *h, const struct err *e)
{
	return !h->embedded && e->kind == ERR_MONITOR;
}

static void
on_signal(void *arg, int number)
{
	service_signal(arg, number);
}

static int
make_and_serve(struct cmd_ctx *x, struct service *service, struct loop *loop, bool run)
{
	struct monitor_home h = { 0 };
	int rc = make(x, &h);

	if (rc && run && may_wait(&h, &x->err)) {
		log_err(LOG_LEVEL_WARN, &x->err);
		rc = 0;
	}
	if (rc == 0 && run)
		return monitor_serve(&h, service, loop, &x->err);
	return rc ? rc : stop_postgres(&h, &x->err);
}

static int
monitor(struct cmd_ctx *x, bool run)
{
	struct service service;
	struct loop loop;
	int rc = -1;

	if (geteuid() == 0) {
		err_set(&x->err, ERR_USAGE, "a monitor cannot be run as root");
		return err_hint(&x->err, "Use the account that Postgres runs as.");
	}
	/* before the pid file says whom to signal: none is lost */
	if (settings(x) || loop_init(&loop, on_signal, &service, &x->err))
		return -1;
	if (service_open(&service, buf_peek(&x->pgdata), &x->err) == 0) {
		if (service_part(&service, "listener", getpid(), &x->err) == 0)
			rc = make_and_serve(x, &service, &loop, run);
		service_close(&service);
	}
	loop_drop(&loop);
	return rc;
}

int
cmd_create_monitor(struct cmd_ctx *x)
{
	return monitor(x, x->args.run);
}

int
cmd_monitor_run(struct cmd_ctx *x)
{
	return monitor(x, true);
}

static int
destroy(struct cmd_ctx *x)
{
	struct monitor_home h = { 0 };
	struct buf path = { 0 };
	int rc = -1;

	if (monitor_home_init(&h, &x->config, &x->err) || stop_postgres(&h, &x->err))
		return -1;
	if ((!h.embedded || file_rmtree(buf_peek(&x->pgdata), &x->err) == 0) &&
	    file_unlink(buf_peek(&x->cfg_path), &x->err) == 0 &&
	    config_path(buf_peek(&x->pgdata), CONFIG_FILE_STATE, &path, &x->err) == 0 &&
	    file_unlink(buf_peek(&path), &x->err) == 0)
		rc = 0;
	buf_drop(&path);
	return rc;
}

int
cmd_drop_monitor(struct cmd_ctx *x)
{
	pid_t pid;
	int rc;

	if (x->config.kind != CONFIG_MONITOR)
		return err_set(&x->err, ERR_CONFIG,
		    "%s belongs to a node, not to a monitor", buf_peek(&x->pgdata));
	rc = service_find(buf_peek(&x->pgdata), &pid, &x->err);
	if (rc < 0 ||
	    (rc > 0 && service_kill(buf_peek(&x->pgdata), SIGQUIT, STOP_MS, &x->err)))
		return -1;
	if (x->args.destroy)
		return destroy(x);
	log_info("the files are kept: %s and %s", buf_peek(&x->cfg_path),
	    buf_peek(&x->pgdata));
	log_hint("Remove them with: %s drop monitor --destroy --pgdata %s", x->program,
	    buf_peek(&x->pgdata));
	return 0;
}
