/* Modes of a subject, a context or the whole registry: what may be written there.
 *
 *   READWRITE          schemas are registered and deleted, ids and versions are the registry's
 *   READONLY           nothing is registered, deleted or configured
 *   READONLY_OVERRIDE  the same; put for a context or globally it also wins over modes below
 *   IMPORT             schemas are registered with the ids and versions that they had elsewhere,
 *                      without a check of compatibility
 *
 * Threads: any; pure functions. */
#ifndef TG_REGISTRY_SETTINGS_MODE_H
#define TG_REGISTRY_SETTINGS_MODE_H

#include "common/base/str.h"

typedef enum tg_mode {
    TG_MODE_UNSET,
    TG_MODE_READWRITE,
    TG_MODE_READONLY,
    TG_MODE_READONLY_OVERRIDE,
    TG_MODE_IMPORT,
    TG_MODES,
} tg_mode_t;

/* In capitals; "" for TG_MODE_UNSET. */
const char *tg_mode_name(tg_mode_t mode);

/* A name in any case; TG_INVALID for anything else. */
TG_NODISCARD tg_status_t tg_mode_parse(tg_str_t text, tg_mode_t *out_mode);

/* The mode that counts for a subject: its own, else its context's, else the global one, else
 * TG_MODE_READWRITE. */
tg_mode_t tg_mode_effective(tg_mode_t subject, tg_mode_t context, tg_mode_t global);

/* Whether a schema may be registered (`imports`: with an id of the client's), or anything else be
 * changed. TG_DENIED with the sentence for the client (42205). `subject` and `context` as they are
 * shown to that client. */
TG_NODISCARD tg_status_t tg_mode_may_register(tg_mode_t effective, bool imports, tg_str_t subject,
                                              tg_str_t context, tg_error_t *error);
TG_NODISCARD tg_status_t tg_mode_may_change(tg_mode_t effective, tg_str_t subject, tg_str_t context,
                                            tg_error_t *error);

#endif
