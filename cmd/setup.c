/* The local Postgres and the service, as config check, status and show file print them.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/setup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/config.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/str.h"

#include "ini/ban.h"

int
show_setup_look(struct show_setup *s, const struct config *c, struct err *e)
{
	memset(s, 0, sizeof *s);
	if (host_init(&s->host, c, 0, e))
		return -1;
	postmaster_find(&s->host, &s->postmaster);
	s->has_control = setup_find(&s->host, NULL) == 0 &&
			 setup_control(&s->host, &s->control, NULL) == 0;
	return 0;
}

const char *
show_setup_status(const struct show_setup *s)
{
	if (!s->postmaster.pid)
		return "unknown";
	return s->postmaster.status[0] ? s->postmaster.status : "starting";
}

/* postmaster.pid says "ready" of a standby that takes readers. */
static bool
in_recovery(const struct show_setup *s)
{
	return strcmp(show_setup_status(s), "standby") == 0 ||
	       (s->has_control && s->control.state == CONTROL_IN_ARCHIVE_RECOVERY);
}

static const char *
control_state(enum setup_control_state s)
{
	switch (s) {
	case CONTROL_SHUT_DOWN:
		return "shut down";
	case CONTROL_SHUT_DOWN_IN_RECOVERY:
		return "shut down in recovery";
	case CONTROL_SHUTTING_DOWN:
		return "shutting down";
	case CONTROL_IN_CRASH_RECOVERY:
		return "in crash recovery";
	case CONTROL_IN_ARCHIVE_RECOVERY:
		return "in archive recovery";
	case CONTROL_IN_PRODUCTION:
		return "in production";
	case CONTROL_STARTING:
		return "starting up";
	case CONTROL_UNKNOWN:
		break;
	}
	return "unknown";
}

void
show_setup_text(const struct show_setup *s)
{
	const struct host *h = &s->host;
	const struct control *c = &s->control;
	char lsn[STR_LSN_MAX];

	printf("%-23s%s\n", "pgdata:", h->pgdata);
	printf("%-23s%s/pg_ctl\n", "pg_ctl:", h->bindir);
	printf("%-23s\"%d.%d\" (%d)\n", "pg_version:", h->version / 10000,
	    h->version % 10000, h->version / 10000 * 100 + h->version % 10000);
	printf("%-23s%s\n", "pghost:", s->postmaster.sockdir);
	printf("%-23s%d\n", "pgport:", h->cfg->port);
	printf("%-23s%d\n", "proxyport:", h->cfg->proxyport);
	printf("%-23s%d\n", "pid:", (int)s->postmaster.pid);
	printf("%-23s%s\n", "is in recovery:", in_recovery(s) ? "yes" : "no");
	if (s->has_control) {
		printf("%-23s%s\n", "Control cluster state:", control_state(c->state));
		printf("%-23s%u\n", "Control Version:", c->control_version);
		printf("%-23s%u\n", "Catalog Version:", c->catalog_version);
		printf("%-23s%llu\n",
		    "System Identifier:", (unsigned long long)c->system_identifier);
		printf("%-23s%s\n",
		    "Latest checkpoint LSN:", str_lsn_format(c->checkpoint, lsn));
	}
	printf("%-23s%s\n", "Postmaster status:", show_setup_status(s));
}

static void
json_path(struct buf *b, const char *dir, const char *name)
{
	struct buf path = { 0 };

	if (*dir)
		buf_printf(&path, "%s%s", dir, name);
	buf_json(b, buf_peek(&path));
	buf_drop(&path);
}

void
show_setup_json(const struct show_setup *s, const char *indent, struct buf *b)
{
	const struct host *h = &s->host;
	const struct control *c = &s->control;

	buf_printf(b, "{\n%s    \"pgdata\": ", indent);
	buf_json(b, h->pgdata);
	buf_printf(b, ",\n%s    \"pg_ctl\": ", indent);
	json_path(b, h->bindir, "/pg_ctl");
	buf_printf(b, ",\n%s    \"version\": \"%d.%d\",\n%s    \"host\": ", indent,
	    h->version / 10000, h->version % 10000, indent);
	buf_json(b, s->postmaster.sockdir);
	buf_printf(b, ",\n%s    \"port\": %d,\n%s    \"proxyport\": %d,\n", indent,
	    h->cfg->port, indent, h->cfg->proxyport);
	buf_printf(b, "%s    \"pid\": %d,\n%s    \"in_recovery\": %s,\n", indent,
	    (int)s->postmaster.pid, indent, in_recovery(s) ? "true" : "false");
	if (s->has_control)
		buf_printf(b,
		    "%s    \"control\": {\n%s        \"version\": %u,\n"
		    "%s        \"catalog_version\": %u,\n"
		    "%s        \"system_identifier\": \"%llu\"\n%s    },\n",
		    indent, indent, c->control_version, indent, c->catalog_version,
		    indent, (unsigned long long)c->system_identifier, indent);
	buf_printf(b,
	    "%s    \"postmaster\": {\n%s        \"status\": \"%s\"\n%s    }\n%s}", indent,
	    indent, show_setup_status(s), indent, indent);
}

void
show_state_json(const struct statefile *s, const char *indent, struct buf *b)
{
	const struct keeper *k = &s->keeper;

	buf_printf(b,
	    "{\n%s    \"current_role\": \"%s\",\n%s    \"assigned_role\": \"%s\",\n"
	    "%s    \"version\": 2,\n%s    \"groupId\": %d,\n%s    \"nodeId\": %lld,\n",
	    indent, fsm_state_name(k->current), indent, fsm_state_name(k->goal), indent,
	    indent, k->group_id, indent, (long long)k->node_id);
	buf_printf(b,
	    "%s    \"last_monitor_contact\": %lld,\n"
	    "%s    \"last_secondary_contact\": %lld,\n"
	    "%s    \"pgversion\": %u\n%s}",
	    indent, (long long)s->monitor_contact_s, indent,
	    (long long)s->secondary_contact_s, indent, s->control_version, indent);
}

/* Line n (from 1) of the pid file, NULL when there is none. */
static const char *
line_of(const char *text, int n, size_t *len)
{
	while (text && --n > 0 && (text = strchr(text, '\n')) != NULL)
		text++;
	if (!text || !*text)
		return NULL;
	*len = strcspn(text, "\n");
	return text;
}

static void
json_line(struct buf *b, const char *text, int n)
{
	struct buf part = { 0 };
	size_t len;
	const char *line = line_of(text, n, &len);

	buf_add(&part, line ? line : "", line ? len : 0);
	buf_json(b, buf_peek(&part));
	buf_drop(&part);
}

static const char *
life_of(pid_t pid)
{
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM) ? "running" : "stale";
}

/* "<pid> <name>", from line 6 on. */
static void
json_services(struct buf *b, const char *text, bool with_status, const char *indent)
{
	const char *line;
	size_t len;

	for (int n = 6; (line = line_of(text, n, &len)) != NULL; n++) {
		struct buf name = { 0 };
		size_t digits = strcspn(line, " \n");
		if (digits < len)
			buf_add(&name, line + digits + 1, len - digits - 1);
		buf_printf(b, "%s\n%s        { \"name\": ", n > 6 ? "," : "", indent);
		buf_json(b, buf_peek(&name));
		pid_t pid = (pid_t)strtol(line, NULL, 10);
		buf_printf(b, ", \"pid\": %d, ", (int)pid);
		if (with_status)
			buf_printf(b, "\"status\": \"%s\", ", life_of(pid));
		buf_str(b, "\"version\": ");
		json_line(b, text, 3);
		buf_str(b, ", \"pgautofailover\": ");
		json_line(b, text, 4);
		buf_str(b, " }");
		buf_drop(&name);
	}
}

void
show_pid_json(
    const char *pid_file, bool with_status, pid_t pid, const char *indent, struct buf *b)
{
	struct buf file = { 0 };
	const char *text;
	size_t len;

	if (pid && file_read(pid_file, &file, NULL))
		buf_reset(&file);
	text = buf_peek(&file);
	buf_printf(b, "{\n%s    \"pid\": %d", indent, (int)pid);
	if (with_status)
		buf_printf(
		    b, ",\n%s    \"status\": \"%s\"", indent, pid ? "running" : "stale");
	buf_printf(b, ",\n%s    \"pgdata\": ", indent);
	json_line(b, text, 2);
	buf_printf(b, ",\n%s    \"version\": ", indent);
	json_line(b, text, 3);
	buf_printf(b, ",\n%s    \"semId\": 0,\n%s    \"services\": [", indent, indent);
	json_services(b, text, with_status, indent);
	if (line_of(text, 6, &len))
		buf_printf(b, "\n%s    ", indent);
	buf_printf(b, "]\n%s}", indent);
	buf_drop(&file);
}
