/* The keeper's process: what the files cmd/node_*.c share. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_NODE_H
#define CMD_NODE_H

#include "cmd/act.h"
#include "cmd/loop.h"
#include "cmd/node_create.h"
#include "cmd/node_step.h"
#include "cmd/service.h"
#include "ini/log.h"
#include "pg/host.h"
#include "pg/statefile.h"
#include "pg/watch.h"

/* A connection that is opened again and again. */
struct node_session {
	struct watch w;
	int fd; /* as the loop knows it, -1 none */
	struct mono retry_at;
	int fails;
	struct log_once trouble;
};

/* The address of a name; start from { .fd = -1 }. */
struct node_name {
	struct loop *loop;
	char host[256];
	char address[64]; /* "" not known */
	struct mono at;   /* when it was found */
	struct mono began;
	pid_t pid; /* who looks it up */
	int fd;
};

enum node_name_is {
	NODE_NAME_NONE,  /* no look-up is needed */
	NODE_NAME_KNOWN, /* address */
	NODE_NAME_SOON   /* ask again */
};

/* What the monitor's session is asked. */
enum node_ask {
	ASK_NONE,
	ASK_LISTEN,
	ASK_REPORT,
	ASK_PEERS,
	ASK_SYSID,
	ASK_VERSION,
	ASK_HISTORY,
	ASK_METADATA,
	ASK_PARK,   /* maintenance, because we stop */
	ASK_UNPARK, /* ... and its end, because we are back */
	ASK_RETURN, /* to be known again: its tables are older than this node */
	ASK_COUNT
};

/* What the local Postgres says of itself. */
struct node_seen {
	bool fresh; /* ... and to a question asked after the last act ended */
	bool valid; /* an answer in this life of the postmaster */
	struct mono at;
	bool recovery;
	int version; /* server_version_num */
	int tli;
	uint64_t lsn;
	bool receiving; /* the walreceiver streams */
	bool paused;    /* replay is */
	bool has_names;
	char names[2048];
	char upstream_host[256]; /* of primary_conninfo */
	int upstream_port;
	char rep_state[16];
	int npeers;
	struct report_peer peer[FSM_NODES_MAX];
	char reply_text[FSM_NODES_MAX][40];  /* reply_time as it was last seen */
	struct mono reply_at[FSM_NODES_MAX]; /* ... since when, by our clock */
	int64_t reply_id[FSM_NODES_MAX];
};

/* The worker process and what it began with. */
struct node_work {
	pid_t pid; /* 0: none */
	int fd;
	struct act_job job;
	bool final;
	bool done; /* it said so; its exit is awaited */
	struct act_message result;
	struct mono began;
	char progress[96];
};

enum node_room { NODE_ROOM_ENOUGH, NODE_ROOM_LITTLE, NODE_ROOM_NONE };

struct node {
	enum node_mode mode;
	bool keeps_postgres; /* when it leaves without being asked to stop */
	struct config cfg;
	struct host host; /* borrows cfg */
	struct loop loop;
	struct service svc;
	struct statefile state;
	struct keeper *k; /* in state */
	char *cfg_path, *state_path, *init_path, *lease_path;

	struct node_session mon;
	struct node_name mon_name;
	enum node_ask asked;   /* of the statement under way */
	unsigned asks;         /* bits of enum node_ask that are waiting */
	struct mono asked_at;  /* when the report under way was sent */
	struct mono report_at; /* the next one at the latest */
	struct report report;  /* the last one sent */
	struct report_params params;
	bool has_reply;
	struct reply reply;
	struct mono began;
	struct mono contact; /* when the last good reply was asked for, or our start */
	enum fsm_state told; /* the state of the last answered report, UNKNOWN none */
	struct mono lease_until;
	bool keeps_lease; /* it ends by itself when this process has gone */
	bool lease_limited;
	struct mono lease_spawned;
	int64_t peers_gen; /* of the list below */
	int64_t peers_asked;
	bool has_peers;
	int npeers;
	struct peer peer[FSM_NODES_MAX];
	int history_tli; /* published */
	int parking;     /* 0 no, 1 to be asked, 2 accepted, 3 refused */

	struct node_step step;
	bool noticed;            /* the monitor said that the goal is another one */
	unsigned long nodes_ino; /* the file of nodes, as it was read */
	int64_t nodes_ns;

	struct node_session local;
	bool slots_sent; /* the statement under way is about slots */
	struct mono look_at, slots_at, peers_at;
	struct node_seen seen;
	struct report_peer last_peer[FSM_NODES_MAX];
	pid_t postmaster;
	int pgport; /* where it was seen to listen; 0: not seen yet */
	int pidfd;
	enum fsm_pg pg;
	struct mono pg_up;   /* last seen up */
	struct mono apart;   /* a standby: last seen streaming */
	struct mono vouched; /* a standby last seen attached */
	bool was_up;
	struct mono crash[KEEPER_CRASHES_MAX]; /* the last ones, a ring */
	int ncrashes;

	enum node_room room; /* on the worse of the disks */
	char disk_text[96];  /* ... in words, "" when there is enough */
	struct mono disk_at;

	struct node_session ping;
	struct node_name ping_name;
	struct mono ping_at;
	int64_t ping_id; /* whom */
	enum fsm_witness heard;
	struct mono heard_at;

	struct node_work work;
	int promoted_tli; /* by the last act; 0 after a look */
	bool shut;        /* the last act left clients shut out, and nothing came since */
	unsigned works;   /* counts ends of acts */
	unsigned look_work; /* ... when the last look was asked for */
	int fails;          /* of the present act */
	struct mono retry_at;
	char error[256];
	struct node_work chore; /* pg_hba.conf */
	bool chore_due;
	bool chore_settings;   /* our Postgres settings too, after a reload */
	bool chore_checkpoint; /* nobody can be rewound against us before it */
	bool chore_limits; /* replay was paused: by Postgres, for want of something? */

	bool upgrade; /* the binary has changed: become the new one between two works */
	bool hurry;   /* something changed: look and report sooner */
	struct mono flux_until;
	struct mono stop_at; /* give up the gentle stop then; 0: not stopping */
	bool leave;
	int exit_kind; /* enum err_kind of the process when it leaves */
	struct log_once why;
};

/* node_monitor.c */
void node_monitor_turn(struct node *);
int64_t node_monitor_wait_ms(const struct node *);
/* node_report.c */
void node_report_fill(struct node *, struct report *);
bool node_report_due(struct node *);
/* node_local.c */
void node_local_turn(struct node *);
int64_t node_local_wait_ms(const struct node *);
void node_postmaster_look(struct node *);
/* node_disk.c */
void node_disk_turn(struct node *);
void node_disk_look(struct node *);
/* node_ping.c */
void node_ping_turn(struct node *);
int64_t node_ping_wait_ms(const struct node *);
/* node_resolve.c */
enum node_name_is node_name_find(struct node_name *, struct loop *, const char *host);
void node_name_close(struct node_name *);
/* node_work.c */
void node_become_child(const char *name, pid_t parent, int keep_fd);
void node_work_begin(struct node *, const struct keeper_step *);
void node_work_abort(struct node *);
bool node_work_moves(const struct node *);
void node_chore_turn(struct node *);
/* node_lease.c */
int node_lease_open(struct node *, struct err *) __attribute__((warn_unused_result));
void node_lease_close(struct node *);
void node_lease_turn(struct node *);
void node_lease_set(struct node *, int64_t lease_ms, struct mono asked);
int64_t node_lease_left_ms(const struct node *);
/* node_run.c */
int node_save(struct node *);
void node_observe(const struct node *, struct keeper_obs *);
void node_hurry(struct node *);

/* For sessions: follow the descriptor, and what it waits for, in the loop. */
void node_session_watch(struct node *, struct node_session *);
void node_session_lost(struct node *, struct node_session *, int64_t most_ms);
int64_t node_session_wait_ms(const struct node *, const struct node_session *);

#endif
