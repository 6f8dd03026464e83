/* Comparing a new schema with an earlier version at a level, in the words of Confluent's registry.
 *
 * BACKWARD asks whether the new version reads what the earlier one wrote, FORWARD the reverse, FULL
 * both. A message is "{errorType:'…', description:'…', additionalInfo:'…'}": errorType is Avro's
 * name of the incompatibility, the description names the path and what to do. After the messages of
 * a version stand its number and text, at the very end the level.
 *
 * Limits: TG_FINDINGS_MAX messages, TG_FINDINGS_TEXT_MAX bytes of an earlier schema's text.
 * Threads: any; nothing is shared. */
#ifndef TG_REGISTRY_COMPATIBILITY_FINDINGS_H
#define TG_REGISTRY_COMPATIBILITY_FINDINGS_H

#include "common/avro/schema.h"
#include "common/base/arena.h"
#include "registry/settings/config.h"

#define TG_FINDINGS_MAX      160
#define TG_FINDINGS_TEXT_MAX ((size_t)10 << 10)

/* What speaks against a schema; none: it is compatible. Texts lie in the arena. */
typedef struct tg_findings {
    tg_arena_t *arena;
    size_t count;
    tg_str_t messages[TG_FINDINGS_MAX];
} tg_findings_t;

/* Whether a level looks at all earlier versions instead of the newest. */
bool tg_level_is_transitive(tg_level_t level);

/* Compares `root` with version `version`, whose schema is `earlier`; both directions as the level
 * says. TG_NOMEM. */
TG_NODISCARD tg_status_t tg_compatibility_compare(tg_level_t level, const tg_avro_type_t *root,
                                                  const tg_avro_schema_t *earlier, int version,
                                                  tg_findings_t *findings);

/* Adds a message of our own; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_findings_add(tg_findings_t *findings, const char *error_type,
                                         const char *description);

/* Adds the level behind the messages, if there are any. TG_NOMEM. */
TG_NODISCARD tg_status_t tg_findings_close(tg_findings_t *findings, tg_level_t level);

/* Appends the messages as a JSON array; or "[a, b]" as the details of a refused registration. */
void tg_findings_write_json(const tg_findings_t *findings, tg_buf_t *out);
void tg_findings_write_details(const tg_findings_t *findings, tg_buf_t *out);

#endif
