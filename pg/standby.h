/* A standby: let go, follow, rewind, copy. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_STANDBY_H
#define PG_STANDBY_H

#include <stdbool.h>
#include <stdint.h>

#include "ini/buf.h"
#include "pg/conf.h"
#include "pg/host.h"

struct err;

/*
 * Let go of the upstream, for certain (facts 1): when 0 is returned nobody feeds this
 * standby any more, and it acknowledges nothing more. The position is exact, and stays.
 * Running Postgres needed; not a standby: ERR_STATE.
 */
int standby_detach(const struct host *, struct host_position *, struct err *)
    __attribute__((warn_unused_result));

/* Wait until received or replayed >= lsn (of a standby); not when nothing comes for
 * still_ms. */
int standby_wait_lsn(const struct host *, uint64_t lsn, int64_t still_ms, struct err *)
    __attribute__((warn_unused_result));

/* What an upstream says of itself. -1, ERR_POSTGRES: not reached, or not to be followed.
 */
struct standby_source {
	uint64_t system_identifier;
	bool recovery;
	int tli;
	uint64_t lsn;       /* flushed, or replayed */
	int checkpoint_tli; /* of its control file: behind tli right after a promotion */
	int64_t bytes;      /* of its databases */
	int nhistory;
	struct standby_fork {
		int tli;      /* this timeline ... */
		uint64_t end; /* ... ended here */
	} history[128];
};
int standby_identify(const struct host *, const struct conf_upstream *,
    struct standby_source *, struct err *) __attribute__((warn_unused_result));

/*
 * The text of this node's own history file against that: false when they tell different
 * stories of the same timeline, which numbers alone do not show.
 */
bool standby_same_history(const char *text, const struct standby_source *);

/* Column x of the first row that the source answers. */
int standby_source_text(const struct host *, const struct conf_upstream *,
    const char *sql, struct buf *, struct err *) __attribute__((warn_unused_result));

/*
 * Two nodes that were promoted at the same place have the same timeline and the same
 * history: only the WAL itself tells that they went on differently. False as well when it
 * cannot be told any more.
 */
bool standby_is_fork(const struct host *, const struct conf_upstream *,
    const struct standby_source *, const struct host_position *);

/* Make our slot there when it is missing: nothing streams without. */
int standby_source_slot(const struct host *, const struct conf_upstream *, struct err *)
    __attribute__((warn_unused_result));
/* End whoever uses that slot there: what is left of a copy that was cut off. */
int standby_source_release(const struct host *, const struct conf_upstream *,
    struct err *) __attribute__((warn_unused_result));
/* Does it send to us now? 1, 0. */
int standby_source_attached(const struct host *, const struct conf_upstream *,
    struct err *) __attribute__((warn_unused_result));

/* Let a just promoted source checkpoint, so that its control file tells its timeline. */
int standby_source_checkpoint(const struct host *, const struct conf_upstream *,
    struct standby_source *, struct err *) __attribute__((warn_unused_result));

enum standby_way {
	STANDBY_FOLLOW, /* our history is a part of its history */
	STANDBY_AHEAD,  /* the same timeline, and it has not got as far as we have */
	STANDBY_REWIND, /* we have what it has not */
	STANDBY_COPY    /* another cluster, or nothing here to rewind */
};
enum standby_way standby_compare(
    const struct host_position *, const struct standby_source *);

/*
 * Run as a standby of this upstream, by the cheapest way that leads there; returns when
 * it streams on the upstream's timeline. From wherever the host is: running or not,
 * former primary, half-made directory, nothing at all. Postgres never starts writable.
 * An upstream that cannot be asked changes nothing here.
 */
struct standby_join {
	struct conf_upstream upstream;
	int fails;     /* attempts before this one: a directory that cannot be started
			* three times is copied anew */
	bool may_copy; /* else ERR_STATE where only a copy helps */
	int64_t deadline_ms; /* to stream, once it runs; 0: 30 s */
	/* Before (true) and after (false) the directory is half made; may be NULL. -1
	 * stops it there. */
	int (*rewinding)(void *arg, bool on, struct err *);
	void *arg;
};
int standby_join(const struct host *, const struct standby_join *, enum standby_way *,
    struct err *) __attribute__((warn_unused_result));

/*
 * As a part of it: run, as a standby that follows nobody, whatever is in the directory.
 * Crash recovery included; position: when replay has come to the end of what is there.
 */
int standby_start_alone(const struct host *, struct host_position *, struct err *)
    __attribute__((warn_unused_result));

/* Point a running standby to the upstream by reload, and wait until it streams. kind
 * ERR_STATE: it has diverged (waits on the old timeline). */
int standby_follow(const struct host *, const struct conf_upstream *, int tli,
    int64_t deadline_ms, struct err *) __attribute__((warn_unused_result));

/* The dear ones, of a stopped host. */
int standby_rewind(const struct host *, const struct standby_join *,
    const struct standby_source *, struct err *) __attribute__((warn_unused_result));
int standby_copy(const struct host *, const struct standby_join *,
    const struct standby_source *, struct err *) __attribute__((warn_unused_result));

/*
 * Fetch WAL from a peer that need not be a primary, up to target, as long as some comes;
 * then let go of it. Running standby only.
 */
int standby_fetch(const struct host *, const struct conf_upstream *, uint64_t target,
    struct host_position *, struct err *) __attribute__((warn_unused_result));

/* Our rules and our certificate, taken before a copy or a rewind; start from { 0 }. What
 * there is not yet is left to be made. */
struct standby_own {
	struct buf hba, cert, key;
};
int standby_own_take(const struct host *, struct standby_own *, struct err *)
    __attribute__((warn_unused_result));
void standby_own_drop(struct standby_own *);

/*
 * What lies outside of a data directory, behind a link in it: the source's tablespaces,
 * and our own pg_wal when it does. It is copied to "made" inside of "here", which is
 * where this node has it, else where the source has it, and moved up when the copy is
 * complete. Start from { 0 }; drop removes what was not moved.
 */
struct standby_spaces {
	int n;
	struct standby_space {
		char *link;  /* below the data directory */
		char *there; /* at the source; NULL: pg_wal */
		char *here;
		char *made;
	} * space;
};
/* ERR_STATE when a new place has files of another cluster. */
int standby_spaces_find(struct standby_spaces *, const struct host *,
    const struct conf_upstream *, struct err *) __attribute__((warn_unused_result));
char *standby_space_option(const struct standby_space *); /* of pg_basebackup */
/* The links of a fresh copy lead to where things will be. */
int standby_spaces_link(const struct standby_spaces *, const char *copy, struct err *)
    __attribute__((warn_unused_result));
/* Not at one stroke: the directory is marked meanwhile. */
int standby_spaces_exchange(const struct standby_spaces *, struct err *)
    __attribute__((warn_unused_result));
void standby_spaces_drop(struct standby_spaces *);
/* Columns oid, location. */
int standby_source_spaces(const struct host *, const struct conf_upstream *,
    struct rows *, struct err *) __attribute__((warn_unused_result));

/* For standby_join.c: the tools of Postgres, with their progress; what makes a copied or
 * rewound directory this node's own; the marks around the time when it is neither. */
int standby_tool(const struct host *, const char *what, const char *const *argv,
    struct err *) __attribute__((warn_unused_result));
void standby_tool_source(const struct host *, const struct conf_upstream *, struct buf *);
int standby_make_own(const struct host *, const struct conf_upstream *,
    const struct standby_own *, struct err *) __attribute__((warn_unused_result));
int standby_half_made(const struct host *, const struct standby_join *, bool on,
    struct err *) __attribute__((warn_unused_result));
/* After a copy that was cut off in the moment of the exchange. */
int standby_copy_mend(const struct host *, struct err *)
    __attribute__((warn_unused_result));

/* End a client's query that replay may wait for: a promotion is near. */
int standby_clear_queries(const struct host *, struct err *)
    __attribute__((warn_unused_result));

#endif
