/* Turn options into settings, and refuse what does not fit together. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

static void
replace(char **to, const char *value)
{
	free(*to);
	*to = str_empty(value) ? NULL : xstrdup(value);
}

static int
replace_path(char **to, const char *option, const char *value, struct err *e)
{
	struct buf b = { 0 };

	if (!value)
		return 0;
	if (!file_exists(value))
		return err_set(e, ERR_USAGE, "--%s: there is no file %s", option, value);
	if (file_absolute(value, &b, e))
		return -1;
	replace(to, buf_peek(&b));
	buf_drop(&b);
	return 0;
}

static int
sslmode(struct cmd_ctx *x, const char *dflt)
{
	const char *mode = x->args.ssl_mode ? x->args.ssl_mode : dflt;
	struct err e;

	if (config_set(&x->config, "ssl.sslmode", mode, &e))
		return err_set(&x->err, ERR_USAGE, "--ssl-mode: %s", e.msg);
	return 0;
}

static bool
verifies(const char *mode)
{
	return str_starts(mode, "verify-");
}

static int
self_signed(struct cmd_ctx *x)
{
	struct config *c = &x->config;

	if (sslmode(x, "require"))
		return -1;
	if (verifies(c->sslmode))
		return err_set(&x->err, ERR_USAGE,
		    "--ssl-mode %s needs a certificate authority, which "
		    "--ssl-self-signed is not",
		    c->sslmode);
	c->ssl_active = true;
	replace(&c->ca_file, NULL);
	replace(&c->crl_file, NULL);
	/* the names are known, the files are made with the cluster */
	free(c->cert_file);
	free(c->key_file);
	c->cert_file = xasprintf("%s/server.crt", buf_peek(&x->pgdata));
	c->key_file = xasprintf("%s/server.key", buf_peek(&x->pgdata));
	return 0;
}

static int
no_ssl(struct cmd_ctx *x)
{
	struct config *c = &x->config;

	if (sslmode(x, "prefer"))
		return -1;
	c->ssl_active = false;
	replace(&c->ca_file, NULL);
	replace(&c->crl_file, NULL);
	replace(&c->cert_file, NULL);
	replace(&c->key_file, NULL);
	log_warn("connections are not encrypted: --no-ssl");
	return 0;
}

static int
own_certificates(struct cmd_ctx *x)
{
	struct config *c = &x->config;
	const struct cmd_args *a = &x->args;

	if (!a->server_cert || !a->server_key)
		return err_set(
		    &x->err, ERR_USAGE, "--server-cert and --server-key are both needed");
	if (replace_path(&c->ca_file, "ssl-ca-file", a->ssl_ca_file, &x->err) ||
	    replace_path(&c->crl_file, "ssl-crl-file", a->ssl_crl_file, &x->err) ||
	    replace_path(&c->cert_file, "server-cert", a->server_cert, &x->err) ||
	    replace_path(&c->key_file, "server-key", a->server_key, &x->err) ||
	    sslmode(x, "verify-full"))
		return -1;
	if (verifies(c->sslmode) && !c->ca_file)
		return err_set(
		    &x->err, ERR_USAGE, "--ssl-mode %s needs --ssl-ca-file", c->sslmode);
	c->ssl_active = true;
	return 0;
}

static bool
has_certificates(const struct cmd_args *a)
{
	return a->ssl_ca_file || a->ssl_crl_file || a->server_cert || a->server_key;
}

int
settings_ssl(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;
	bool own = has_certificates(a);
	int families = (own ? 1 : 0) + (a->ssl_self_signed ? 1 : 0) + (a->no_ssl ? 1 : 0);

	if (families > 1)
		return err_set(&x->err, ERR_USAGE,
		    "--ssl-self-signed, --no-ssl and own "
		    "certificates exclude each other");
	if (a->ssl_self_signed)
		return self_signed(x);
	if (a->no_ssl)
		return no_ssl(x);
	if (own)
		return own_certificates(x);
	if (x->have_config)
		return a->ssl_mode ? sslmode(x, "prefer") : 0;
	err_set(&x->err, ERR_USAGE, "say how connections are encrypted");
	return err_hint(&x->err,
	    "Use --ssl-self-signed, or --ssl-ca-file, --server-cert and "
	    "--server-key, or --no-ssl.");
}

static int
method(struct cmd_ctx *x, const char *auth)
{
	struct err e = { 0 };

	if (config_set(&x->config, "postgresql.auth_method", auth, &e)) {
		err_set(&x->err, ERR_USAGE, "--auth: %s", e.msg);
		return err_hint(&x->err,
		    "Use scram-sha-256, md5, password, cert, or trust, which lets in "
		    "whoever can connect.");
	}
	if (str_eq(auth, "trust"))
		log_warn("--auth trust: whoever can connect from a listed host is let in "
			 "without a password; --auth scram-sha-256 asks for one");
	return 0;
}

static int
authentication(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;
	struct config *c = &x->config;

	if (a->auth && a->skip_pg_hba)
		return err_set(
		    &x->err, ERR_USAGE, "--auth and --skip-pg-hba exclude each other");
	if (a->pg_hba_lan && a->skip_pg_hba)
		return err_set(&x->err, ERR_USAGE,
		    "--pg-hba-lan and --skip-pg-hba exclude each other");
	if (!a->auth && !a->skip_pg_hba && !x->have_config) {
		err_set(&x->err, ERR_USAGE, "say how nodes are authenticated");
		return err_hint(&x->err, "Use --auth with a method of pg_hba.conf "
					 "(scram-sha-256, trust ...), or --skip-pg-hba.");
	}
	if (a->auth && method(x, a->auth))
		return -1;
	if (a->skip_pg_hba) {
		replace(&c->auth_method, "trust");
		replace(&c->hba_level, "skip");
	} else if (a->pg_hba_lan) {
		replace(&c->hba_level, "app");
	} else if (a->auth && str_eq(c->hba_level, "skip")) {
		replace(&c->hba_level, c->kind == CONFIG_MONITOR ? "app" : "minimal");
	}
	return 0;
}

/* A boolean of the environment, for an option that is not given. */
static int
flag_from_env(const char *name, bool *flag, struct err *e)
{
	const char *value = getenv(name);

	if (str_empty(value))
		return 0;
	return str_bool(value, flag, e) ? err_wrap(e, "%s", name) : 0;
}

/* For a new file only: a service's own settings are not changed by where it is started.
 */
static int
from_environment(struct cmd_ctx *x)
{
	struct cmd_args *a = &x->args;

	if (x->have_config)
		return 0;
	if (!a->auth && !a->skip_pg_hba && !str_empty(getenv("PG_AUTOCTL_AUTH_METHOD")))
		a->auth = getenv("PG_AUTOCTL_AUTH_METHOD");
	if (!a->no_ssl && !has_certificates(a) &&
	    flag_from_env("PG_AUTOCTL_SSL_SELF_SIGNED", &a->ssl_self_signed, &x->err))
		return -1;
	return a->skip_pg_hba || a->pg_hba_lan
		   ? 0
		   : flag_from_env("PG_AUTOCTL_PG_HBA_LAN", &a->pg_hba_lan, &x->err);
}

int
settings_access(struct cmd_ctx *x)
{
	const struct config *c = &x->config;

	if (from_environment(x) || authentication(x) || settings_ssl(x))
		return -1;
	if (str_eq(c->auth_method, "cert") && (!c->ssl_active || str_empty(c->ca_file)))
		return err_set(&x->err, ERR_USAGE,
		    "--auth cert needs certificates of an authority: --ssl-ca-file, "
		    "--server-cert, --server-key");
	return 0;
}

int
settings_text(struct cmd_ctx *x, const char *key, const char *value)
{
	if (str_empty(value) || config_set(&x->config, key, value, &x->err) == 0)
		return 0;
	x->err.kind = ERR_USAGE;
	return -1;
}

int
settings_secret(
    struct cmd_ctx *x, const char *key, const char *value, const char *env_name)
{
	const char *env = cmd_secret_env(env_name);

	return settings_text(x, key, value ? value : env);
}

static int
port(struct cmd_ctx *x)
{
	const char *given = x->args.pgport;
	struct err e;

	if (!given && !x->have_config)
		given = getenv("PGPORT");
	if (str_empty(given))
		return 0;
	if (config_set(&x->config, "postgresql.port", given, &e))
		return err_set(&x->err, ERR_USAGE, "--pgport: %s", e.msg);
	return 0;
}

int
settings_common(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;

	if (port(x) ||
	    (a->pgctl && replace_path(&x->config.pg_ctl, "pgctl", a->pgctl, &x->err)))
		return -1;
	if (a->listen)
		replace(&x->config.listen_addresses, a->listen);
	if (a->hostname &&
	    (str_host(a->hostname, &x->err) ||
		config_set(&x->config, "pg_autoctl.hostname", a->hostname, &x->err)))
		return err_wrap(&x->err, "--hostname");
	return 0;
}
