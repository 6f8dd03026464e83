/* A schema as text again, as Java's Schema.toString() writes it, which is what clients of a schema
 * registry compare with: members in a fixed order, names as short as their surroundings allow, a
 * bare name where there are no attributes ({"type":"string"} is "string"), custom attributes as
 * they came. So two spellings of one schema print alike, and another doc does not. Types that the
 * schema refers to are printed by name.
 *
 * Parsing the print with the same references gives the same print.
 *
 * Threads: any. */
#ifndef TG_AVRO_PRINT_H
#define TG_AVRO_PRINT_H

#include "common/avro/schema.h"

/* Appends the text. TG_NOMEM when out of memory or at the buffer's limit. */
TG_NODISCARD tg_status_t tg_avro_print(const tg_avro_schema_t *schema, tg_buf_t *out);

/* As tg_avro_print, for a schema that is to be normalized first: attributes, aliases and the
 * members of defaults sorted, empty docs of types dropped, errors made records, numbers of defaults
 * written by their type. */
TG_NODISCARD tg_status_t tg_avro_print_normalized(const tg_avro_schema_t *schema, tg_buf_t *out);

/* As tg_avro_print, with the types of references written out where they are first met: a text that
 * needs no references to be read. It may exceed the limits of a text that is parsed. */
TG_NODISCARD tg_status_t tg_avro_print_resolved(const tg_avro_schema_t *schema, tg_buf_t *out);

#endif
