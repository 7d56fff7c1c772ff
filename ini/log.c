/* The log: one line per record on stderr. */
/* SPDX-License-Identifier: PostgreSQL */
#include "ini/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ini/clock.h"
#include "ini/err.h"

#include "ini/ban.h"

#define LINE_MAX_BYTES 2048 /* below PIPE_BUF: lines of several processes do not mix */
#define ONCE_MS 60000

static const struct {
	const char *name;
	const char *plain; /* what a command puts before the text */
	int priority;      /* syslog's, for the journal */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "", 3 },
	[LOG_LEVEL_WARN] = { "warn", "warning: ", 4 },
	[LOG_LEVEL_INFO] = { "info", "", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", "debug: ", 7 },
};

static enum log_level max_level = LOG_LEVEL_INFO;
static enum log_level last_level = LOG_LEVEL_INFO; /* of the record details belong to */
static char context[64];
static const char *plain;

/* systemd.exec(5): the variable may be inherited by someone whose stderr went elsewhere,
 * so it holds device and inode to compare with. */
static bool
is_journal(void)
{
	static int known = -1;
	const char *env;
	char *end;
	struct stat st;
	unsigned long long dev;

	if (known >= 0)
		return known;
	known = 0;
	env = getenv("JOURNAL_STREAM");
	if (!env || fstat(STDERR_FILENO, &st))
		return false;
	dev = strtoull(env, &end, 10);
	known =
	    *end == ':' && dev == st.st_dev && strtoull(end + 1, NULL, 10) == st.st_ino;
	return known;
}

static size_t
prefix(char *line, size_t size, enum log_level level)
{
	char time[CLOCK_TEXT];
	const char *gap = context[0] ? " " : "";
	int n;

	if (plain)
		n = snprintf(line, size, "%s: %s", plain, levels[level].plain);
	else if (is_journal())
		n = snprintf(line, size, "<%d>%s%s%s ", levels[level].priority,
		    levels[level].name, gap, context);
	else
		n = snprintf(line, size, "%s %s%s%s ", clock_format(clock_wall(), time),
		    levels[level].name, gap, context);
	return n < 0 ? 0 : (size_t)n;
}

/* One write per line; a full pipe or a closed stderr is nobody's to report. */
static void
put(char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	while (n > 0 && line[n - 1] == ' ')
		n--;
	line[n++] = '\n';
	while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
		;
}

__attribute__((format(printf, 3, 0))) static void
vwrite(enum log_level level, const char *label, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	size_t room = sizeof line - 1; /* for the newline */
	size_t n;
	int saved = errno;
	int more;

	if (level > max_level)
		return;
	n = prefix(line, room, level);
	n += (size_t)snprintf(line + n, room - n, "%s", label);
	errno = saved; /* for %m */
	more = vsnprintf(line + n, room - n, fmt, ap);
	if (more > 0 && (size_t)more >= room - n) {
		n = room - 4;
		while (((unsigned char)line[n] & 0xc0) == 0x80)
			n--;
		memcpy(line + n, "...", 3);
		n += 3;
	} else if (more > 0)
		n += (size_t)more;
	put(line, n);
	errno = saved;
}

#define LOG_AT(level)                                                                    \
	do {                                                                             \
		va_list ap;                                                              \
		last_level = (level);                                                    \
		va_start(ap, fmt);                                                       \
		vwrite((level), "", fmt, ap);                                            \
		va_end(ap);                                                              \
	} while (0)

void
log_error(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_ERROR);
}

void
log_warn(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_WARN);
}

void
log_info(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_INFO);
}

void
log_debug(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_DEBUG);
}

void
log_at(enum log_level level, const char *fmt, ...)
{
	LOG_AT(level);
}

void
log_detail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vwrite(last_level, "detail: ", fmt, ap);
	va_end(ap);
}

void
log_hint(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vwrite(last_level, "hint: ", fmt, ap);
	va_end(ap);
}

void
log_err(enum log_level level, const struct err *e)
{
	log_at(level, "%s", e->msg);
	if (e->detail[0])
		log_detail("%s", e->detail);
	if (e->hint[0])
		log_hint("%s", e->hint);
}

void
log_level_set(enum log_level level)
{
	max_level = level;
}

enum log_level
log_level_get(void)
{
	return max_level;
}

void
log_context(const char *name)
{
	snprintf(context, sizeof context, "%s", name ? name : "");
}

void
log_plain(const char *program)
{
	plain = program;
}

/* FNV-1a: we only ask "the same text again?". */
static uint64_t
hash(const char *text)
{
	uint64_t h = 14695981039346656037u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return h;
}

/* May this text be written now? Counts it when not. */
static bool
is_news(struct log_once *o, const char *text)
{
	uint64_t h = hash(text);
	int64_t now = clock_mono().ms;

	if (o->used && o->hash == h && now - o->written_ms < ONCE_MS) {
		o->skipped++;
		return false;
	}
	if (!o->used || o->hash != h)
		o->skipped = 0;
	o->used = true;
	o->hash = h;
	o->written_ms = now;
	return true;
}

void
log_once(struct log_once *o, enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	unsigned skipped;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (!is_news(o, text))
		return;
	skipped = o->skipped;
	o->skipped = 0;
	if (skipped)
		log_at(level, "%s (repeated %u times)", text, skipped);
	else
		log_at(level, "%s", text);
}

void
log_once_err(struct log_once *o, enum log_level level, const struct err *e)
{
	bool again = o->used && o->hash == hash(e->msg);
	int64_t before = o->written_ms;

	log_once(o, level, "%s", e->msg);
	if (again && o->written_ms == before)
		return;
	if (e->detail[0])
		log_detail("%s", e->detail);
	if (e->hint[0])
		log_hint("%s", e->hint);
}

void
log_once_reset(struct log_once *o)
{
	*o = (struct log_once){ 0 };
}
