/* A command: its row in the table, its words and options, what it is run with. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ini/buf.h"
#include "ini/config.h"
#include "ini/err.h"
#include "pg/db.h"

#define CMD_LINE_MAX 64

/* Every option of every command has its field here; NULL, 0, false: not given. */
struct cmd_args {
	int verbose;
	bool quiet;
	bool help;
	bool version;
	bool json;
	const char *pgdata;
	const char *monitor;
	const char *formation;
	const char *formations[16]; /* create monitor --formation, repeated */
	int nformations;
	const char *group;
	const char *name;
	const char *hostname;
	const char *pghost;
	const char *pgport;
	const char *pgctl;
	const char *listen;
	const char *username;
	const char *dbname;
	const char *auth;
	const char *node_id;
	const char *priority;
	const char *quorum;
	const char *backup_rate;
	const char *monitor_password;
	const char *replication_password;
	const char *node_password;
	const char *region;
	const char *dburi;
	const char *ssl_mode;
	const char *ssl_ca_file;
	const char *ssl_crl_file;
	const char *server_cert;
	const char *server_key;
	const char *wait;
	const char *count;
	const char *tli;
	const char *reason;
	const char *if_lost;
	const char *timeout;
	const char *kind;
	const char *number_sync_standbys;
	const char *citus_cluster;
	bool ssl_self_signed;
	bool no_ssl;
	bool skip_pg_hba;
	bool pg_hba_lan;
	bool disable_monitor;
	bool run;
	bool watch;
	bool local;
	bool allow_data_loss;
	bool allow_failover;
	bool destroy;
	bool force;
	bool no_wait;
	bool fast;
	bool immediate;
	bool sigkill;
	bool enable_secondary;
	bool disable_secondary;
	bool file_all;
	bool file_config;
	bool file_state;
	bool file_init;
	bool file_pid;
	bool contents;
	bool dot;
	bool mermaid;
	bool tsv;
	bool mdoc;
	bool read_write;
	bool wait_monitor; /* --wait of watch, which takes no seconds */
};

struct cmd_ctx;

enum cmd_flag {
	CMD_PGDATA = 1,    /* needs a data directory: --pgdata or PGDATA */
	CMD_CONFIG = 2,    /* ... and its settings, in ctx->config */
	CMD_KEEPER = 4,    /* ... which must be a node's */
	CMD_MONITOR = 8,   /* needs a connection to the monitor, in ctx->monitor */
	CMD_SERVICE = 16,  /* a long running process: its log lines carry the time */
	CMD_INTERNAL = 32, /* not listed */
	CMD_REFUSED = 64   /* says why there is no such thing, whatever its options */
};

enum cmd_opt_type { CMD_FLAG, CMD_COUNT, CMD_TEXT, CMD_LIST };

struct cmd_opt {
	char letter; /* 0: none */
	const char *name;
	const char *arg; /* "<name>"; NULL for flags */
	const char *text;
	enum cmd_opt_type type;
	size_t offset; /* in struct cmd_args */
};

struct cmd {
	const char *usage; /* "config get [key]": words, <must>, [may] */
	int (*run)(struct cmd_ctx *);
	unsigned flags;
	const char *text; /* one sentence, no full stop */
	const char *opts; /* names of its options, blank separated; see cmd_options */
};

/* table.c: the first row that fits wins; both end with a NULL name. */
extern const struct cmd cmd_table[];
extern const struct cmd_opt cmd_options[];

struct cmd_ctx {
	const struct cmd *cmd;
	const char *program; /* autoctl, or pg_autoctl */
	const char *path;    /* of our own binary, to run again */
	struct cmd_args args;
	int nwords; /* bound to <must> and [may] of the usage */
	const char *word[CMD_LINE_MAX];
	struct buf pgdata;   /* absolute; empty when none is known */
	struct buf cfg_path; /* of the settings file of pgdata */
	bool have_config;    /* config is loaded */
	struct config config;
	struct db monitor;    /* open when the row says CMD_MONITOR */
	struct buf uri;       /* of the monitor */
	struct buf formation; /* the one in force: option, settings, "default" */
	int64_t hurry_ms;     /* not 0: how long the monitor may take, at most */
	int exit;             /* when run returns 0: exit with this */
	struct err err;
};

/*
 * line.c: argv taken apart. The table's <port>, <seconds>, <boolean> ... are types: what
 * does not read as one is an error that names the option or word, before anything is
 * done.
 */
struct cmd_line {
	int n;
	const char *word[CMD_LINE_MAX];
};
/* Without a command: the words, and the options that are flags; the rest is skipped. */
int cmd_read(const struct cmd *, char **argv, struct cmd_line *, struct cmd_args *,
    struct err *) __attribute__((warn_unused_result));
/* The row all of them fit, else NULL; best: how many words fitted one. */
const struct cmd *cmd_find(const struct cmd_line *, int *best);
/* The row by its fixed words, while the others may still follow the options. */
const struct cmd *cmd_guess(const struct cmd_line *);
/* Set x->word: what fits the usage behind its fixed words. */
int cmd_bind(struct cmd_ctx *, const struct cmd_line *)
    __attribute__((warn_unused_result));

/* secret.c: the passwords among the options are copied, and overwritten in argv. */
void cmd_hide_secrets(struct cmd_ctx *);
/* One from the environment, which no child gets to see; NULL: not set. */
const char *cmd_secret_env(const char *name);
/* One line of stdin, asked for without an echo where stdin is a terminal; it is never
 * freed. */
int cmd_secret_stdin(const char *what, const char **value, struct err *)
    __attribute__((warn_unused_result));
/* Does this key of the settings file hold one? */
bool cmd_is_secret(const char *key);

/* cmd.c: everything from argv to the exit status. */
int cmd_main(int argc, char **argv);

/* For rows without CMD_CONFIG that may use it: loads the settings if there are any. */
int cmd_load_config(struct cmd_ctx *) __attribute__((warn_unused_result));

/* Opens ctx->monitor: --monitor, PG_AUTOCTL_MONITOR, else by the settings of PGDATA. */
int cmd_open_monitor(struct cmd_ctx *) __attribute__((warn_unused_result));
/* The same without trying again while it does not answer. */
int cmd_try_monitor(struct cmd_ctx *) __attribute__((warn_unused_result));

/* The group in force: --group, the node's own, or the only one of the formation. */
int cmd_group(struct cmd_ctx *, int *group) __attribute__((warn_unused_result));

/* Options that are numbers, durations: dflt when not given. ERR_USAGE names the option.
 */
int cmd_int(struct cmd_ctx *, const char *option, const char *value, int dflt, int *to)
    __attribute__((warn_unused_result));
int cmd_seconds(struct cmd_ctx *, const char *option, const char *value, int64_t dflt_ms,
    int64_t *to_ms) __attribute__((warn_unused_result));

/*
 * drop.c: "drop node" of a node that is not this host's: cmd_drop_node hands over to it
 * with --monitor, PG_AUTOCTL_MONITOR or on the monitor's host, when --name or --hostname
 * says which.
 */
int cmd_drop_node_remote(struct cmd_ctx *);

/* help.c */
int cmd_help(struct cmd_ctx *);
/* The n-th option of a row: its own, then the global ones; NULL: no more. */
const struct cmd_opt *help_option(const struct cmd *, int n, char *letter);
/* Do these words fit the beginning of the row? */
bool help_begins(const struct cmd *, int n, const char *const *word);

/* complete.c */
int cmd_complete(struct cmd_ctx *);
int cmd_complete_line(struct cmd_ctx *);
int cmd_completion(struct cmd_ctx *);

int cmd_version(struct cmd_ctx *);
void help_usage(struct buf *, const struct cmd_ctx *, const struct cmd *);
void help_below(
    struct buf *, const struct cmd_ctx *, int nwords, const char *const *word);
/* wrong.c: fills the error and its hint; returns -1. */
int help_wrong_words(struct cmd_ctx *, const struct cmd_line *, int best);
/* How a row of the options is typed: some names mean one thing here, another there. */
const char *cmd_opt_typed(const struct cmd_opt *);
const struct cmd_opt *cmd_opt_find(const char *name, size_t len);
/* line.c: the value of an option or a word, by its type in the table: "<0..100>". */
int cmd_check_value(const char *type, const char *value, struct err *)
    __attribute__((warn_unused_result));
bool cmd_takes(const struct cmd *, const struct cmd_opt *);
/* What "--name", "--name=value" or "-n" means behind these words; NULL: nothing. */
const struct cmd_opt *cmd_opt_meant(const struct cmd_line *, const char *word);

/* show.c: what clients can do at a node in that state: "read-write", "read-only", "none".
 */
const char *cmd_connection_type(const char *state);

/* The commands, each where its words say. */
int cmd_monitor_run(struct cmd_ctx *);
int cmd_create_monitor(struct cmd_ctx *);
int cmd_drop_monitor(struct cmd_ctx *);
int cmd_node_run(struct cmd_ctx *);
int cmd_node_init(struct cmd_ctx *);
int cmd_node_start(struct cmd_ctx *);
int cmd_node_check(struct cmd_ctx *);
int cmd_create_postgres(struct cmd_ctx *);
int cmd_drop_node(struct cmd_ctx *);
int cmd_create_formation(struct cmd_ctx *);
int cmd_drop_formation(struct cmd_ctx *);
int cmd_enable_secondary(struct cmd_ctx *);
int cmd_disable_secondary(struct cmd_ctx *);
int cmd_run(struct cmd_ctx *);
int cmd_stop(struct cmd_ctx *);
int cmd_reload(struct cmd_ctx *);
int cmd_status(struct cmd_ctx *);
int cmd_watch(struct cmd_ctx *);
int cmd_config_get(struct cmd_ctx *);
int cmd_config_set(struct cmd_ctx *);
int cmd_config_keys(struct cmd_ctx *);
int cmd_config_check(struct cmd_ctx *);
int cmd_show_state(struct cmd_ctx *);
int cmd_show_events(struct cmd_ctx *);
int cmd_show_uri(struct cmd_ctx *);
int cmd_show_settings(struct cmd_ctx *);
int cmd_show_standby_names(struct cmd_ctx *);
int cmd_show_file(struct cmd_ctx *);
int cmd_show_fsm(struct cmd_ctx *);
int cmd_show_systemd(struct cmd_ctx *);
int cmd_explain(struct cmd_ctx *);
int cmd_fsm_replay(struct cmd_ctx *);
int cmd_fsm_verify(struct cmd_ctx *);
int cmd_show_timeline(struct cmd_ctx *);
int cmd_accept_timeline(struct cmd_ctx *);
int cmd_perform_failover(struct cmd_ctx *);
int cmd_perform_promotion(struct cmd_ctx *);
int cmd_enable_maintenance(struct cmd_ctx *);
int cmd_disable_maintenance(struct cmd_ctx *);
int cmd_enable_monitor(struct cmd_ctx *);
int cmd_disable_monitor(struct cmd_ctx *);
int cmd_enable_ssl(struct cmd_ctx *);
int cmd_disable_ssl(struct cmd_ctx *);
int cmd_get_node_priority(struct cmd_ctx *);
int cmd_get_node_quorum(struct cmd_ctx *);
int cmd_get_node_region(struct cmd_ctx *);
int cmd_get_formation_nss(struct cmd_ctx *);
int cmd_set_node_priority(struct cmd_ctx *);
int cmd_set_node_quorum(struct cmd_ctx *);
int cmd_set_node_region(struct cmd_ctx *);
int cmd_set_node_metadata(struct cmd_ctx *);
int cmd_set_formation_nss(struct cmd_ctx *);

int cmd_inspect_pgsetup_pg_ctl(struct cmd_ctx *);
int cmd_inspect_pgsetup_discover(struct cmd_ctx *);
int cmd_inspect_pgsetup_ready(struct cmd_ctx *);
int cmd_inspect_pgsetup_wait(struct cmd_ctx *);
int cmd_inspect_pgsetup_logs(struct cmd_ctx *);
int cmd_inspect_pgsetup_tune(struct cmd_ctx *);
int cmd_inspect_pgsetup_hba_lan(struct cmd_ctx *);
int cmd_inspect_show_ipaddr(struct cmd_ctx *);
int cmd_inspect_show_cidr(struct cmd_ctx *);
int cmd_inspect_show_lookup(struct cmd_ctx *);
int cmd_inspect_show_hostname(struct cmd_ctx *);
int cmd_inspect_show_reverse(struct cmd_ctx *);
int cmd_inspect_show_version(struct cmd_ctx *);
int cmd_inspect_fsm_state(struct cmd_ctx *);
int cmd_inspect_fsm_list(struct cmd_ctx *);
int cmd_inspect_fsm_check(struct cmd_ctx *);
int cmd_inspect_fsm_gv(struct cmd_ctx *);
int cmd_inspect_fsm_mermaid(struct cmd_ctx *);
int cmd_inspect_monitor_get_primary(struct cmd_ctx *);
int cmd_inspect_monitor_get_others(struct cmd_ctx *);
int cmd_inspect_monitor_get_candidate_count(struct cmd_ctx *);
int cmd_inspect_monitor_parse_notification(struct cmd_ctx *);
int cmd_inspect_getpid(struct cmd_ctx *);
int cmd_manual_service_restart(struct cmd_ctx *);
int cmd_manual_service_pgctl_on(struct cmd_ctx *);
int cmd_manual_service_pgctl_off(struct cmd_ctx *);
int cmd_manual_fsm_init(struct cmd_ctx *);
int cmd_manual_fsm_assign(struct cmd_ctx *);
int cmd_manual_fsm_step(struct cmd_ctx *);
int cmd_manual_fsm_step_report(struct cmd_ctx *);
int cmd_manual_fsm_step_advance(struct cmd_ctx *);
int cmd_manual_fsm_nodes_get(struct cmd_ctx *);
int cmd_manual_fsm_nodes_set(struct cmd_ctx *);
int cmd_manual_primary_slot_create(struct cmd_ctx *);
int cmd_manual_primary_slot_drop(struct cmd_ctx *);
int cmd_manual_primary_adduser_monitor(struct cmd_ctx *);
int cmd_manual_primary_adduser_replica(struct cmd_ctx *);
int cmd_manual_primary_defaults(struct cmd_ctx *);
int cmd_manual_primary_identify(struct cmd_ctx *);
int cmd_manual_standby_init(struct cmd_ctx *);
int cmd_manual_standby_rewind(struct cmd_ctx *);
int cmd_manual_standby_crash_recovery(struct cmd_ctx *);
int cmd_manual_standby_promote(struct cmd_ctx *);
int cmd_manual_monitor_register(struct cmd_ctx *);
int cmd_manual_monitor_active(struct cmd_ctx *);
int cmd_manual_monitor_version(struct cmd_ctx *);
int cmd_no_citus(struct cmd_ctx *);
int cmd_internal_service_postgres(struct cmd_ctx *);
int cmd_internal_service_listener(struct cmd_ctx *);
int cmd_internal_service_node_active(struct cmd_ctx *);
int cmd_internal_none(struct cmd_ctx *);

#endif
