/* The settings of a node or a monitor: one table of keys, and the file they live in. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_CONFIG_H
#define INI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

enum config_role { CONFIG_KEEPER = 1, CONFIG_MONITOR = 2 };

/* The strings are the struct's own heap strings; NULL is "not set". */
struct config {
	enum config_role kind; /* decided by role */

	/* pg_autoctl */
	char *role;
	char *monitor; /* URI, or CONFIG_NO_MONITOR */
	char *formation;
	int group; /* -1 until registered */
	char *name;
	char *hostname;
	char *nodekind;
	char *monitor_password;
	char *autoctl_node_password;
	char *dburi; /* of the metadata, when it is not the monitor's own instance */

	/* postgresql */
	char *pgdata;
	char *pg_ctl;
	char *username;
	char *dbname;
	char *host;
	int port;
	int proxyport;
	char *listen_addresses;
	char *auth_method;
	char *hba_level;

	/* ssl */
	bool ssl_active;
	char *sslmode;
	char *ca_file;
	char *crl_file;
	char *cert_file;
	char *key_file;

	/* replication */
	char *maximum_backup_rate;
	char *backup_directory;
	char *replication_password;

	/* timeout: all in milliseconds, whatever the unit in the file */
	int64_t network_partition_ms;
	int64_t prepare_promotion_catchup_ms;
	int64_t prepare_promotion_walreceiver_ms;
	int64_t restart_failure_ms;
	int restart_failure_max_retries;
	int64_t listen_notifications_ms;
	int64_t report_interval_ms;
	int64_t restart_grace_ms;
	int64_t citus_lock_cooldown_ms;
	int citus_wait_max_retries;
	int64_t citus_wait_ms;

	/* citus */
	char *citus_role;
	char *citus_cluster_name;
};

#define CONFIG_NO_MONITOR "PG_AUTOCTL_DISABLED"

enum config_type {
	CONFIG_STRING,
	CONFIG_NAME,    /* as str_name wants it */
	CONFIG_HOST,    /* as str_host wants it */
	CONFIG_METHOD,  /* of pg_hba.conf, with or without options */
	CONFIG_PATH,    /* absolute */
	CONFIG_CHOICE,  /* one of "a|b|c" */
	CONFIG_RATE,    /* for pg_basebackup --max-rate: "32k" to "1024M", bare: kB */
	CONFIG_INT,     /* "min..max"; -1 is "not set" */
	CONFIG_BOOL,    /* written 0 or 1 */
	CONFIG_SECONDS, /* int64_t ms; a bare number in the file is seconds */
	CONFIG_MS       /* int64_t ms; a bare number is milliseconds */
};

enum config_flag {
	CONFIG_RELOAD = 1,   /* a running service takes the new value */
	CONFIG_FIXED = 2,    /* decided when the node was created: a reload refuses it */
	CONFIG_REQUIRED = 4, /* must not be empty */
	CONFIG_SECRET = 8,   /* never shown in logs */
	CONFIG_INTERNAL = 16 /* "config set" refuses it */
};

struct config_key {
	const char *section, *name;
	unsigned roles; /* of enum config_role, together */
	enum config_type type;
	size_t offset;       /* in struct config */
	const char *initial; /* NULL: not set */
	const char *range;   /* "a|b|c" or "min..max", or NULL */
	unsigned flags;      /* of enum config_flag, together */
	const char *help;
};

/* In file order. A name may occur twice, once for each role. */
extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* "section.name" -> its row for that role. -1: ERR_USAGE, unknown setting. */
int config_find(unsigned role, const char *name, const struct config_key **, struct err *)
    __attribute__((warn_unused_result));

/* The files of a data directory, contract: top/pg_autoctl/<PGDATA without the slash>/x.
 */
enum config_file {
	CONFIG_FILE_CFG,
	CONFIG_FILE_STATE,
	CONFIG_FILE_INIT,
	CONFIG_FILE_NODES,
	CONFIG_FILE_PID,
	CONFIG_FILE_PG,
	CONFIG_FILE_COUNT
};

/* Put the path into the buf (replacing its text). Creates nothing: file_mkdir_above is
 * the writer's. ERR_SYSTEM without HOME. */
int config_path(const char *pgdata, enum config_file, struct buf *, struct err *)
    __attribute__((warn_unused_result));

/* Every key at its default. config_drop frees; the struct is ready for config_init. */
void config_init(struct config *, enum config_role);
void config_drop(struct config *);
void config_copy(struct config *to, const struct config *from); /* to: uninitialised */

/*
 * Read a file into an uninitialised struct; keys it lacks have their defaults, keys we
 * do not know are left alone. The role is the file's. Checks everything (config_check).
 * -1: ERR_CONFIG naming file, line, key; the struct needs no drop. errno is ENOENT when
 * there is no file.
 */
int config_load(struct config *, const char *file, struct err *)
    __attribute__((warn_unused_result));

/*
 * Write it: an existing file keeps its comments, order, and keys we do not know. Mode
 * 0600, for it may hold passwords. Makes the directories above it.
 */
int config_save(const struct config *, const char *file, struct err *)
    __attribute__((warn_unused_result));

/* Append the value as text ("" when not set). ERR_USAGE for an unknown name. */
int config_get(const struct config *, const char *name, struct buf *, struct err *)
    __attribute__((warn_unused_result));

/* Check and set from text; "" sets back to the default. ERR_CONFIG names key, value, and
 * what is allowed; on -1 nothing changed. */
int config_set(struct config *, const char *name, const char *value, struct err *)
    __attribute__((warn_unused_result));

/* The same by row, without a look at CONFIG_INTERNAL. */
void config_get_key(const struct config *, const struct config_key *, struct buf *);
int config_set_key(struct config *, const struct config_key *, const char *value,
    struct err *) __attribute__((warn_unused_result));

/* What belongs together fits together: required keys, pairs of keys. */
int config_check(const struct config *, struct err *) __attribute__((warn_unused_result));

/* The whole, as a file that config_load reads, or as {"section": {"name": value}}. */
void config_dump_ini(const struct config *, struct buf *);
void config_dump_json(const struct config *, struct buf *);

enum config_outcome {
	CONFIG_APPLIED, /* taken over */
	CONFIG_LATER,   /* after the next start */
	CONFIG_REFUSED  /* decided at creation, the running value stays */
};

/* before and after are "****" for secrets. */
typedef void config_change_fn(void *arg, const struct config_key *, enum config_outcome,
    const char *before, const char *after);

/*
 * Bring a running service's settings to those of a freshly loaded file, as far as each
 * key allows, and tell fn of each difference. Another pgdata or role refuses the whole:
 * -1, nothing changed. Returns the number of keys applied.
 */
int config_reload(struct config *running, const struct config *file, config_change_fn *,
    void *arg, struct err *);

/* True when the monitor is switched off in the settings. */
bool config_no_monitor(const struct config *);

#endif
