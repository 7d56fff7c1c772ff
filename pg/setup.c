/* What is on the disk: programs, data directory, control file; and making a new one. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/setup.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/spawn.h"
#include "pg/tls.h"

#include "ini/ban.h"

#define PROGRAM_MS 15000
#define MAJOR_MIN 13

/* The length of a shutdown checkpoint record, from its start to its end; the record that
 * follows is aligned to 8 (facts 5.2). */
#define SHUTDOWN_RECORD 114

static const char *const c_locale[] = { "LC_ALL=C", NULL };

void
setup_program(const struct host *h, const char *name, struct buf *b)
{
	buf_reset(b);
	buf_printf(b, "%s/%s", h->bindir, name);
}

/* -- programs -- */

struct search {
	int want; /* only this major; 0: any */
	char best[PATH_MAX];
	int version;
	int seen; /* the highest that was found but not wanted */
};

static bool
executable(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	bool yes = access(path, X_OK) == 0;

	free(path);
	return yes;
}

/* "postgres (PostgreSQL) 15.20 (Debian ...)", "17beta1": as server_version_num, or 0. */
static int
parse_version(const char *text)
{
	const char *at = strstr(text, "PostgreSQL) ");
	char *end;
	long major, minor = 0;

	if (!at)
		return 0;
	major = strtol(at + 12, &end, 10);
	if (*end == '.')
		minor = strtol(end + 1, NULL, 10);
	if (major < 1 || major > 999 || minor < 0 || minor > 9999)
		return 0;
	return (int)(major * 10000 + minor);
}

static int
program_version(const char *dir)
{
	char *path = xasprintf("%s/postgres", dir);
	const char *argv[] = { path, "--version", NULL };
	struct buf out = { 0 };
	struct spawn s = { .argv = argv, .deadline_ms = PROGRAM_MS, .out = &out };
	int version = 0;

	if (spawn_run(&s, NULL) == 0)
		version = parse_version(buf_peek(&out));
	buf_drop(&out);
	free(path);
	return version;
}

static void
consider(struct search *s, const char *dir)
{
	char real[PATH_MAX];
	int version;

	if (!realpath(dir, real) || strcmp(real, s->best) == 0 ||
	    !executable(real, "postgres") || !executable(real, "pg_controldata"))
		return;
	version = program_version(real);
	if (version / 10000 < MAJOR_MIN || (s->want && version / 10000 != s->want)) {
		if (version > s->seen)
			s->seen = version;
		return;
	}
	if (version > s->version) {
		s->version = version;
		memcpy(s->best, real, sizeof s->best);
	}
}

/* The folder a program lies in, through its links: what Debian has in PATH is a script,
 * which has no postgres beside it and so is not considered. */
static void
consider_program(struct search *s, const char *program)
{
	char real[PATH_MAX];
	char *slash;

	if (!realpath(program, real))
		return;
	slash = strrchr(real, '/');
	*slash = '\0';
	consider(s, *real ? real : "/");
}

static void
consider_pg_config(struct search *s, const char *program)
{
	const char *argv[] = { program, "--bindir", NULL };
	struct buf out = { 0 };
	struct spawn sp = { .argv = argv, .deadline_ms = PROGRAM_MS, .out = &out };

	if (spawn_run(&sp, NULL) == 0) {
		while (out.len && out.data[out.len - 1] == '\n')
			buf_cut(&out, out.len - 1);
		consider(s, buf_peek(&out));
	}
	buf_drop(&out);
}

static void
consider_path(struct search *s)
{
	char *path = xstrdup(getenv("PATH") ? getenv("PATH") : "");
	char *rest = path;
	char *dir;

	while ((dir = strsep(&rest, ":"))) {
		char *program = xasprintf("%s/postgres", *dir ? dir : ".");

		consider_program(s, program);
		free(program);
		program = xasprintf("%s/pg_config", *dir ? dir : ".");
		if (access(program, X_OK) == 0)
			consider_pg_config(s, program);
		free(program);
	}
	free(path);
}

static void
consider_usual(struct search *s)
{
	static const char *const usual[] = { "/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin", "/usr/lib64/postgresql*/bin", "/opt/pgsql*/bin",
		"/usr/local/pgsql/bin", "/usr/libexec/postgresql*" };

	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
		glob_t g;

		if (glob(usual[i], 0, NULL, &g) == 0)
			for (size_t k = 0; k < g.gl_pathc; k++)
				consider(s, g.gl_pathv[k]);
		globfree(&g);
	}
}

/* The major of an existing data directory, 0 when there is none to read. */
static int
data_major(const struct host *h)
{
	char *path = xasprintf("%s/PG_VERSION", h->pgdata);
	struct buf text = { 0 };
	int major = 0;

	if (file_read(path, &text, NULL) == 0)
		major = (int)strtol(buf_peek(&text), NULL, 10);
	buf_drop(&text);
	free(path);
	return major;
}

static int
not_found(const struct host *h, const struct search *s, struct err *e)
{
	if (s->want)
		err_set(e, ERR_CONFIG, "no programs of Postgres %d, as %s has", s->want,
		    h->pgdata);
	else
		err_set(e, ERR_CONFIG, "no programs of Postgres %d or newer", MAJOR_MIN);
	if (s->seen)
		err_detail(e, "found Postgres %d only", s->seen / 10000);
	return err_hint(e,
	    "install the server's package, or name its pg_ctl with --pgctl; looked at "
	    "postgresql.pg_ctl, PG_CONFIG, PATH and /usr/lib/postgresql/*/bin");
}

int
setup_find(struct host *h, struct err *e)
{
	struct search s = { .want = data_major(h) };
	const char *pg_config = getenv("PG_CONFIG");

	if (!str_empty(h->cfg->pg_ctl)) {
		consider_program(&s, h->cfg->pg_ctl);
		if (!s.version && access(h->cfg->pg_ctl, X_OK))
			return err_set(e, ERR_CONFIG,
			    "postgresql.pg_ctl: %s is not there", h->cfg->pg_ctl);
	}
	if (!s.version && !str_empty(pg_config))
		consider_pg_config(&s, pg_config);
	if (!s.version)
		consider_path(&s);
	if (!s.version)
		consider_usual(&s);
	if (!s.version)
		return not_found(h, &s, e);
	memcpy(h->bindir, s.best, sizeof h->bindir);
	h->version = s.version;
	return 0;
}

/* -- the data directory -- */

/* Also when there is only what an interrupted setup_initdb of ours has left. */
static int
directory_empty(const char *path, struct err *e)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int empty = 1;
	bool ours = false;

	if (!d)
		return err_sys(e, "read %s", path);
	while ((entry = readdir(d))) {
		if (strcmp(entry->d_name, SETUP_UNFINISHED) == 0)
			ours = true;
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    strcmp(entry->d_name, "lost+found") &&
		    strcmp(entry->d_name, "autoctl.backup")) /* of a cut off copy */
			empty = 0;
	}
	closedir(d);
	return empty || ours;
}

int
setup_state(const struct host *h, enum setup_state *state, struct err *e)
{
	struct postmaster pm;
	struct stat st;
	char *control;
	int empty;

	if (stat(h->pgdata, &st)) {
		if (errno != ENOENT)
			return err_sys(e, "look at %s", h->pgdata);
		*state = SETUP_MISSING;
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, "%s is not a directory", h->pgdata);
	if ((empty = directory_empty(h->pgdata, e)) < 0)
		return -1;
	control = xasprintf("%s/global/pg_control", h->pgdata);
	postmaster_find(h, &pm);
	*state = file_exists(control) ? (pm.pid ? SETUP_RUNNING : SETUP_CLUSTER)
		 : empty              ? SETUP_EMPTY
				      : SETUP_FOREIGN;
	free(control);
	return 0;
}

int
setup_permissions(const struct host *h, struct err *e)
{
	struct stat st;

	if (stat(h->pgdata, &st))
		return err_sys(e, "look at %s", h->pgdata);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_CONFIG, "%s belongs to another user (uid %u)",
		    h->pgdata, (unsigned)st.st_uid);
	if ((st.st_mode & 07777) == 0700 || (st.st_mode & 07777) == 0750)
		return 0;
	if (chmod(h->pgdata, 0700))
		return err_sys(e, "chmod %s", h->pgdata);
	return 0;
}

/* -- the control file -- */

enum field_type { FIELD_STATE, FIELD_U32, FIELD_U64, FIELD_LSN, FIELD_INT, FIELD_ON };

static const struct field {
	const char *label;
	enum field_type type;
	size_t offset;
} fields[] = {
	{ "pg_control version number", FIELD_U32,
	    offsetof(struct control, control_version) },
	{ "Catalog version number", FIELD_U32,
	    offsetof(struct control, catalog_version) },
	{ "Database system identifier", FIELD_U64,
	    offsetof(struct control, system_identifier) },
	{ "Database cluster state", FIELD_STATE, offsetof(struct control, state) },
	{ "Latest checkpoint location", FIELD_LSN, offsetof(struct control, checkpoint) },
	{ "Latest checkpoint's REDO location", FIELD_LSN,
	    offsetof(struct control, redo) },
	{ "Latest checkpoint's TimeLineID", FIELD_INT, offsetof(struct control, tli) },
	{ "Minimum recovery ending location", FIELD_LSN,
	    offsetof(struct control, min_recovery) },
	{ "Min recovery ending loc's timeline", FIELD_INT,
	    offsetof(struct control, min_recovery_tli) },
	{ "Bytes per WAL segment", FIELD_U32, offsetof(struct control, segment_bytes) },
	{ "wal_log_hints setting", FIELD_ON, offsetof(struct control, wal_log_hints) },
	{ "Data page checksum version", FIELD_ON, offsetof(struct control, checksums) },
	{ "max_connections setting", FIELD_INT,
	    offsetof(struct control, max_connections) },
	{ "max_worker_processes setting", FIELD_INT,
	    offsetof(struct control, max_worker_processes) },
	{ "max_wal_senders setting", FIELD_INT,
	    offsetof(struct control, max_wal_senders) },
	{ "max_prepared_xacts setting", FIELD_INT,
	    offsetof(struct control, max_prepared_xacts) },
	{ "max_locks_per_xact setting", FIELD_INT,
	    offsetof(struct control, max_locks_per_xact) },
};

#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static enum setup_control_state
parse_state(const char *text)
{
	static const char *const names[] = { [CONTROL_SHUT_DOWN] = "shut down",
		[CONTROL_SHUT_DOWN_IN_RECOVERY] = "shut down in recovery",
		[CONTROL_SHUTTING_DOWN] = "shutting down",
		[CONTROL_IN_CRASH_RECOVERY] = "in crash recovery",
		[CONTROL_IN_ARCHIVE_RECOVERY] = "in archive recovery",
		[CONTROL_IN_PRODUCTION] = "in production",
		[CONTROL_STARTING] = "starting up" };

	for (int i = 1; i < (int)(sizeof names / sizeof names[0]); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum setup_control_state)i;
	return CONTROL_UNKNOWN;
}

static int
take_field(const struct field *f, const char *value, struct control *c, struct err *e)
{
	void *at = (char *)c + f->offset;
	uint64_t u = 0;

	if (f->type == FIELD_STATE) {
		*(enum setup_control_state *)at = parse_state(value);
		return 0;
	}
	if (f->type == FIELD_ON) {
		*(bool *)at = strcmp(value, "off") != 0 && strcmp(value, "0") != 0;
		return 0;
	}
	if (f->type == FIELD_LSN ? str_lsn(value, &u, e) : str_u64(value, &u, e)) {
		if (e)
			e->kind = ERR_PGCTL;
		return err_wrap(e, "pg_controldata: %s", f->label);
	}
	if (f->type == FIELD_U32)
		*(uint32_t *)at = (uint32_t)u;
	else if (f->type == FIELD_INT)
		*(int *)at = (int)u;
	else
		*(uint64_t *)at = u;
	return 0;
}

int
setup_control_parse(const char *text, struct control *c, struct err *e)
{
	uint32_t found = 0;
	char line[256];

	memset(c, 0, sizeof *c);
	while (*text) {
		size_t n = strcspn(text, "\n");
		char *value;

		snprintf(line, sizeof line, "%.*s", (int)n, text);
		text += n + (text[n] == '\n');
		if (!(value = strchr(line, ':')))
			continue;
		*value++ = '\0';
		value += strspn(value, " \t");
		for (size_t i = 0; i < FIELD_COUNT; i++)
			if (strcmp(line, fields[i].label) == 0) {
				if (take_field(&fields[i], value, c, e)) {
					return -1;
				}
				found |= UINT32_C(1) << i;
			}
	}
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (!(found & (UINT32_C(1) << i)))
			return err_set(e, ERR_PGCTL, "pg_controldata did not tell: %s",
			    fields[i].label);
	return 0;
}

int
setup_control(const struct host *h, struct control *c, struct err *e)
{
	struct buf program = { 0 };
	struct buf out = { 0 };
	const char *argv[] = { NULL, "-D", h->pgdata, NULL };
	struct spawn s = {
		.argv = argv, .env = c_locale, .deadline_ms = PROGRAM_MS, .out = &out
	};
	int rc;

	setup_program(h, "pg_controldata", &program);
	argv[0] = buf_peek(&program);
	rc = spawn_run(&s, e);
	if (rc == 0)
		rc = setup_control_parse(buf_peek(&out), c, e);
	buf_drop(&program);
	buf_drop(&out);
	return rc;
}

uint64_t
setup_final_lsn(const struct control *c)
{
	return c->state == CONTROL_SHUT_DOWN ? c->checkpoint + SHUTDOWN_RECORD : 0;
}

/* -- the mark of a half-made directory -- */

static void
mark_path(const struct host *h, struct buf *path)
{
	char *slash;

	if (config_path(h->pgdata, CONFIG_FILE_STATE, path, NULL)) {
		/* no HOME: better here, where a rewind may remove it, than nowhere */
		buf_reset(path);
		buf_printf(path, "%s/autoctl.rewinding", h->pgdata);
		return;
	}
	slash = strrchr(path->data, '/');
	buf_cut(path, (size_t)(slash - path->data));
	buf_str(path, "/pg_autoctl.rewinding");
}

int
setup_mark(const struct host *h, bool on, struct err *e)
{
	struct buf path = { 0 };
	struct buf text = { 0 };
	int rc = -1;

	mark_path(h, &path);
	if (!on) {
		rc = file_unlink(buf_peek(&path), e);
	} else if (file_mkdir_above(buf_peek(&path), 0755, e) == 0) {
		buf_printf(&text,
		    "%s was being rewound and is not whole: it must not be started. "
		    "autoctl copies it anew.\n",
		    h->pgdata);
		rc = file_replace(buf_peek(&path), &text, 0600, e);
	}
	buf_drop(&path);
	buf_drop(&text);
	return rc;
}

bool
setup_marked(const struct host *h)
{
	struct buf path = { 0 };
	bool yes;

	mark_path(h, &path);
	yes = file_exists(buf_peek(&path));
	buf_drop(&path);
	return yes;
}

bool
setup_newest_log(const struct host *h, struct buf *path)
{
	char *dir = xasprintf("%s/log", h->pgdata);
	DIR *d = opendir(dir);
	const struct dirent *entry;
	struct timespec best = { 0 };

	buf_reset(path);
	while (d && (entry = readdir(d))) {
		char *file = xasprintf("%s/%s", dir, entry->d_name);
		struct stat st;

		if (stat(file, &st) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mtim.tv_sec > best.tv_sec ||
			(st.st_mtim.tv_sec == best.tv_sec &&
			    st.st_mtim.tv_nsec >= best.tv_nsec))) {
			best = st.st_mtim;
			buf_reset(path);
			buf_str(path, file);
		}
		free(file);
	}
	if (d)
		closedir(d);
	free(dir);
	return buf_len(path) > 0;
}

/* -- certificates -- */

int
setup_certificate(const struct host *h, struct err *e)
{
	const struct config *c = h->cfg;
	char *cert = str_empty(c->cert_file) ? xasprintf("%s/server.crt", h->pgdata)
					     : xstrdup(c->cert_file);
	char *key = str_empty(c->key_file) ? xasprintf("%s/server.key", h->pgdata)
					   : xstrdup(c->key_file);
	struct tls_files files = { .cert = cert, .key = key };
	int rc = 0;

	/* from an earlier attempt, or the operator's */
	if (!file_exists(cert) || !file_exists(key)) {
		if (c->ca_file || !setup_is_inside(h, cert) || !setup_is_inside(h, key))
			rc = err_set(e, ERR_CONFIG,
			    "the certificate %s or its key is not there", cert);
		else
			rc = tls_self_sign(&files, c->hostname, e);
	}
	files.ca = c->ca_file;
	files.crl = c->crl_file;
	if (rc == 0)
		rc = tls_check(&files, e);
	free(cert);
	free(key);
	return rc;
}

bool
setup_is_inside(const struct host *h, const char *path)
{
	return str_starts(path, h->pgdata) && path[strlen(h->pgdata)] == '/';
}
