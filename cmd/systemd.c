/* The unit by which systemd runs the service of a data directory. */
/* SPDX-License-Identifier: PostgreSQL */
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "ini/log.h"
#include "ini/str.h"

#include "ini/ban.h"

/* The default stop hands a primary over first: systemd must have the patience. */
#define STOP_SECONDS 120
#define START_BURST 20

/* % is systemd's own; inside quotes the rest is written as in C. */
static void
unit_text(struct buf *b, const char *s, bool quoted)
{
	for (; *s; s++)
		if (*s == '%')
			buf_str(b, "%%");
		else if (quoted && (*s == '\'' || *s == '"' || *s == '\\' || *s < ' '))
			buf_printf(b, "\\x%02x", (unsigned char)*s);
		else
			buf_char(b, *s);
}

/* Where this program is, by the name it was called by. */
static int
own_path(struct cmd_ctx *x, struct buf *b)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	struct buf other = { 0 };

	if (n < 0)
		return err_sys(&x->err, "find the path of this program");
	exe[n] = '\0';
	buf_add(&other, exe, (size_t)(strrchr(exe, '/') - exe) + 1);
	buf_str(&other, x->program);
	buf_str(b, access(buf_peek(&other), X_OK) == 0 ? buf_peek(&other) : exe);
	buf_drop(&other);
	return 0;
}

static void
exec_line(struct buf *b, const char *key, const char *path, const char *word)
{
	bool quote = path[strcspn(path, " \t\"'\\")];

	buf_printf(b, "%s=%s", key, quote ? "\"" : "");
	unit_text(b, path, quote);
	buf_printf(b, "%s %s\n", quote ? "\"" : "", word);
}

static void
unit(struct buf *b, const char *pgdata, const char *path, const struct stat *st)
{
	const struct passwd *pw = getpwuid(st->st_uid);
	const char *home = pw && !str_empty(pw->pw_dir) ? pw->pw_dir : NULL;

	buf_str(b, "[Unit]\nDescription=pg_auto_failover\n"
		   "Wants=network-online.target\nAfter=network-online.target\n\n"
		   "[Service]\nType=notify\nWorkingDirectory=");
	unit_text(b, home ? home : "/var/lib/postgresql", false);
	buf_str(b, "\nEnvironment='PGDATA=");
	unit_text(b, pgdata, true);
	if (pw)
		buf_printf(b, "'\nUser=%s\n", pw->pw_name);
	else
		buf_printf(b, "'\nUser=%u\n", (unsigned)st->st_uid);
	exec_line(b, "ExecStart", path, "run");
	exec_line(b, "ExecReload", path, "reload");
	buf_printf(b,
	    "Restart=always\nStartLimitBurst=%d\n"
	    "# the service stops Postgres itself, after a primary has handed over\n"
	    "KillMode=mixed\nTimeoutStartSec=infinity\nTimeoutStopSec=%d\n\n"
	    "[Install]\nWantedBy=multi-user.target\n",
	    START_BURST, STOP_SECONDS);
}

int
cmd_show_systemd(struct cmd_ctx *x)
{
	const char *pgdata = buf_peek(&x->pgdata);
	struct buf path = { 0 }, b = { 0 };
	struct stat st;

	if (stat(pgdata, &st))
		return err_sys(&x->err, "%s", pgdata);
	if (own_path(x, &path))
		return -1;
	unit(&b, pgdata, buf_peek(&path), &st);
	fputs(buf_peek(&b), stdout);
	log_info("to install it, as root:");
	log_info("%s -q show systemd --pgdata \"%s\" | tee "
		 "/etc/systemd/system/pgautofailover.service",
	    x->program, pgdata);
	log_info("systemctl daemon-reload");
	log_info("systemctl enable pgautofailover");
	log_info("systemctl start pgautofailover");
	buf_drop(&path);
	buf_drop(&b);
	return 0;
}
