/* What the handlers of /config and /mode share: a request about a subject's or context's settings,
 * whose scope is read first.
 *
 * Threads: a request belongs to its thread. */
#ifndef TG_REGISTRY_SETTINGS_SETTING_H
#define TG_REGISTRY_SETTINGS_SETTING_H

#include "registry/request.h"
#include "registry/settings/store.h"

typedef struct tg_setting {
    tg_request_t *request;
    tg_scope_t scope;
    tg_subject_config_t own; /* of the subject or context that is asked about */
    bool whole;              /* a context that is asked about as if it were the whole registry */
    bool reserved;           /* a tenant's request about a subject of the default context */
    void (*on_scope)(struct tg_setting *setting);
    void *user; /* the handler's */
} tg_setting_t;

/* Begins a request about the subject of segment 0, if `has_subject`, or the context; NULL when
 * answered already. */
tg_setting_t *tg_setting_begin(tg_http_req_t *req, void *thread_ctx, bool has_subject);

/* Reads the scope, then calls `on_scope`, which answers or waits on. */
void tg_setting_read_scope(tg_setting_t *setting, void (*on_scope)(tg_setting_t *setting));

/* Waits for these statements. */
void tg_setting_call(tg_setting_t *setting, const tg_pg_stmt_t *stmts, size_t count,
                     tg_pg_done_fn done);

/* Whether the subject is the viewer's to change; false when answered (40301). */
TG_NODISCARD bool tg_setting_is_own(tg_setting_t *setting);

/* That, and whether the mode lets the settings be changed; false when answered (42205). */
TG_NODISCARD bool tg_setting_may_change(tg_setting_t *setting);

/* Counts and logs a change that has committed: "config" or "mode". */
void tg_setting_changed(const tg_setting_t *setting, unsigned kind, const char *to);

/* The limit of rows of settings as decimal digits, in the arena, and its answer. */
tg_str_t tg_setting_limit(const tg_setting_t *setting);
void tg_setting_full(tg_setting_t *setting);

#endif
