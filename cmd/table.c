/* The command table and the options: what help, completion, the manual and the parser
 * read. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/cmd.h"

#include "ini/ban.h"

/* clang-format off */

#define AT(field) offsetof(struct cmd_args, field)

const struct cmd_opt cmd_options[] = {
/* everywhere */
{ 'v', "verbose", NULL, "say more; twice: everything", CMD_COUNT, AT(verbose) },
{ 'q', "quiet", NULL, "say only errors", CMD_FLAG, AT(quiet) },
{ 'h', "help", NULL, "show this help", CMD_FLAG, AT(help) },
{ 'V', "version", NULL, "show the version", CMD_FLAG, AT(version) },
{ 'J', "json", NULL, "print JSON", CMD_FLAG, AT(json) },
/* whom a command is about */
{ 'D', "pgdata", "<directory>", "data directory (default: PGDATA)", CMD_TEXT, AT(pgdata) },
{ 'm', "monitor", "<uri>", "the monitor's connection string (default: PG_AUTOCTL_MONITOR)", CMD_TEXT, AT(monitor) },
{ 'f', "formation", "<name>", "formation (default: the node's own, else default)", CMD_TEXT, AT(formation) },
{ 'f', "formations", "<name>", "also create this formation; may be repeated", CMD_LIST, AT(formations) },
{ 'g', "group", "<number>", "group of the formation", CMD_TEXT, AT(group) },
{ 'a', "name", "<name>", "name of the node", CMD_TEXT, AT(name) },
{ 'n', "hostname", "<host>", "name or address by which the other hosts reach this one", CMD_TEXT, AT(hostname) },
{ 'p', "pgport", "<port>", "port of Postgres", CMD_TEXT, AT(pgport) },
/* create */
{ 'H', "pghost", "<host>", "host or socket directory for local connections", CMD_TEXT, AT(pghost) },
{ 'C', "pgctl", "<path>", "pg_ctl of the Postgres version to use", CMD_TEXT, AT(pgctl) },
{ 'l', "listen", "<addresses>", "listen_addresses of Postgres (default: *)", CMD_TEXT, AT(listen) },
{ 'U', "username", "<role>", "superuser to create for the application", CMD_TEXT, AT(username) },
{ 'd', "dbname", "<database>", "database to create for the application (default: postgres)", CMD_TEXT, AT(dbname) },
{ 'A', "auth", "<method>", "pg_hba.conf method for the connections between hosts", CMD_TEXT, AT(auth) },
{ 'S', "skip-pg-hba", NULL, "leave pg_hba.conf alone", CMD_FLAG, AT(skip_pg_hba) },
{ 'L', "pg-hba-lan", NULL, "also let the local network connect to the database", CMD_FLAG, AT(pg_hba_lan) },
{ 'M', "disable-monitor", NULL, "run without a monitor", CMD_FLAG, AT(disable_monitor) },
{ 'I', "node-id", "<number>", "node id, with --disable-monitor", CMD_TEXT, AT(node_id) },
{ 'P', "candidate-priority", "<0..100>", "who is promoted first; 0: never (default: 50)", CMD_TEXT, AT(priority) },
{ 'r', "replication-quorum", "<boolean>", "whether commits wait for this node (default: true)", CMD_TEXT, AT(quorum) },
{ 0, "maximum-backup-rate", "<rate>", "limit of a base backup (default: 100M)", CMD_TEXT, AT(backup_rate) },
{ 'W', "monitor-password", "<password>", "password of pgautofailover_monitor", CMD_TEXT, AT(monitor_password) },
{ 'w', "replication-password", "<password>", "password of pgautofailover_replicator", CMD_TEXT, AT(replication_password) },
{ 'W', "autoctl-node-password", "<password>", "password of autoctl_node, by which nodes reach the monitor", CMD_TEXT, AT(node_password) },
{ 0, "region", "<name>", "region of the node", CMD_TEXT, AT(region) },
{ 0, "dburi", "<uri>", "keep the metadata in this existing database", CMD_TEXT, AT(dburi) },
{ 0, "kind", "<kind>", "kind of formation: pgsql", CMD_TEXT, AT(kind) },
{ 0, "enable-secondary", NULL, "let nodes join as standbys (the default)", CMD_FLAG, AT(enable_secondary) },
{ 0, "disable-secondary", NULL, "one node in each group, no standbys", CMD_FLAG, AT(disable_secondary) },
{ 0, "number-sync-standbys", "<number>", "how many standbys a commit waits for (default: 0)", CMD_TEXT, AT(number_sync_standbys) },
{ 'x', "run", NULL, "go on as the service", CMD_FLAG, AT(run) },
/* ssl */
{ 's', "ssl-self-signed", NULL, "encrypt, with a certificate made for this host", CMD_FLAG, AT(ssl_self_signed) },
{ 'N', "no-ssl", NULL, "do not encrypt connections", CMD_FLAG, AT(no_ssl) },
{ 0, "ssl-mode", "<mode>", "sslmode of the connections between hosts", CMD_TEXT, AT(ssl_mode) },
{ 0, "ssl-ca-file", "<path>", "certificate authorities to trust", CMD_TEXT, AT(ssl_ca_file) },
{ 0, "ssl-crl-file", "<path>", "revoked certificates", CMD_TEXT, AT(ssl_crl_file) },
{ 0, "server-cert", "<path>", "certificate of this host", CMD_TEXT, AT(server_cert) },
{ 0, "server-key", "<path>", "key of that certificate", CMD_TEXT, AT(server_key) },
/* waiting, looking */
{ 0, "wait", "<seconds>", "how long to wait for the result", CMD_TEXT, AT(wait) },
{ 0, "wait-monitor", NULL, "also when the monitor does not answer: until it does", CMD_FLAG, AT(wait_monitor) },
{ 0, "no-wait", NULL, "do not wait until the node has left", CMD_FLAG, AT(no_wait) },
{ 'n', "count", "<number>", "how many events (default: 10)", CMD_TEXT, AT(count) },
{ 0, "if-lost", "<node>", "what would be done if this node were lost now", CMD_TEXT, AT(if_lost) },
{ 'Z', "citus-cluster", "<name>", "the read replicas of this name", CMD_TEXT, AT(citus_cluster) },
{ 0, "watch", NULL, "show it again and again", CMD_FLAG, AT(watch) },
{ 0, "local", NULL, "from the local files, without the monitor", CMD_FLAG, AT(local) },
{ 'a', "all", NULL, "the paths of all files", CMD_FLAG, AT(file_all) },
{ 'c', "config", NULL, "the settings file", CMD_FLAG, AT(file_config) },
{ 's', "state", NULL, "the state file", CMD_FLAG, AT(file_state) },
{ 'i', "init", NULL, "the file of an unfinished creation", CMD_FLAG, AT(file_init) },
{ 'p', "pid", NULL, "the pid file", CMD_FLAG, AT(file_pid) },
{ 'C', "contents", NULL, "its contents, not its path", CMD_FLAG, AT(contents) },
{ 0, "dot", NULL, "as a graph for dot", CMD_FLAG, AT(dot) },
{ 0, "mermaid", NULL, "as a graph for mermaid", CMD_FLAG, AT(mermaid) },
{ 0, "tsv", NULL, "one row a line, columns separated by tabs", CMD_FLAG, AT(tsv) },
{ 0, "mdoc", NULL, "as source of the manual", CMD_FLAG, AT(mdoc) },
/* doing */
{ 0, "allow-data-loss", NULL, "go on even if acknowledged writes may be lost", CMD_FLAG, AT(allow_data_loss) },
{ 0, "allow-failover", NULL, "on the primary: hand over first", CMD_FLAG, AT(allow_failover) },
{ 0, "tli", "<number>", "the timeline", CMD_TEXT, AT(tli) },
{ 0, "reason", "<text>", "kept beside the decision", CMD_TEXT, AT(reason) },
{ 'd', "destroy", NULL, "also remove the data directory and the settings", CMD_FLAG, AT(destroy) },
{ 'F', "force", NULL, "do not wait for the node's own word", CMD_FLAG, AT(force) },
{ 'f', "fast", NULL, "do not hand over first", CMD_FLAG, AT(fast) },
{ 'i', "immediate", NULL, "stop at once", CMD_FLAG, AT(immediate) },
{ 0, "sigkill", NULL, "kill the processes", CMD_FLAG, AT(sigkill) },
{ 'T', "timeout", "<seconds>", "how long to wait (default: 30)", CMD_TEXT, AT(timeout) },
{ 'W', "read-write", NULL, "until writes are accepted", CMD_FLAG, AT(read_write) },
{ 0, NULL, NULL, NULL, CMD_FLAG, 0 }
};

#define SSL " ssl-self-signed no-ssl ssl-mode ssl-ca-file ssl-crl-file server-cert server-key"
#define CREATE_NODE "pgdata pgctl pghost pgport listen username dbname auth skip-pg-hba pg-hba-lan name hostname" \
	" formation monitor disable-monitor node-id candidate-priority replication-quorum maximum-backup-rate" \
	" monitor-password replication-password region" SSL
#define CREATE_MONITOR "pgdata pgctl pgport hostname listen auth skip-pg-hba autoctl-node-password monitor-password/0 formations dburi" SSL
#define LOCAL "pgdata pgctl pghost pgport listen username auth skip-pg-hba dbname hostname formation monitor" \
	" disable-monitor candidate-priority replication-quorum run" SSL
#define REMOTE "pgdata monitor formation"

#define SERVICE CMD_PGDATA | CMD_CONFIG | CMD_SERVICE | CMD_INTERNAL
#define KEEPER CMD_PGDATA | CMD_CONFIG | CMD_KEEPER

/* "name/x": the option with another letter. */
const struct cmd cmd_table[] = {
{ "help [words...]", cmd_help, 0, "show what there is, or what a command takes", "" },
{ "version", cmd_version, 0, "show the version", "json" },

{ "monitor run", cmd_monitor_run, CMD_PGDATA | CMD_SERVICE, "create the monitor if need be, and run it", CREATE_MONITOR },
{ "node run [file]", cmd_node_run, CMD_SERVICE, "create the node if need be, and run its keeper", CREATE_NODE },
{ "node init [file]", cmd_node_init, 0, "create what a spec file declares, without running it", "" },
{ "node start [file]", cmd_node_start, 0, "let go what a spec file defers", "" },
{ "node check <file>", cmd_node_check, 0, "check a spec file, print what it declares", "json" },
{ "run", cmd_run, CMD_PGDATA | CMD_CONFIG | CMD_SERVICE, "run the service of a data directory, monitor or node", "pgdata name/n hostname/H pgport" },
{ "stop", cmd_stop, CMD_PGDATA, "stop the service", "pgdata fast immediate sigkill" },
{ "reload", cmd_reload, CMD_PGDATA, "let the service read its settings again", "pgdata" },
{ "status", cmd_status, CMD_PGDATA, "tell whether the service and its Postgres run", "pgdata json" },
{ "watch", cmd_watch, 0, "a formation live on the whole terminal", REMOTE " group wait-monitor" },

{ "create monitor", cmd_create_monitor, CMD_PGDATA, "create a monitor", CREATE_MONITOR " run" },
{ "create postgres", cmd_create_postgres, CMD_PGDATA, "create a node, or adopt a Postgres", CREATE_NODE " run" },

{ "create formation", cmd_create_formation, 0, "create a formation", REMOTE " kind dbname enable-secondary disable-secondary number-sync-standbys" },
{ "create coordinator", cmd_no_citus, CMD_INTERNAL | CMD_REFUSED, "refused: Citus is not supported yet", "pgdata" },
{ "create worker", cmd_no_citus, CMD_INTERNAL | CMD_REFUSED, "refused: Citus is not supported yet", "pgdata" },
{ "activate", cmd_no_citus, CMD_INTERNAL | CMD_REFUSED, "refused: Citus is not supported yet", "pgdata" },

{ "drop monitor", cmd_drop_monitor, CMD_PGDATA | CMD_CONFIG, "stop a monitor for good", "pgdata destroy/0" },
{ "drop node", cmd_drop_node, 0, "take a node out of its group", REMOTE " name hostname pgport destroy force wait no-wait" },
{ "drop formation", cmd_drop_formation, 0, "forget a formation without nodes", REMOTE },

{ "config get [key]", cmd_config_get, CMD_PGDATA | CMD_CONFIG, "print one setting, or all of them", "pgdata json" },
{ "config set <key> <value>", cmd_config_set, CMD_PGDATA | CMD_CONFIG, "change a setting", "pgdata json" },
{ "config keys", cmd_config_keys, 0, "every setting there is, its default and when a change counts", "json mdoc" },
{ "config check", cmd_config_check, CMD_PGDATA | CMD_CONFIG, "check the settings against the running system", "pgdata json" },

{ "show state", cmd_show_state, 0, "the nodes and their states", REMOTE " group local watch json" },
{ "show events", cmd_show_events, 0, "what happened last", REMOTE " group count watch json" },
{ "show uri", cmd_show_uri, 0, "connection strings", REMOTE " citus-cluster json" },
{ "show settings", cmd_show_settings, CMD_MONITOR, "replication settings of a formation", REMOTE " json" },
{ "show standby-names", cmd_show_standby_names, CMD_MONITOR, "synchronous_standby_names of a group", REMOTE " group json" },
{ "show timeline", cmd_show_timeline, CMD_MONITOR, "the timelines of a group, and who is on them", REMOTE " group" },
{ "show file", cmd_show_file, CMD_PGDATA | CMD_CONFIG, "the files of a node or a monitor", "pgdata all config state init pid contents json" },
{ "show systemd", cmd_show_systemd, CMD_PGDATA, "a unit by which systemd runs the service", "pgdata" },
{ "show fsm", cmd_show_fsm, 0, "the state machine: states, edges, rules", "json dot mermaid tsv mdoc" },

{ "explain", cmd_explain, CMD_MONITOR, "why nothing happens, what is awaited from whom", REMOTE " group if-lost json" },
{ "fsm replay <file>", cmd_fsm_replay, 0, "decide recorded snapshots again, compare", "json" },
{ "fsm verify", cmd_fsm_verify, 0, "check the state machine of this binary: its tables, and all courses of events of a pair", "json" },

{ "perform failover", cmd_perform_failover, CMD_MONITOR, "hand over to another node", REMOTE " group wait allow-data-loss json" },
{ "perform switchover", cmd_perform_failover, CMD_MONITOR, "hand over to another node", REMOTE " group wait allow-data-loss json" },
{ "perform promotion", cmd_perform_promotion, CMD_MONITOR, "hand over to this node", REMOTE " name wait allow-data-loss json" },

{ "accept timeline", cmd_accept_timeline, CMD_MONITOR, "settle on a timeline after a fork", REMOTE " group tli reason" },

{ "enable maintenance", cmd_enable_maintenance, CMD_PGDATA | CMD_CONFIG | CMD_KEEPER | CMD_MONITOR, "put this node aside for maintenance", "pgdata allow-failover" },
{ "disable maintenance", cmd_disable_maintenance, CMD_PGDATA | CMD_CONFIG | CMD_KEEPER | CMD_MONITOR, "bring this node back from maintenance", "pgdata" },
{ "enable secondary", cmd_enable_secondary, 0, "let nodes join a formation as standbys", REMOTE },
{ "disable secondary", cmd_disable_secondary, 0, "let a formation have one node in each group", REMOTE },
{ "enable monitor <uri>", cmd_enable_monitor, CMD_PGDATA | CMD_CONFIG | CMD_KEEPER, "register a node that has no monitor with a new one", "pgdata allow-failover" },
{ "disable monitor", cmd_disable_monitor, CMD_PGDATA | CMD_CONFIG | CMD_KEEPER, "part from the monitor, Postgres goes on", "pgdata force" },
{ "enable ssl", cmd_enable_ssl, CMD_PGDATA | CMD_CONFIG, "encrypt the connections of what runs already", "pgdata" SSL },
{ "disable ssl", cmd_disable_ssl, CMD_PGDATA | CMD_CONFIG, "do without encryption again", "pgdata" },

{ "get node candidate-priority", cmd_get_node_priority, CMD_MONITOR, "who is promoted first", REMOTE " name json" },
{ "get node replication-quorum", cmd_get_node_quorum, CMD_MONITOR, "whether commits wait for a node", REMOTE " name json" },
{ "get node region", cmd_get_node_region, CMD_MONITOR, "the region of a node", REMOTE " name json" },
{ "get formation settings", cmd_show_settings, CMD_MONITOR, "replication settings of a formation", REMOTE " json" },
{ "get formation number-sync-standbys", cmd_get_formation_nss, CMD_MONITOR, "how many standbys a commit waits for", REMOTE " json" },
{ "set node candidate-priority <0..100>", cmd_set_node_priority, CMD_MONITOR, "set who is promoted first; 0: never", REMOTE " name json" },
{ "set node replication-quorum <boolean>", cmd_set_node_quorum, CMD_MONITOR, "set whether commits wait for a node", REMOTE " name json" },
{ "set node region <region>", cmd_set_node_region, CMD_MONITOR, "set the region of a node", REMOTE " name json" },
{ "set node metadata", cmd_set_node_metadata, CMD_PGDATA | CMD_CONFIG | CMD_KEEPER, "set name, host or port of this node, here and on the monitor", "pgdata name hostname pgport json" },
{ "set formation number-sync-standbys <number>", cmd_set_formation_nss, CMD_MONITOR, "set how many standbys a commit waits for", REMOTE " json" },

{ "inspect pgsetup pg_ctl", cmd_inspect_pgsetup_pg_ctl, 0, "which pg_ctl is used", LOCAL },
{ "inspect pgsetup discover", cmd_inspect_pgsetup_discover, CMD_PGDATA, "what is in the data directory", LOCAL },
{ "inspect pgsetup ready", cmd_inspect_pgsetup_ready, CMD_PGDATA, "does Postgres accept connections?", LOCAL },
{ "inspect pgsetup wait", cmd_inspect_pgsetup_wait, CMD_PGDATA, "wait until Postgres accepts connections", LOCAL " read-write timeout" },
{ "inspect pgsetup logs", cmd_inspect_pgsetup_logs, CMD_PGDATA, "the last lines of Postgres's logs", LOCAL },
{ "inspect pgsetup tune", cmd_inspect_pgsetup_tune, 0, "settings computed for this machine", LOCAL },
{ "inspect pgsetup hba-lan", cmd_inspect_pgsetup_hba_lan, CMD_PGDATA, "let the local network in", LOCAL },
{ "inspect show ipaddr", cmd_inspect_show_ipaddr, 0, "this host's address on the way out", "pgdata" },
{ "inspect show cidr", cmd_inspect_show_cidr, 0, "the network of that address", "pgdata" },
{ "inspect show lookup <host>", cmd_inspect_show_lookup, 0, "the address of a name, the name of an address", "pgdata" },
{ "inspect show hostname [uri]", cmd_inspect_show_hostname, 0, "the name others would reach this host by", "pgdata monitor" },
{ "inspect show reverse <host>", cmd_inspect_show_reverse, 0, "do a name and its addresses lead to each other?", "pgdata" },
{ "inspect show version", cmd_inspect_show_version, 0, "the versions of the program and of the schema", "pgdata" },
{ "inspect fsm state", cmd_inspect_fsm_state, KEEPER, "the local Postgres and the state file, as JSON", "pgdata json" },
{ "inspect fsm list", cmd_inspect_fsm_list, 0, "from which state to which a keeper can go", "pgdata json" },
{ "inspect fsm check", cmd_inspect_fsm_check, KEEPER | CMD_MONITOR, "does this program know the monitor's state machine?", "pgdata json" },
{ "inspect fsm gv", cmd_inspect_fsm_gv, 0, "the state machine as a graph for dot", "pgdata" },
{ "inspect fsm mermaid <phase>", cmd_inspect_fsm_mermaid, 0, "a part of it as a graph for mermaid", "pgdata" },
{ "inspect monitor get primary", cmd_inspect_monitor_get_primary, KEEPER | CMD_MONITOR, "who may write in this node's group", "pgdata json" },
{ "inspect monitor get others", cmd_inspect_monitor_get_others, KEEPER | CMD_MONITOR, "the other nodes of this node's group", "pgdata json" },
{ "inspect monitor get candidate-count", cmd_inspect_monitor_get_candidate_count, KEEPER | CMD_MONITOR, "how many could take over", "pgdata json" },
{ "inspect monitor get coordinator", cmd_no_citus, CMD_REFUSED, "for Citus, not supported yet", "pgdata json" },
{ "inspect monitor parse-notification <text>", cmd_inspect_monitor_parse_notification, 0, "a notification of a state, as JSON", "pgdata json" },
{ "inspect getpid <service>", cmd_inspect_getpid, CMD_PGDATA, "the process of a service: postgres, listener, node-active", "pgdata" },

{ "manual fsm init", cmd_manual_fsm_init, KEEPER, "a new state file, from what the data directory says", "pgdata json" },
{ "manual fsm assign <state>", cmd_manual_fsm_assign, KEEPER, "without a monitor: the state to go to", "pgdata json" },
{ "manual fsm step", cmd_manual_fsm_step, KEEPER, "report, and go to the goal that comes back", "pgdata json" },
{ "manual fsm step report", cmd_manual_fsm_step_report, KEEPER, "only report, and keep the goal", "pgdata json" },
{ "manual fsm step advance", cmd_manual_fsm_step_advance, KEEPER, "only go to the goal", "pgdata json" },
{ "manual fsm nodes get", cmd_manual_fsm_nodes_get, KEEPER, "without a monitor: the nodes of the group", "pgdata json" },
{ "manual fsm nodes set <file>", cmd_manual_fsm_nodes_set, KEEPER, "without a monitor: say which nodes there are", "pgdata json" },

{ "manual monitor register <state>", cmd_manual_monitor_register, KEEPER, "register this node, as init or single", LOCAL " json" },
{ "manual monitor active", cmd_manual_monitor_active, KEEPER | CMD_MONITOR, "report once, print the goal", "pgdata json" },
{ "manual monitor version", cmd_manual_monitor_version, CMD_PGDATA | CMD_CONFIG, "bring the monitor's schema up to date, print its version", "pgdata" },
{ "manual primary slot create [name]", cmd_manual_primary_slot_create, KEEPER, "a replication slot (default: this node's)", LOCAL },
{ "manual primary slot drop [name]", cmd_manual_primary_slot_drop, KEEPER, "drop a replication slot (default: this node's)", LOCAL },
{ "manual primary adduser monitor <uri>", cmd_manual_primary_adduser_monitor, KEEPER, "the role the monitor comes in with, and its rule", LOCAL },
{ "manual primary adduser replica", cmd_manual_primary_adduser_replica, KEEPER, "the role standbys come in with", LOCAL },
{ "manual primary defaults", cmd_manual_primary_defaults, KEEPER, "write the settings a node needs", LOCAL },
{ "manual primary identify <host> <port>", cmd_manual_primary_identify, KEEPER, "what a server says of itself to a standby", LOCAL },
{ "manual standby init <host> <port>", cmd_manual_standby_init, KEEPER, "copy a server, and follow it", LOCAL },
{ "manual standby rewind <host> <port>", cmd_manual_standby_rewind, KEEPER, "follow a server; rewind first, if need be", LOCAL },
{ "manual standby crash-recovery", cmd_manual_standby_crash_recovery, KEEPER, "recover what crashed, as a standby, and stop", LOCAL },
{ "manual standby promote", cmd_manual_standby_promote, KEEPER, "make a primary of a standby", LOCAL },
{ "manual coordinator [words...]", cmd_no_citus, CMD_REFUSED, "for Citus, not supported yet", "pgdata" },

{ "manual service restart <service>", cmd_manual_service_restart, CMD_PGDATA | CMD_CONFIG, "restart postgres, listener or node-active", "pgdata" },
{ "manual service pgctl on", cmd_manual_service_pgctl_on, CMD_PGDATA | CMD_CONFIG, "start Postgres", "pgdata json" },
{ "manual service pgctl off", cmd_manual_service_pgctl_off, CMD_PGDATA | CMD_CONFIG, "stop Postgres", "pgdata" },

{ "internal service pgcontroller", cmd_internal_service_postgres, SERVICE, "keep Postgres running, and nothing else", "pgdata" },
{ "internal service postgres", cmd_internal_service_postgres, SERVICE, "keep Postgres running, and nothing else", "pgdata" },
{ "internal service listener", cmd_internal_service_listener, SERVICE, "run a monitor", "pgdata" },
{ "internal service node-active", cmd_internal_service_node_active, SERVICE, "run a keeper", "pgdata" },
{ "internal demo [words...]", cmd_internal_none, CMD_INTERNAL | CMD_REFUSED, "not a part of this program", "pgdata" },
{ "internal tmux [words...]", cmd_internal_none, CMD_INTERNAL | CMD_REFUSED, "not a part of this program", "pgdata" },
{ "do service pgcontroller", cmd_internal_service_postgres, SERVICE, "keep Postgres running, and nothing else", "pgdata" },
{ "do service postgres", cmd_internal_service_postgres, SERVICE, "keep Postgres running, and nothing else", "pgdata" },
{ "do service listener", cmd_internal_service_listener, SERVICE, "run a monitor", "pgdata" },
{ "do service node-active", cmd_internal_service_node_active, SERVICE, "run a keeper", "pgdata" },
{ "do demo [words...]", cmd_internal_none, CMD_INTERNAL | CMD_REFUSED, "not a part of this program", "pgdata" },
{ "do tmux [words...]", cmd_internal_none, CMD_INTERNAL | CMD_REFUSED, "not a part of this program", "pgdata" },

{ "completion <shell>", cmd_completion, 0, "print the completion script for bash or zsh", "" },
{ "complete [words...]", cmd_complete, CMD_INTERNAL, "candidates for the last word", "" },
{ "complete-line <text>", cmd_complete_line, CMD_INTERNAL, "the same for a line as it is typed, up to the cursor", "" },
{ NULL, NULL, 0, NULL, NULL }
};

/* clang-format on */
