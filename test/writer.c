/* Writes numbered rows as an application would, and counts them afterwards. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

#define TARGETS_MAX 8
#define CLIENTS_MAX 32
#define OPTIONS_MAX 64

/* What an impatient but sane application does. */
#define CONNECT_MS 400  /* a server that accepts and says nothing: try the next one */
#define RETRY_MS 25     /* between two attempts to connect */
#define PATIENCE_MS 300 /* no answer: leave if somebody else takes writes */
#define QUERY_MS 5000   /* no answer at all: leave anyway */
#define SCOUT_MS 100    /* how often to look whether somebody else takes writes */
#define GAP_MS 100      /* worth a line */

static const char create_sql[] = "create table if not exists writer_row ("
				 "client bigint, seq bigint, "
				 "at timestamptz default clock_timestamp(), "
				 "primary key (client, seq))";
static const char insert_sql[] = "insert into writer_row (client, seq) values ($1, $2)";
static const char read_sql[] = "select client, seq from writer_row";
static const char end_mark[] = "(end)"; /* the writer was stopped */
static const char usage[] =
    "usage: writer run FILE URI [CLIENTS [INTERVAL_MS]]   until SIGTERM or SIGINT\n"
    "       writer verify FILE URI [SECONDS]   count FILE's rows in the database\n"
    "       writer mark FILE NAME              note that an event begins\n"
    "       writer gap FILE NAME               longest time without a write in it, ms\n"
    "       writer gaps FILE                   the same for all events\n";

enum stage { AWAY, CONNECTING, READY, ASKED };

/* One connection: a client that inserts, or the scout that only looks. */
struct client {
	int64_t id;
	int64_t seq;
	bool scout;
	bool doubtful; /* the server warned: what it then calls success is none */
	PGconn *pg;
	enum stage stage;
	PostgresPollingStatusType wants;
	int target;
	struct mono since; /* when this stage began */
	struct mono next;  /* when READY: to insert; when AWAY: to connect */
};

static struct writer {
	const char *keys[OPTIONS_MAX + 8];
	const char *values[OPTIONS_MAX + 8];
	int options;
	char *host[TARGETS_MAX];
	char *port[TARGETS_MAX];
	int targets;
	struct client client[CLIENTS_MAX + 1]; /* the last one is the scout */
	int clients;
	int64_t interval_ms;
	int fd;
	bool table;       /* is there */
	int writable;     /* target the scout saw taking writes, or -1 */
	struct mono seen; /* when */
	struct mono last_ack;
	struct wall last_wall;
	int64_t acked, failed, doubtful, gaps, longest_ms;
} w;

static volatile sig_atomic_t stop;

static void
on_stop(int sig)
{
	(void)sig;
	stop = 1;
}

static void
say(const char *what, const char *detail)
{
	char at[CLOCK_TEXT];

	fprintf(stderr, "%s %s%s%s\n", clock_format(clock_wall(), at), what,
	    *detail ? ": " : "", detail);
}

/* libpq's messages end in a newline, and may have several lines. */
static const char *
one_line(const char *text)
{
	static char line[512];
	size_t n = 0;

	for (; *text && n < sizeof line - 1; text++)
		line[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
	while (n && line[n - 1] == ' ')
		n--;
	line[n] = '\0';
	return line;
}

/* Split "a,b,c"; returns how many. An absent list is one empty name. */
static int
split(const char *list, char *out[TARGETS_MAX])
{
	int n = 0;

	for (const char *at = list ? list : "";; at++) {
		size_t len = strcspn(at, ",");

		assert(n < TARGETS_MAX);
		out[n] = xmalloc(len + 1);
		memcpy(out[n], at, len);
		out[n++][len] = '\0';
		at += len;
		if (!*at)
			return n;
	}
}

/*
 * Hosts are taken one at a time: libpq would stay with a silent one for as long as it
 * keeps silent, for PQconnectPoll knows no connect_timeout.
 */
static int
parse_uri(const char *uri)
{
	char *error = NULL, *port[TARGETS_MAX];
	const char *hosts = NULL, *ports = NULL;
	PQconninfoOption *options = PQconninfoParse(uri, &error);
	int nports;

	if (!options) {
		fprintf(stderr, "writer: %s", error ? error : "out of memory\n");
		PQfreemem(error);
		return -1;
	}
	for (PQconninfoOption *o = options; o->keyword; o++) {
		if (!o->val || !strcmp(o->keyword, "target_session_attrs"))
			continue;
		if (!strcmp(o->keyword, "host"))
			hosts = o->val;
		else if (!strcmp(o->keyword, "port"))
			ports = o->val;
		else if (w.options < OPTIONS_MAX) {
			w.keys[w.options] = o->keyword;
			w.values[w.options++] = o->val;
		}
	}
	w.targets = split(hosts, w.host);
	nports = split(ports, port);
	for (int i = 0; i < w.targets; i++)
		w.port[i] = port[nports == 1 ? 0 : i];
	/* options stays: the lists point into it */
	return nports == 1 || nports == w.targets ? 0 : -1;
}

static PGconn *
connect_start(int target)
{
	int n = w.options;

	w.keys[n] = "host", w.values[n++] = w.host[target];
	w.keys[n] = "port", w.values[n++] = w.port[target];
	w.keys[n] = "target_session_attrs", w.values[n++] = "read-write";
	w.keys[n] = "application_name", w.values[n++] = "writer";
	w.keys[n] = NULL;
	return PQconnectStartParams(w.keys, w.values, 0);
}

static void
on_notice(void *arg, const PGresult *res)
{
	struct client *c = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	/* "canceling wait for synchronous replication": written here and nowhere else */
	if (severity && !strcmp(severity, "WARNING")) {
		c->doubtful = true;
		say("warning", one_line(PQresultErrorMessage(res)));
	}
}

static void
enter(struct client *c, enum stage stage, int64_t next_ms)
{
	c->stage = stage;
	c->since = clock_mono();
	c->next = mono_after(c->since, next_ms);
}

/* Give up this connection; the next attempt goes to another server. */
static void
leave(struct client *c, const char *why)
{
	if (!c->scout && (c->stage == ASKED || c->stage == READY)) {
		w.failed += c->stage == ASKED;
		say(w.port[c->target], one_line(why));
	}
	PQfinish(c->pg);
	c->pg = NULL;
	if (!c->scout && w.writable >= 0 && w.writable != c->target) {
		c->target = w.writable;
	} else {
		/* what was known of this one is no longer true: it must not draw all back
		 */
		if (w.writable == c->target)
			w.writable = -1;
		c->target = (c->target + 1) % w.targets;
	}
	enter(c, AWAY, RETRY_MS);
}

static void
acknowledged(const struct client *c)
{
	struct mono now = clock_mono();
	struct wall at = clock_wall();
	char line[96];
	int64_t gap = w.acked ? mono_between(w.last_ack, now) : 0;
	int len = snprintf(line, sizeof line, "%" PRId64 " %" PRId64 " %" PRId64 "\n",
	    c->id, c->seq, at.ms);

	if (write(w.fd, line, (size_t)len) != len) {
		perror("writer: log of acknowledged rows");
		exit(2);
	}
	if (gap > GAP_MS) {
		char from[CLOCK_TEXT];

		w.gaps++;
		snprintf(line, sizeof line, "gap %" PRId64 " ms since %s", gap,
		    clock_format(w.last_wall, from));
		say(line, "");
	}
	if (gap > w.longest_ms)
		w.longest_ms = gap;
	w.acked++;
	w.last_ack = now;
	w.last_wall = at;
}

static void
ask(struct client *c)
{
	char id[24], seq[24];
	const char *params[] = { id, seq };
	int sent;

	c->doubtful = false;
	if (!w.table)
		sent = PQsendQuery(c->pg, create_sql);
	else {
		c->seq++;
		snprintf(id, sizeof id, "%" PRId64, c->id);
		snprintf(seq, sizeof seq, "%" PRId64, c->seq);
		sent =
		    PQsendQueryParams(c->pg, insert_sql, 2, NULL, params, NULL, NULL, 0);
	}
	enter(c, ASKED, 0);
	if (!sent)
		leave(c, PQerrorMessage(c->pg));
}

static void
answer(struct client *c)
{
	PGresult *res;
	bool good = true;
	char why[256] = "connection lost";

	if (!PQconsumeInput(c->pg)) {
		leave(c, PQerrorMessage(c->pg));
		return;
	}
	while (!PQisBusy(c->pg)) {
		if (!(res = PQgetResult(c->pg))) {
			if (!good || PQstatus(c->pg) != CONNECTION_OK) {
				leave(c, why);
				return;
			}
			if (!w.table)
				w.table = true;
			else if (c->doubtful)
				w.doubtful++;
			else
				acknowledged(c);
			enter(c, READY, w.interval_ms);
			return;
		}
		if (PQresultStatus(res) != PGRES_COMMAND_OK) {
			good = false;
			snprintf(
			    why, sizeof why, "%s", one_line(PQresultErrorMessage(res)));
		}
		PQclear(res);
	}
}

static void
connecting(struct client *c)
{
	c->wants = PQconnectPoll(c->pg);
	if (c->wants == PGRES_POLLING_FAILED) {
		leave(c, "");
		return;
	}
	if (c->wants != PGRES_POLLING_OK)
		return;
	PQsetnonblocking(c->pg, 1);
	PQsetNoticeReceiver(c->pg, on_notice, c);
	if (c->scout) {
		w.writable = c->target;
		w.seen = clock_mono();
		PQfinish(c->pg);
		c->pg = NULL;
		/* look at the others, too: this one may be the old one, cut off */
		c->target = (c->target + 1) % w.targets;
		enter(c, AWAY, SCOUT_MS);
		return;
	}
	enter(c, READY, 0);
}

/* Somebody else took writes after this client began to wait. */
static bool
better_elsewhere(const struct client *c)
{
	return w.writable >= 0 && w.writable != c->target &&
	       mono_reached(w.seen, c->since);
}

/* Is anybody waiting longer than an answer takes? Then it is worth to look around. */
static bool
somebody_waits(struct mono now)
{
	for (int i = 0; i < w.clients; i++)
		if (w.client[i].stage != READY &&
		    mono_between(w.client[i].since, now) > PATIENCE_MS / 2)
			return true;
	return false;
}

/* What its clock asks of this client; returns when to look again. */
static struct mono
tick(struct client *c, struct mono now)
{
	if (c->stage == AWAY && mono_reached(now, c->next)) {
		if (c->scout && !somebody_waits(now))
			return c->next = mono_after(now, SCOUT_MS);
		c->pg = connect_start(c->target);
		c->wants = PGRES_POLLING_WRITING;
		enter(c, CONNECTING, 0);
		if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD)
			leave(c, "");
	}
	if (c->stage == CONNECTING && mono_between(c->since, now) >= CONNECT_MS)
		leave(c, "");
	if (c->stage == READY && mono_reached(now, c->next)) {
		/* one creates the table, the others wait for it */
		if (w.table || c == w.client)
			ask(c);
		else
			enter(c, READY, RETRY_MS);
	}
	if (c->stage == ASKED) {
		int64_t waited = mono_between(c->since, now);

		if (waited >= QUERY_MS || (waited >= PATIENCE_MS && better_elsewhere(c)))
			leave(c, "no answer");
	}
	switch (c->stage) {
	case CONNECTING:
		return mono_after(c->since, CONNECT_MS);
	case ASKED:
		return mono_after(c->since, better_elsewhere(c) ? PATIENCE_MS : QUERY_MS);
	case AWAY:
	case READY:
		break;
	}
	return c->next;
}

/* One turn: clocks, then what the sockets say. */
static void
turn(void)
{
	struct pollfd fds[CLIENTS_MAX + 1];
	struct mono now = clock_mono(), wake = mono_after(now, 50);
	int64_t wait;

	for (int i = 0; i <= w.clients; i++) {
		struct client *c = &w.client[i];
		struct mono at = tick(c, now);

		if (at.ms < wake.ms)
			wake = at;
		fds[i].fd =
		    c->stage == CONNECTING || c->stage == ASKED || c->stage == READY
			? PQsocket(c->pg)
			: -1;
		fds[i].events = POLLIN;
		if ((c->stage == CONNECTING && c->wants == PGRES_POLLING_WRITING) ||
		    (c->stage == ASKED && PQflush(c->pg) > 0))
			fds[i].events = POLLOUT;
		fds[i].revents = 0;
	}
	wait = mono_between(clock_mono(), wake);
	if (poll(fds, (nfds_t)w.clients + 1, wait > 0 ? (int)wait : 0) <= 0)
		return;
	for (int i = 0; i <= w.clients; i++) {
		struct client *c = &w.client[i];

		if (!fds[i].revents)
			continue;
		if (c->stage == CONNECTING)
			connecting(c);
		else if (c->stage == ASKED)
			answer(c);
		else if (c->stage == READY &&
			 (!PQconsumeInput(c->pg) || PQstatus(c->pg) != CONNECTION_OK))
			leave(c, PQerrorMessage(c->pg));
	}
}

static int
mark(const char *file, const char *name)
{
	char *path = xasprintf("%s.marks", file);
	FILE *f = fopen(path, "ae");

	if (!f || fprintf(f, "%" PRId64 " %s\n", clock_wall().ms, name) < 0 ||
	    fclose(f)) {
		perror(path);
		return 2;
	}
	free(path);
	return 0;
}

static int
run(const char *file, const char *uri, int clients, int interval_ms)
{
	struct sigaction act = { .sa_handler = on_stop };

	if (parse_uri(uri))
		return 2;
	w.fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (w.fd < 0) {
		perror(file);
		return 2;
	}
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	w.clients = clients;
	w.interval_ms = interval_ms;
	w.writable = -1;
	for (int i = 0; i <= clients; i++) {
		/* rows of an earlier run into the same table have other numbers */
		w.client[i].id = (int64_t)getpid() * 100 + i;
		w.client[i].scout = i == clients;
		enter(&w.client[i], AWAY, 0);
	}
	while (!stop)
		turn();
	for (int i = 0; i <= clients; i++)
		PQfinish(w.client[i].pg);
	if (mark(file, end_mark))
		return 2;
	printf("acknowledged %" PRId64 ", failed %" PRId64 ", doubtful %" PRId64
	       ", gaps over %d ms %" PRId64 ", longest %" PRId64
	       " ms, last write %" PRId64 " ms ago\n",
	    w.acked, w.failed, w.doubtful, GAP_MS, w.gaps, w.longest_ms,
	    w.acked ? mono_between(w.last_ack, clock_mono()) : -1);
	return 0;
}

/* ---- afterwards ---- */

struct ack {
	int64_t client, seq, at_ms;
	bool present;
};

struct acks {
	struct ack *row;
	size_t n;
};

struct mark {
	char name[64];
	int64_t at_ms;
};

static int
compare(const void *a, const void *b)
{
	const struct ack *x = a, *y = b;

	if (x->client != y->client)
		return x->client < y->client ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The rows of the file, in the order of time. Exits when there is no such file. */
static struct acks
read_acks(const char *file)
{
	struct buf text = { 0 };
	struct acks acks = { 0 };
	struct err e = { 0 };
	size_t cap = 0;

	if (file_read(file, &text, &e)) {
		fprintf(stderr, "writer: %s\n", e.msg);
		exit(2);
	}
	for (const char *at = buf_peek(&text), *end; (end = strchr(at, '\n'));
	     at = end + 1) {
		struct ack a = { 0 };

		if (sscanf(at, "%" SCNd64 " %" SCNd64 " %" SCNd64, &a.client, &a.seq,
			&a.at_ms) != 3) {
			fprintf(
			    stderr, "writer: %s: line %zu is no row\n", file, acks.n + 1);
			exit(2);
		}
		if (acks.n == cap) {
			cap = cap ? 2 * cap : 1024;
			acks.row = xrealloc(acks.row, cap * sizeof *acks.row);
		}
		acks.row[acks.n++] = a;
	}
	buf_drop(&text);
	return acks;
}

/* Connect to whoever takes writes, within the time. */
static PGconn *
reach(int seconds)
{
	struct mono deadline = mono_after(clock_mono(), seconds * 1000L);

	for (int target = 0;; target = (target + 1) % w.targets) {
		PGconn *pg = connect_start(target);
		struct mono late = mono_after(clock_mono(), 2000);
		PostgresPollingStatusType s = PGRES_POLLING_WRITING;

		while (s != PGRES_POLLING_OK && s != PGRES_POLLING_FAILED &&
		       PQstatus(pg) != CONNECTION_BAD &&
		       !mono_reached(clock_mono(), late)) {
			struct pollfd fd = { .fd = PQsocket(pg),
				.events = s == PGRES_POLLING_WRITING ? POLLOUT : POLLIN };

			if (poll(&fd, 1, 100) > 0)
				s = PQconnectPoll(pg);
		}
		if (s == PGRES_POLLING_OK)
			return pg;
		if (mono_reached(clock_mono(), deadline)) {
			fprintf(stderr, "writer: nobody takes writes: %s\n",
			    one_line(PQerrorMessage(pg)));
			exit(2);
		}
		PQfinish(pg);
		clock_nap_ms(50);
	}
}

static void
tick_off(struct acks *acks, const PGresult *res)
{
	for (int i = 0; i < PQntuples(res); i++) {
		struct ack key = { 0 }, *found;

		if (str_i64(PQgetvalue(res, i, 0), &key.client, NULL) ||
		    str_i64(PQgetvalue(res, i, 1), &key.seq, NULL))
			continue;
		found = bsearch(&key, acks->row, acks->n, sizeof key, compare);
		if (found)
			found->present = true;
	}
}

static int
verify(const char *file, const char *uri, int seconds)
{
	struct acks acks = read_acks(file);
	size_t lost = 0;
	PGresult *res;
	PGconn *pg;

	if (parse_uri(uri))
		return 2;
	pg = reach(seconds);
	res = PQexec(pg, read_sql);
	if (PQresultStatus(res) != PGRES_TUPLES_OK) {
		fprintf(stderr, "writer: %s\n", one_line(PQerrorMessage(pg)));
		return 2;
	}
	qsort(acks.row, acks.n, sizeof *acks.row, compare);
	tick_off(&acks, res);
	for (size_t i = 0; i < acks.n; i++) {
		if (acks.row[i].present)
			continue;
		if (lost++ < 20)
			printf("lost: client %" PRId64 " row %" PRId64
			       " acknowledged at %" PRId64 "\n",
			    acks.row[i].client, acks.row[i].seq, acks.row[i].at_ms);
	}
	printf("acknowledged %zu present %zu lost %zu\n", acks.n, acks.n - lost, lost);
	PQclear(res);
	PQfinish(pg);
	free(acks.row);
	if (!acks.n) {
		fprintf(
		    stderr, "writer: not one row was acknowledged: nothing is proven\n");
		return 2;
	}
	return lost ? 1 : 0;
}

static size_t
read_marks(const char *file, struct mark *marks, size_t max)
{
	char *path = xasprintf("%s.marks", file);
	FILE *f = fopen(path, "re");
	size_t n = 0;

	while (f && n < max &&
	       fscanf(f, "%" SCNd64 " %63s", &marks[n].at_ms, marks[n].name) == 2)
		n++;
	if (f)
		fclose(f);
	free(path);
	return n;
}

/*
 * The longest time between two acknowledged rows whose middle lies in [from, to); the
 * time after the last one counts up to the end.
 */
static int64_t
longest_gap(const struct acks *acks, int64_t from, int64_t to, int64_t end)
{
	int64_t longest = 0;

	for (size_t i = 1; i <= acks->n; i++) {
		int64_t a = acks->row[i - 1].at_ms;
		int64_t b = i < acks->n ? acks->row[i].at_ms : end;
		int64_t middle = a + (b - a) / 2;

		if (middle >= from && middle < to && b - a > longest)
			longest = b - a;
	}
	return longest;
}

/* All events, or the last one of that name. */
static int
gaps(const char *file, const char *name)
{
	struct mark marks[1024];
	size_t n = read_marks(file, marks, 1024);
	struct acks acks = read_acks(file);
	int64_t end = clock_wall().ms, found = -1;

	if (n && !strcmp(marks[n - 1].name, end_mark))
		end = marks[n - 1].at_ms;
	for (size_t i = 0; i < n; i++) {
		int64_t to = i + 1 < n ? marks[i + 1].at_ms : INT64_MAX;
		int64_t gap = longest_gap(&acks, marks[i].at_ms, to, end);

		if (!name && strcmp(marks[i].name, end_mark))
			printf("%6" PRId64 " %s\n", gap, marks[i].name);
		if (name && !strcmp(name, marks[i].name))
			found = gap;
	}
	free(acks.row);
	if (!name)
		return 0;
	if (found < 0)
		fprintf(stderr, "writer: no event %s\n", name);
	else
		printf("%" PRId64 "\n", found);
	return found < 0 ? 2 : 0;
}

/* argv[i] as a number, or what it is when absent. */
static int
number(int argc, char **argv, int i, int absent, int max)
{
	struct err e = { 0 };
	int n = absent;

	if (i < argc && str_int_between(argv[i], 1, max, &n, &e)) {
		fprintf(stderr, "writer: %s\n", e.msg);
		exit(2);
	}
	return n;
}

int
main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "run"))
		return run(argv[2], argv[3], number(argc, argv, 4, 2, CLIENTS_MAX),
		    number(argc, argv, 5, 10, 60000));
	if (argc >= 4 && !strcmp(argv[1], "verify"))
		return verify(argv[2], argv[3], number(argc, argv, 4, 10, 600));
	if (argc == 4 && !strcmp(argv[1], "mark"))
		return mark(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "gap"))
		return gaps(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "gaps"))
		return gaps(argv[2], NULL);
	fputs(usage, stderr);
	return 2;
}
