/* A string that grows. */
/* SPDX-License-Identifier: PostgreSQL */
#include "ini/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ini/mem.h"

#include "ini/ban.h"

void
buf_init(struct buf *b)
{
	*b = (struct buf){ 0 };
}

void
buf_drop(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void
buf_reset(struct buf *b)
{
	buf_cut(b, 0);
}

void
buf_cut(struct buf *b, size_t len)
{
	if (len < b->len) {
		b->len = len;
		b->data[len] = '\0';
	}
}

char *
buf_take(struct buf *b)
{
	char *s = b->data ? b->data : xstrdup("");

	*b = (struct buf){ 0 };
	return s;
}

const char *
buf_peek(const struct buf *b)
{
	return b->data ? b->data : "";
}

size_t
buf_len(const struct buf *b)
{
	return b->len;
}

/* Room for n more bytes and the NUL. */
static void
grow(struct buf *b, size_t n)
{
	size_t need = b->len + n + 1;
	size_t cap = b->cap ? b->cap : 64;

	if (need <= b->len)
		die("out of memory: a text of more than %zu bytes", b->len);
	if (need <= b->cap)
		return;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	b->data = xrealloc(b->data, cap);
	b->cap = cap;
}

void
buf_add(struct buf *b, const void *bytes, size_t n)
{
	grow(b, n);
	if (n)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	grow(b, 64);
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	if (n < 0)
		die("cannot format a text");
	if ((size_t)n >= b->cap - b->len) {
		grow(b, (size_t)n);
		vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
	}
	b->len += (size_t)n;
	va_end(again);
}

/* Bytes of the valid UTF-8 character at s, 0 when it is none (RFC 3629). */
static size_t
utf8_len(const unsigned char *s)
{
	static const struct {
		unsigned char first, last; /* of the lead byte */
		unsigned char low, high;   /* of the second byte */
		unsigned char len;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (s[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (s[0] < forms[i].first || s[0] > forms[i].last)
			continue;
		if (s[1] < forms[i].low || s[1] > forms[i].high)
			return 0;
		for (size_t k = 2; k < forms[i].len; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

/* One character below 0x20, or one that JSON escapes; false when it needs no escape. */
static bool
json_escape(struct buf *b, char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t";
	static const char letter[] = "\"\\bfnrt";
	const char *at = strchr(plain, c);

	if (at) {
		buf_char(b, '\\');
		buf_char(b, letter[at - plain]);
	} else if ((unsigned char)c < ' ' || c == 0x7f)
		buf_printf(b, "\\u%04x", (unsigned)c);
	else
		return false;
	return true;
}

void
buf_json(struct buf *b, const char *s)
{
	size_t n;

	if (!s) {
		buf_str(b, "null");
		return;
	}
	buf_char(b, '"');
	for (; *s; s += n) {
		n = utf8_len((const unsigned char *)s);
		if (n == 0) {
			/* file names may hold anything, JSON may not */
			buf_str(b, "\\ufffd");
			n = 1;
		} else if (n > 1 || !json_escape(b, *s))
			buf_add(b, s, n);
	}
	buf_char(b, '"');
}

void
buf_shell(struct buf *b, const char *s)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-+=./:,@%";

	if (*s && s[strspn(s, safe)] == '\0') {
		buf_str(b, s);
		return;
	}
	buf_char(b, '\'');
	for (; *s; s++)
		if (*s == '\'')
			buf_str(b, "'\\''");
		else
			buf_char(b, *s);
	buf_char(b, '\'');
}

void
buf_conninfo(struct buf *b, const char *s)
{
	buf_char(b, '\'');
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			buf_char(b, '\\');
		buf_char(b, *s);
	}
	buf_char(b, '\'');
}

/* The server's reader (guc-file.l) takes '' for a quote and C escapes, but no bare
 * newline inside quotes. */
void
buf_conf(struct buf *b, const char *s)
{
	buf_char(b, '\'');
	for (; *s; s++)
		switch (*s) {
		case '\'':
			buf_str(b, "''");
			break;
		case '\\':
			buf_str(b, "\\\\");
			break;
		case '\n':
			buf_str(b, "\\n");
			break;
		default:
			buf_char(b, *s);
		}
	buf_char(b, '\'');
}
