/* Room on the disk: said while there still is some, and why Postgres is down without. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/node.h"

#include "ini/ban.h"

#define LOOK_MS 5000
#define SEGMENT (16LL << 20) /* pg_wal needs room for one at any time */
#define DATA_FLOOR (8LL << 20)
#define LOW_MOST (4LL << 30) /* of a big disk, less than its twentieth is enough */

/* Which of two limits a file system has fallen below. It must rise a bit above them
 * before that is over: what is said would change all the time else. */
static enum node_room
room(int64_t free_bytes, int64_t total, int64_t floor, enum node_room before)
{
	int64_t low = total / 20 < LOW_MOST ? total / 20 : LOW_MOST;

	if (low < 2 * floor)
		low = 2 * floor;
	if (free_bytes < floor + (before == NODE_ROOM_NONE ? floor / 4 : 0))
		return NODE_ROOM_NONE;
	return free_bytes < low + (before != NODE_ROOM_ENOUGH ? low / 4 : 0)
		   ? NODE_ROOM_LITTLE
		   : NODE_ROOM_ENOUGH;
}

static void
describe(struct node *n, const char *where, int64_t total)
{
	char *to = n->disk_text;
	int mb = (int)(total >> 20);

	if (n->room == NODE_ROOM_ENOUGH)
		to[0] = '\0';
	else
		snprintf(to, sizeof n->disk_text, "the disk of %s, %d MB, is %s", where,
		    mb, n->room == NODE_ROOM_NONE ? "full" : "almost full");
}

void
node_disk_look(struct node *n)
{
	struct host_disk d;
	enum node_room before = n->room, data, wal;
	bool is_wal;

	n->disk_at = mono_after(n->loop.now, LOOK_MS);
	if (host_disk(&n->host, &d, NULL) == -1 || d.data_total == 0 || d.wal_total == 0)
		return; /* there is no directory yet */
	data = room(d.data_free, d.data_total, DATA_FLOOR, before);
	wal = room(d.wal_free, d.wal_total, SEGMENT, before);
	is_wal = wal >= data;
	n->room = is_wal ? wal : data;
	describe(n, is_wal ? "pg_wal" : "the data directory",
	    is_wal ? d.wal_total : d.data_total);
	if (n->room == before)
		return;
	if (n->room == NODE_ROOM_ENOUGH)
		log_info("there is room on the disk again");
	else
		log_warn("%s", n->disk_text);
	node_hurry(n);
}

void
node_disk_turn(struct node *n)
{
	if (mono_reached(n->loop.now, n->disk_at))
		node_disk_look(n);
}
