/* A schema's metadata: {"tags": {path: [text]}, "properties": {name: text}, "sensitive": [name]}.
 *
 * It is kept as text in one form (compact, members and sets sorted, each text of a set once, empty
 * parts left out), so that equal metadata are equal bytes and can be part of a schema's identity.
 *
 * Limits: TG_METADATA_MAX bytes; jansson bounds the depth.
 * Threads: any; nothing is shared. */
#ifndef TG_REGISTRY_SETTINGS_METADATA_H
#define TG_REGISTRY_SETTINGS_METADATA_H

#include "common/base/arena.h"

#define TG_METADATA_MAX ((size_t)64 << 10)

/* Checks `json` and gives its one form, "{}" when it says nothing. TG_INVALID names the part that
 * is wrong, TG_TOO_LARGE, TG_NOMEM. */
TG_NODISCARD tg_status_t tg_metadata_read(tg_str_t json, tg_arena_t *arena, tg_str_t *out_text,
                                          tg_error_t *error);

/* What a new version's metadata is made of, each in the one form; ptr NULL: absent. */
typedef struct tg_metadata_sources {
    tg_str_t defaults;  /* of the effective configuration */
    tg_str_t given;     /* by the client; "{}" means none on purpose */
    tg_str_t previous;  /* of the newest version, taken where the client gave none */
    tg_str_t overrides; /* of the effective configuration; these win */
} tg_metadata_sources_t;

/* Merges by name: a later source's tag or property replaces an earlier one's, sensitive names are
 * united. ptr NULL when nothing is left. TG_TOO_LARGE, TG_NOMEM. */
TG_NODISCARD tg_status_t tg_metadata_merge(const tg_metadata_sources_t *sources, tg_arena_t *arena,
                                           tg_str_t *out_text, tg_error_t *error);

/* The value of a property; ptr NULL when there is none. `text` is in the one form or absent.
 * TG_NOMEM. */
TG_NODISCARD tg_status_t tg_metadata_property(tg_str_t text, tg_str_t name, tg_arena_t *arena,
                                              tg_str_t *out_value);

#endif
