/* The spec file of "node run": what a node or a monitor is to be, declared. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_SPEC_H
#define CMD_SPEC_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct cmd_args;
struct config;
struct err;

#define SPEC_DEFAULT_FILE "/etc/pgaf/node.ini"
#define SPEC_ENV "PG_AUTOCTL_NODESPEC" /* the file a running service watches */
#define SPEC_FORMATIONS_MAX 16

/* A section [formation NAME] of a monitor's file. */
struct spec_formation {
	char *name;
	char *kind;
	char *secondary;
	char *nss; /* NULL: as it is */
};

/* Texts that were checked; booleans are "true" or "false". The struct's own. */
struct spec {
	char *kind;
	char *name;
	char *hostname;
	char *port;
	char *pgdata;
	char *pg_ctl;
	char *listen;
	char *username;
	char *dbname;
	char *pguri;
	char *no_monitor;
	char *node_id;
	char *dburi;
	char *formation_name;
	char *group;
	char *priority;
	char *quorum;
	char *region;
	char *ssl;
	char *auth;
	char *hba_lan;
	char *skip_hba;
	char *debian;
	char *ca_file;
	char *crl_file;
	char *cert_file;
	char *key_file;
	char *create;
	char *run;
	char *node_password;
	char *monitor_password;
	char *replication_password;
	char *backup_rate;
	char *citus_role;
	char *citus_cluster;
	int nformations;
	struct spec_formation formation[SPEC_FORMATIONS_MAX];
};

enum spec_type {
	SPEC_TEXT,
	SPEC_NAME,
	SPEC_INT,   /* "min..max" */
	SPEC_BOOL,  /* true yes on 1, false no off 0 */
	SPEC_CHOICE /* "a|b|c" */
};

enum spec_flag {
	SPEC_MONITOR = 1, /* is of use for kind monitor */
	SPEC_NODE = 2,    /* ... for a data node */
	SPEC_LIVE = 4,    /* a running service takes a new value */
	SPEC_SECRET = 8   /* never printed */
};

struct spec_key {
	const char *section, *name;
	enum spec_type type;
	const char *initial; /* "" not set */
	const char *range;
	unsigned flags;
	size_t offset;       /* of a char * in struct spec, or struct spec_formation */
	const char *option;  /* of create postgres or create monitor; NULL: none */
	const char *setting; /* of pg_autoctl.cfg; NULL: none */
	const char *help;
};

extern const struct spec_key spec_keys[];
extern const size_t spec_key_count;
/* Those of a section [formation NAME]; their section is "formation NAME". */
extern const struct spec_key spec_formation_keys[];
extern const size_t spec_formation_key_count;

const char *spec_value(const struct spec *, const struct spec_key *); /* never NULL */

/* Read a text, into an uninitialised struct. ERR_CONFIG names file, line and key; the
 * struct needs no drop then. What is not known is warned of, and left alone. */
int spec_parse(struct spec *, const char *file, const struct buf *text, struct err *)
    __attribute__((warn_unused_result));
int spec_load(struct spec *, const char *file, struct err *)
    __attribute__((warn_unused_result));
void spec_drop(struct spec *); /* also of { 0 } */

bool spec_is_monitor(const struct spec *);
bool spec_true(const char *value);

/* The options that "create" is run with; they borrow from the spec. */
void spec_options(const struct spec *, struct cmd_args *);

/* Call fn for each key whose value is not what the settings of the node say: those a
 * running node does not take over. */
typedef void spec_differs_fn(void *arg, const struct spec_key *, const char *is);
void spec_compare(
    const struct spec *, const struct config *, spec_differs_fn *, void *arg);

/* As a file that spec_parse reads; passwords only when asked for. */
void spec_format(const struct spec *, bool secrets, struct buf *);

#endif
