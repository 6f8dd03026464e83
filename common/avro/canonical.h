/* Parsing Canonical Form of a schema (Avro 1.11, "Parsing Canonical Form for Schemas"): two schemas
 * that read the same bytes alike have the same form, whatever their spacing, order of attributes,
 * docs, aliases or defaults. Types of references are written out.
 *
 * Threads: any. */
#ifndef TG_AVRO_CANONICAL_H
#define TG_AVRO_CANONICAL_H

#include "common/avro/fingerprint.h"
#include "common/avro/schema.h"

/* Appends the form. TG_NOMEM when out of memory or at the buffer's limit. */
TG_NODISCARD tg_status_t tg_avro_canonical(const tg_avro_schema_t *schema, tg_buf_t *out);

/* The form of one type. */
TG_NODISCARD tg_status_t tg_avro_canonical_type(const tg_avro_type_t *type, tg_buf_t *out);

#endif
