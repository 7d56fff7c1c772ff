/* Is what this node holds of a timeline what the upstream holds of it? */
/* SPDX-License-Identifier: PostgreSQL */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/setup.h"
#include "pg/standby.h"

#include "ini/ban.h"

#define PIECE 32768 /* bytes compared at each end of what may differ */

/* Some bytes of a segment of WAL. */
struct piece {
	char name[32];
	uint64_t offset, length;
};

/* Where that timeline begins, as the source tells; 0: before it can remember. */
static uint64_t
begin_of(const struct standby_source *s, int tli)
{
	uint64_t at = 0;
	int parent = 0;

	for (int i = 0; i < s->nhistory; i++)
		if (s->history[i].tli < tli && s->history[i].tli > parent) {
			parent = s->history[i].tli;
			at = s->history[i].end;
		}
	return at;
}

static void
locate(struct piece *p, int tli, uint64_t from, uint64_t to, uint64_t segment)
{
	uint64_t n = from / segment;
	uint64_t per_log = UINT64_C(0x100000000) / segment;

	snprintf(p->name, sizeof p->name, "%08X%08X%08X", (unsigned)tli,
	    (unsigned)(n / per_log), (unsigned)(n % per_log));
	p->offset = from % segment;
	p->length = to - from;
}

/* In hex, as the source tells them; false: that is not there any more. */
static bool
read_own(const struct host *h, const struct piece *p, struct buf *hex)
{
	char *path = xasprintf("%s/pg_wal/%s", h->pgdata, p->name);
	unsigned char *bytes = xmalloc(p->length);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : pread(fd, bytes, p->length, (off_t)p->offset);

	for (ssize_t i = 0; i < got; i++)
		buf_printf(hex, "%02x", bytes[i]);
	if (fd >= 0)
		close(fd);
	free(bytes);
	free(path);
	return got == (ssize_t)p->length;
}

static bool
differs(const struct host *h, const struct conf_upstream *up, const struct piece *p)
{
	struct buf own = { 0 }, other = { 0 };
	char sql[256];
	bool yes = false;

	snprintf(sql, sizeof sql,
	    "select pg_catalog.encode(pg_catalog.pg_read_binary_file('pg_wal/%s', %llu, "
	    "%llu, true), 'hex') as x",
	    p->name, (unsigned long long)p->offset, (unsigned long long)p->length);
	if (read_own(h, p, &own) && standby_source_text(h, up, sql, &other, NULL) == 0 &&
	    !str_empty(buf_peek(&other)))
		yes = strcmp(buf_peek(&own), buf_peek(&other)) != 0;
	buf_drop(&own);
	buf_drop(&other);
	return yes;
}

bool
standby_is_fork(const struct host *h, const struct conf_upstream *up,
    const struct standby_source *s, const struct host_position *p)
{
	struct control c;
	struct piece piece;
	uint64_t from;

	if (p->tli < 2 || p->lsn < 1 || setup_control(h, &c, NULL) || !c.segment_bytes)
		return false;
	from = (p->lsn - 1) / c.segment_bytes * c.segment_bytes;
	if (from < begin_of(s, p->tli))
		from = begin_of(s, p->tli);
	if (from >= p->lsn)
		return false;
	locate(&piece, p->tli, from, p->lsn, c.segment_bytes);
	if (piece.length > PIECE)
		piece.length = PIECE;
	if (differs(h, up, &piece))
		return true;
	if (p->lsn - from > PIECE)
		from = p->lsn - PIECE;
	locate(&piece, p->tli, from, p->lsn, c.segment_bytes);
	return differs(h, up, &piece);
}
