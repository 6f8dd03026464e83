/* What is configured for a subject, a context or the whole registry, and which of it counts.
 *
 * Each value is looked for at the subject, then at its context, then globally (the context
 * TG_CONTEXT_GLOBAL, Confluent's ":.__GLOBAL:"); beyond that the level is BACKWARD, the mode
 * READWRITE, the rest off. An alias counts at the subject only.
 *
 * Limits: a configuration's body TG_CONFIG_BODY_MAX bytes.
 * Threads: any; nothing is shared. */
#ifndef TG_REGISTRY_SETTINGS_CONFIG_H
#define TG_REGISTRY_SETTINGS_CONFIG_H

#include "common/base/arena.h"
#include "common/json/json.h"
#include "registry/settings/mode.h"

#define TG_CONTEXT_GLOBAL    "__GLOBAL"
#define TG_CONFIG_BODY_MAX   ((size_t)256 << 10)
#define TG_CONFIG_ALIAS_MAX  511 /* bytes */
#define TG_CONFIG_GROUP_MAX  255 /* bytes: the name of a metadata property */
#define TG_CONFIG_BODY_DEPTH 16  /* levels; for the caller's parser */

typedef enum tg_level {
    TG_LEVEL_UNSET,
    TG_LEVEL_NONE,
    TG_LEVEL_BACKWARD, /* the new version reads what the newest one wrote */
    TG_LEVEL_BACKWARD_TRANSITIVE,
    TG_LEVEL_FORWARD, /* the newest version reads what the new one writes */
    TG_LEVEL_FORWARD_TRANSITIVE,
    TG_LEVEL_FULL, /* both */
    TG_LEVEL_FULL_TRANSITIVE,
    TG_LEVELS,
} tg_level_t;

/* In capitals; "" for TG_LEVEL_UNSET. */
const char *tg_level_name(tg_level_t level);

/* A name in any case; TG_INVALID for anything else. */
TG_NODISCARD tg_status_t tg_level_parse(tg_str_t text, tg_level_t *out_level);

typedef enum tg_choice { TG_UNSAID, TG_NO, TG_YES } tg_choice_t;

/* Texts: ptr NULL where nothing is set. Metadata in the one form of registry/settings/metadata.h.
 */
typedef struct tg_subject_config {
    bool configured; /* something was put, be it an empty configuration; the mode apart */
    tg_level_t level;
    tg_choice_t normalize;
    tg_str_t alias;
    tg_str_t group; /* compared only with versions of the same value of this property */
    tg_str_t default_metadata, override_metadata;
    tg_mode_t mode;
} tg_subject_config_t;

/* --- reading a body, writing an answer --- */

/* A change: `given` has the bits of the members that the body names; null unsets. */
typedef struct tg_config_patch {
    tg_subject_config_t values;
    unsigned given; /* bits 1 << enum tg_config_member */
} tg_config_patch_t;

enum tg_config_member {
    TG_CONFIG_LEVEL,
    TG_CONFIG_NORMALIZE,
    TG_CONFIG_ALIAS,
    TG_CONFIG_GROUP,
    TG_CONFIG_DEFAULT_METADATA,
    TG_CONFIG_OVERRIDE_METADATA,
    TG_CONFIG_MEMBERS,
};

/* Reads the body of PUT /config; texts are copied into the arena. TG_INVALID with the sentence for
 * the client and, in *out_code, its error code (42203 for a level); TG_NOMEM. Unknown members
 * are left aside as Confluent's registry does, but what would promise something that is not done
 * here (rule sets) is refused. */
TG_NODISCARD tg_status_t tg_subject_config_read(tg_json_parser_t *parser, tg_str_t body,
                                                tg_arena_t *arena, tg_config_patch_t *out_patch,
                                                unsigned *out_code, tg_error_t *error);

/* Appends the members as JSON; the level's name is "compatibility" in answers to PUT and
 * "compatibilityLevel" in all others. */
void tg_subject_config_write(const tg_subject_config_t *config, const char *level_name,
                             tg_buf_t *out);

/* --- what counts --- */

typedef struct tg_scope {
    tg_subject_config_t subject, context, global; /* as they were put */
    tg_subject_config_t effective;                /* nothing unset but texts; mode included */
} tg_scope_t;

/* Fills `effective` from the three. */
void tg_scope_settle(tg_scope_t *scope);

#endif
