/* Connection strings taken apart by libpq's own parser, and put together as URIs. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/uri.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/str.h"

#include "ini/ban.h"

#define WORDS_MAX 64

/* What is set, borrowed from wherever it came from. */
struct words {
	int n;
	const char *keyword[WORDS_MAX];
	const char *value[WORDS_MAX];
	PQconninfoOption *parsed; /* owns the texts, or NULL */
};

static void
put(struct words *w, const char *keyword, const char *value)
{
	int i = 0;

	while (i < w->n && strcmp(w->keyword[i], keyword) != 0)
		i++;
	if (i == WORDS_MAX)
		return;
	if (i == w->n)
		w->n++;
	w->keyword[i] = keyword;
	w->value[i] = value ? value : "";
}

static int
parse(const char *text, struct words *w, struct err *e)
{
	char *why = NULL;

	*w = (struct words){ .parsed = PQconninfoParse(text, &why) };
	if (!w->parsed) {
		err_set(e, ERR_USAGE,
		    "this is not a connection string that libpq understands");
		/* libpq's reason quotes what it could not read, which may be the password
		 */
		if (why && !strstr(text, "password") && !strchr(text, '@'))
			err_detail(e, "%s", why);
		PQfreemem(why);
		return -1;
	}
	for (const PQconninfoOption *o = w->parsed; o->keyword; o++)
		if (!str_empty(o->val))
			put(w, o->keyword, o->val);
	return 0;
}

static void
drop(struct words *w)
{
	PQconninfoFree(w->parsed);
}

static const char *
value(const struct words *w, const char *keyword)
{
	for (int i = 0; i < w->n; i++)
		if (strcmp(w->keyword[i], keyword) == 0)
			return w->value[i];
	return "";
}

static bool
is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("-._~*", c));
}

static void
percent(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is_plain((unsigned char)s[i]))
			buf_char(b, s[i]);
		else
			buf_printf(b, "%%%02X", (unsigned char)s[i]);
	}
}

/* The item of a comma list; a list of one port serves all hosts. */
static const char *
item(const char *list, int i, size_t *n)
{
	const char *at = list;

	while (i-- && strchr(at, ','))
		at = strchr(at, ',') + 1;
	*n = strcspn(at, ",");
	return at;
}

static void
add_hosts(struct buf *b, const char *hosts, const char *ports)
{
	for (int i = 0;; i++) {
		size_t n;
		size_t np;
		const char *host = item(hosts, i, &n);
		const char *port = item(ports, i, &np);

		if (memchr(host, ':', n)) {
			buf_char(b, '[');
			buf_add(b, host, n);
			buf_char(b, ']');
		} else {
			percent(b, host, n);
		}
		if (np) {
			buf_char(b, ':');
			percent(b, port, np);
		}
		if (host[n] != ',')
			return;
		buf_char(b, ',');
	}
}

static void
add_rest(struct buf *b, const struct words *w)
{
	static const char *const done[] = { "user", "password", "host", "port",
		"dbname" };
	char sep = '?';

	for (int i = 0; i < w->n; i++) {
		bool skip = !w->value[i][0];

		for (size_t k = 0; k < sizeof done / sizeof done[0]; k++)
			skip = skip || strcmp(w->keyword[i], done[k]) == 0;
		if (skip)
			continue;
		buf_char(b, sep);
		buf_str(b, w->keyword[i]);
		buf_char(b, '=');
		/* a path stays readable: a '/' means nothing in this part */
		for (const char *p = w->value[i]; *p; p++) {
			if (*p == '/')
				buf_char(b, '/');
			else
				percent(b, p, 1);
		}
		sep = '&';
	}
}

static void
format(struct buf *b, const struct words *w)
{
	const char *user = value(w, "user");
	const char *password = value(w, "password");

	buf_str(b, "postgres://");
	percent(b, user, strlen(user));
	if (*password) {
		buf_char(b, ':');
		percent(b, password, strlen(password));
	}
	if (*user || *password)
		buf_char(b, '@');
	add_hosts(b, value(w, "host"), value(w, "port"));
	buf_char(b, '/');
	percent(b, value(w, "dbname"), strlen(value(w, "dbname")));
	add_rest(b, w);
}

void
uri_format(struct buf *b, const struct uri_parts *p)
{
	struct words w = { 0 };
	char port[16] = "";

	if (p->port)
		snprintf(port, sizeof port, "%d", p->port);
	put(&w, "user", p->user);
	put(&w, "password", p->password);
	put(&w, "host", p->host);
	put(&w, "port", port);
	put(&w, "dbname", p->dbname);
	put(&w, "sslmode", p->sslmode);
	put(&w, "sslrootcert", p->sslrootcert);
	put(&w, "sslcrl", p->sslcrl);
	format(b, &w);
}

/* Quotes only where they are needed: in a file of settings they are doubled again. */
static const char unquoted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "0123456789_-./:";

void
uri_word(struct buf *b, const char *keyword, const char *text)
{
	if (str_empty(text))
		return;
	buf_printf(b, "%s%s=", buf_len(b) ? " " : "", keyword);
	if (text[strspn(text, unquoted)] == '\0')
		buf_str(b, text);
	else
		buf_conninfo(b, text);
}

int
uri_check(const char *text, struct err *e)
{
	struct words w;

	if (parse(text, &w, e))
		return -1;
	drop(&w);
	return 0;
}

int
uri_get(const char *uri, const char *keyword, struct buf *b, struct err *e)
{
	struct words w;

	if (parse(uri, &w, e))
		return -1;
	buf_str(b, value(&w, keyword));
	drop(&w);
	return 0;
}

int
uri_set(
    const char *uri, const char *keyword, const char *text, struct buf *b, struct err *e)
{
	struct words w;

	if (parse(uri, &w, e))
		return -1;
	put(&w, keyword, text);
	format(b, &w);
	drop(&w);
	return 0;
}

static int
count(const char *list)
{
	int n = 1;

	for (; *list; list++)
		n += *list == ',';
	return n;
}

int
uri_hosts(const char *uri)
{
	struct words w;
	int n;

	if (parse(uri, &w, NULL))
		return 1;
	n = count(value(&w, "host"));
	drop(&w);
	return n;
}

/* The list from its item first on, then those before it. */
static void
rotate(struct buf *b, const char *list, int first)
{
	int n = count(list);

	for (int i = 0; i < n; i++) {
		size_t len;
		const char *at = item(list, (first + i) % n, &len);

		if (i)
			buf_char(b, ',');
		buf_add(b, at, len);
	}
}

int
uri_rotate(const char *uri, int first, struct buf *b, struct err *e)
{
	static const char *const lists[] = { "host", "hostaddr", "port" };
	struct buf text[3] = { 0 };
	struct words w;

	if (parse(uri, &w, e))
		return -1;
	for (size_t i = 0; i < 3; i++) {
		/* one port serves all hosts: it stays alone */
		rotate(&text[i], value(&w, lists[i]), first);
		if (buf_len(&text[i]))
			put(&w, lists[i], buf_peek(&text[i]));
	}
	format(b, &w);
	for (size_t i = 0; i < 3; i++)
		buf_drop(&text[i]);
	drop(&w);
	return 0;
}

void
uri_scrub(const char *text, struct buf *b)
{
	struct words w;

	if (parse(text, &w, NULL)) {
		buf_str(b, "****");
		return;
	}
	for (int i = 0; i < w.n; i++)
		if (str_ends(w.keyword[i], "password") && w.value[i][0])
			w.value[i] = "****";
	format(b, &w);
	drop(&w);
}

bool
uri_same(const char *a, const char *b)
{
	static const char *const what[] = { "host", "port", "dbname", "user" };
	struct words x;
	struct words y;
	bool same = true;

	if (parse(a, &x, NULL))
		return false;
	if (parse(b, &y, NULL)) {
		drop(&x);
		return false;
	}
	for (size_t i = 0; i < sizeof what / sizeof what[0]; i++)
		same = same && strcmp(value(&x, what[i]), value(&y, what[i])) == 0;
	drop(&x);
	drop(&y);
	return same;
}
