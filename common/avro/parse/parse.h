/* What the parser of schemas shares among its files; nobody else includes this.
 *
 * The place being read is kept as a JSON pointer, so that each refusal can say where it is. */
#ifndef TG_AVRO_PARSE_H
#define TG_AVRO_PARSE_H

#include "common/avro/internal.h"
#include "common/base/table.h"

struct tg_avro_parse {
    tg_avro_schema_t *schema;
    tg_table_t *known; /* full name → tg_avro_type_t: what the text defines, what it refers to */
    tg_error_t *error;
    tg_str_t text;
    tg_str_t space;    /* the enclosing namespace */
    size_t names;      /* counted against TG_AVRO_NAMES_MAX */
    size_t named_room; /* of schema->named */
    unsigned depth;
    char path[256]; /* JSON pointer */
    size_t path_len;
};

/* --- parse.c --- */

/* The type that `json` stands for, with all below it. */
TG_NODISCARD tg_status_t tg_avro_parse_type(struct tg_avro_parse *p, const struct json_t *json,
                                            const tg_avro_type_t **out);

/* --- schema.c --- */

/* The name of a record's field or an enum's symbol. */
tg_str_t tg_avro_member_name(const tg_avro_type_t *type, uint32_t index);

/* --- refuse.c --- */

/* Fills the error with the place, in words and as a pointer, and the reason. */
tg_status_t tg_avro_refuse(struct tg_avro_parse *p, tg_status_t status, const char *format, ...)
    TG_PRINTF(3, 4);
tg_status_t tg_avro_refuse_memory(struct tg_avro_parse *p);

/* Appends "/text" (or "/text/3") to the place; returns what tg_avro_leave needs to take it back. */
size_t tg_avro_enter(struct tg_avro_parse *p, const char *text, long index);
void tg_avro_leave(struct tg_avro_parse *p, size_t before);

/* "an object", "nothing", …: what stands there instead. */
const char *tg_avro_json_words(const struct json_t *json);

/* --- names.c --- */

bool tg_avro_name_ok(tg_str_t name);      /* letters, digits and _; no digit first */
bool tg_avro_full_name_ok(tg_str_t name); /* such names joined by dots */

/* Gives the full name of `name` as used inside `space`, in the arena. */
TG_NODISCARD tg_status_t tg_avro_qualify(struct tg_avro_parse *p, tg_str_t name, tg_str_t space,
                                         tg_str_t *out);

/* Counts `count` names more against the limit. */
TG_NODISCARD tg_status_t tg_avro_count_names(struct tg_avro_parse *p, size_t count);

/* Reads name, namespace and aliases, and makes the type known under its full name. */
TG_NODISCARD tg_status_t tg_avro_define(struct tg_avro_parse *p, tg_avro_type_t *type);

/* The type that `name` means here. */
TG_NODISCARD tg_status_t tg_avro_refer(struct tg_avro_parse *p, tg_str_t name,
                                       const tg_avro_type_t **out);

/* Reads "aliases" of a type (`qualified`: full names in `space`) or of a field. */
TG_NODISCARD tg_status_t tg_avro_parse_aliases(struct tg_avro_parse *p, const struct json_t *json,
                                               bool qualified, tg_str_t space, const tg_str_t **out,
                                               uint32_t *out_count);

/* The kind of a primitive type's name, else -1. */
int tg_avro_primitive(tg_str_t name);

/* --- refs.c --- */

/* Makes the references part of the schema and their types known. */
TG_NODISCARD tg_status_t tg_avro_take_refs(struct tg_avro_parse *p,
                                           const tg_avro_schema_t *const *refs, size_t count);

/* --- annotation.c --- */

/* Sets logical type, precision and scale; what does not fit its type is ignored. */
void tg_avro_annotate(tg_avro_type_t *type);

/* --- finite.c, defaults.c --- */

/* Marks the records of which a finite value exists, and the types that may encode to no bytes. */
TG_NODISCARD tg_status_t tg_avro_find_finite(tg_avro_schema_t *schema);

/* The first record of which no finite value exists; NULL when there is none. */
const tg_avro_type_t *tg_avro_first_endless(const tg_avro_schema_t *schema);

/* Encodes each field's default into default_bytes; refuses those that do not fit their type. */
TG_NODISCARD tg_status_t tg_avro_encode_defaults(tg_avro_schema_t *schema, tg_error_t *error);

#endif
