/* Settings: get, set, check. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/metadata.h"
#include "cmd/setup.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

/* It is no setting: the monitor alone keeps it. */
static int
refuse_region(struct cmd_ctx *x)
{
	if (!x->nwords || strcmp(x->word[0], "pg_autoctl.region") != 0)
		return 0;
	err_set(&x->err, ERR_USAGE, "%s: kept on the monitor only", x->word[0]);
	return err_hint(&x->err, "\"%s get node region\", \"%s set node region\"",
	    x->program, x->program);
}

int
cmd_config_get(struct cmd_ctx *x)
{
	struct buf b = { 0 };
	int rc = 0;

	if (refuse_region(x))
		return -1;
	if (x->nwords)
		rc = config_get(&x->config, x->word[0], &b, &x->err);
	else if (x->args.json)
		config_dump_json(&x->config, &b);
	else
		config_dump_ini(&x->config, &b);
	if (rc == 0)
		puts(buf_peek(&b));
	buf_drop(&b);
	return rc;
}

/* A changed pg_ctl must be one: better to hear it now than at the next start. */
static int
check_programs(struct cmd_ctx *x, struct host *h)
{
	if (host_init(h, &x->config, 0, &x->err) || setup_find(h, &x->err)) {
		x->err.kind = ERR_CONFIG;
		return -1;
	}
	return 0;
}

/* The files that a setting names are there, and readable to Postgres, which is us. */
static int
check_file(struct cmd_ctx *x, const char *key, const char *path)
{
	if (str_empty(path) || access(path, R_OK) == 0)
		return 0;
	return err_set(&x->err, ERR_CONFIG, "%s: %s: %s", key, path, strerror(errno));
}

/* What can be known now is not found out at the next start. */
static int
check_value(struct cmd_ctx *x, const char *key)
{
	const struct config *c = &x->config;
	struct host h;

	if (strcmp(key, "postgresql.pg_ctl") == 0)
		return check_programs(x, &h);
	if (strcmp(key, "pg_autoctl.monitor") == 0 && !config_no_monitor(c) &&
	    !str_empty(c->monitor) && uri_check(c->monitor, &x->err)) {
		x->err.kind = ERR_CONFIG;
		return err_wrap(&x->err, "%s", key);
	}
	if (strcmp(key, "ssl.ca_file") == 0)
		return check_file(x, key, c->ca_file);
	if (strcmp(key, "ssl.crl_file") == 0)
		return check_file(x, key, c->crl_file);
	if (strcmp(key, "ssl.cert_file") == 0)
		return check_file(x, key, c->cert_file);
	if (strcmp(key, "ssl.key_file") == 0)
		return check_file(x, key, c->key_file);
	return 0;
}

/* The monitor first: a name that it refuses is no name. */
static int
tell_monitor(struct cmd_ctx *x, const char *key)
{
	if (strcmp(key, "pg_autoctl.name") == 0 ||
	    strcmp(key, "pg_autoctl.hostname") == 0)
		return cmd_metadata_tell(x);
	if (strcmp(key, "postgresql.port") == 0 ||
	    strcmp(key, "postgresql.proxyport") == 0) {
		if (cmd_metadata_tell(x) == 0)
			return 0;
		if (x->err.sqlstate[0])
			return -1;
		log_warn("%s; the keeper tells the monitor when it starts", x->err.msg);
		err_clear(&x->err);
	}
	return 0;
}

int
cmd_config_set(struct cmd_ctx *x)
{
	const char *key = x->word[0];
	const char *value = x->word[1];
	bool from_stdin = str_eq(value, "-");
	struct buf b = { 0 };
	int rc;

	if (refuse_region(x) || (from_stdin && cmd_secret_stdin(key, &value, &x->err)))
		return -1;
	if (config_set(&x->config, key, value, &x->err)) {
		x->err.kind = ERR_CONFIG;
		return -1;
	}
	if (config_check(&x->config, &x->err) || check_value(x, key) ||
	    tell_monitor(x, key) ||
	    config_save(&x->config, buf_peek(&x->cfg_path), &x->err))
		return -1;
	rc = config_get(&x->config, key, &b, &x->err);
	if (rc == 0) {
		/* who hides it on its way in does not want to see it here */
		puts(from_stdin && cmd_is_secret(key) ? "****" : buf_peek(&b));
		cmd_metadata_reload(x);
	}
	buf_drop(&b);
	return rc;
}

static void
check_json(struct cmd_ctx *x, const struct show_setup *s)
{
	struct buf b = { 0 };

	buf_str(&b, "{\n\"postgres\": ");
	show_setup_json(s, "", &b);
	buf_str(&b, ",\n\"config\": ");
	config_dump_json(&x->config, &b);
	buf_str(&b, "\n}");
	puts(buf_peek(&b));
	buf_drop(&b);
}

/* The settings, the programs, the running Postgres, and the monitor. */
int
cmd_config_check(struct cmd_ctx *x)
{
	struct show_setup s;
	struct db d = { 0 };
	int rc;

	if (config_check(&x->config, &x->err) || check_programs(x, &s.host) ||
	    show_setup_look(&s, &x->config, &x->err))
		return -1;
	if (x->args.json)
		check_json(x, &s);
	else
		show_setup_text(&s);
	if (!s.postmaster.pid)
		return err_set(
		    &x->err, ERR_CONFIG, "%s: Postgres is not running", s.host.pgdata);
	rc = host_open(&s.host, &d, 0, &x->err);
	db_close(&d);
	if (rc == 0 && x->config.kind == CONFIG_KEEPER && !config_no_monitor(&x->config))
		rc = cmd_open_monitor(x);
	return rc;
}
