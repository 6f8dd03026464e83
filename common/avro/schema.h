/* Avro 1.11 schemas: JSON text to an immutable tree of types, checked as it is built.
 *
 * Why our own: a schema is text from outside that later steers a codec. libavro accepts what
 * crashes or stalls its reader (negative sizes, records that contain themselves, endless nesting),
 * and drops aliases, defaults and logical types. Here whatever is in the tree is usable as it
 * stands: names are resolved, defaults are encoded, and each bound below holds.
 *
 * Custom attributes stay reachable through the JSON object that each type and field keeps.
 *
 * Threads: a schema is immutable after the parse and may be read from any thread. */
#ifndef TG_AVRO_SCHEMA_H
#define TG_AVRO_SCHEMA_H

#include "common/base/str.h"

#define TG_AVRO_SCHEMA_BYTES_MAX  ((size_t)256 << 10)
#define TG_AVRO_SCHEMA_DEPTH_MAX  64    /* nesting of types */
#define TG_AVRO_TEXT_DEPTH_MAX    256   /* nesting of the JSON text, custom attributes included */
#define TG_AVRO_NAMES_MAX         10000 /* types, fields, symbols and aliases together */
#define TG_AVRO_FIELDS_MAX        TG_AVRO_NAMES_MAX
#define TG_AVRO_REFS_MAX          1000  /* schemas that one schema refers to */
#define TG_AVRO_REF_DEPTH_MAX     16    /* references of references */
#define TG_AVRO_KNOWN_MAX         50000 /* named types of all references together */
#define TG_AVRO_ALIASES_MAX       256   /* of one type or field */
#define TG_AVRO_BRANCHES_MAX      256   /* of one union */
#define TG_AVRO_NAME_MAX          512   /* bytes of a full name, field name or symbol */
#define TG_AVRO_FIXED_MAX         ((int64_t)1 << 20)
#define TG_AVRO_PRECISION_MAX     1000 /* digits of a decimal; beyond, it is plain bytes */
#define TG_AVRO_DEFAULT_BYTES_MAX ((size_t)64 << 10) /* one default, encoded */

typedef enum tg_avro_kind {
    TG_AVRO_NULL,
    TG_AVRO_BOOLEAN,
    TG_AVRO_INT,
    TG_AVRO_LONG,
    TG_AVRO_FLOAT,
    TG_AVRO_DOUBLE,
    TG_AVRO_BYTES,
    TG_AVRO_STRING,
    TG_AVRO_RECORD,
    TG_AVRO_ENUM,
    TG_AVRO_FIXED,
    TG_AVRO_ARRAY,
    TG_AVRO_MAP,
    TG_AVRO_UNION,
    TG_AVRO_KINDS,
} tg_avro_kind_t;

/* A logical type that does not fit its underlying type is ignored, as the specification demands. */
typedef enum tg_avro_logical {
    TG_AVRO_PLAIN,
    TG_AVRO_DECIMAL,
    TG_AVRO_UUID,     /* of a string, or of a fixed type of 16 bytes */
    TG_AVRO_DURATION, /* of a fixed type of 12 bytes: months, days, milliseconds */
    TG_AVRO_DATE,
    TG_AVRO_TIME_MILLIS,
    TG_AVRO_TIME_MICROS,
    TG_AVRO_TIMESTAMP_MILLIS,
    TG_AVRO_TIMESTAMP_MICROS,
    TG_AVRO_TIMESTAMP_NANOS,
    TG_AVRO_LOCAL_MILLIS,
    TG_AVRO_LOCAL_MICROS,
    TG_AVRO_LOCAL_NANOS,
    TG_AVRO_LOGICALS,
} tg_avro_logical_t;

struct json_t; /* jansson's */

typedef struct tg_avro_type tg_avro_type_t;

typedef struct tg_avro_field {
    tg_str_t name;
    tg_str_t doc;
    const tg_avro_type_t *type;
    const tg_str_t *aliases;
    uint32_t alias_count;
    bool has_default;
    tg_str_t default_bytes;    /* the default, Avro-encoded */
    const struct json_t *json; /* the field's object, for custom attributes */
} tg_avro_field_t;

struct tg_avro_type {
    tg_avro_kind_t kind;
    tg_avro_logical_t logical;
    bool finite;             /* records: some value of it has an end; see the parse functions */
    bool may_be_empty;       /* some value of it encodes to no bytes */
    uint32_t id;             /* record, enum, fixed: its place in its schema, from 0 */
    uint32_t size;           /* fixed: bytes */
    uint32_t precision;      /* decimal */
    uint32_t scale;          /* decimal */
    uint32_t count;          /* fields, symbols or branches */
    int32_t default_symbol;  /* enum; -1 if none */
    int32_t nullable_branch; /* union of null and one other type: that one; else -1 */
    const tg_avro_field_t *fields;   /* record */
    const tg_str_t *symbols;         /* enum */
    const tg_avro_type_t **branches; /* union */
    const tg_avro_type_t *items;     /* array, map */
    const uint32_t *by_name;         /* record, enum: indices sorted bytewise by name */
    tg_str_t name;                   /* record, enum, fixed: the full name */
    tg_str_t doc;
    const tg_str_t *aliases; /* full names */
    uint32_t alias_count;
    const struct json_t *json; /* the type's object, for custom attributes; NULL for a bare name */
};

typedef struct tg_avro_schema tg_avro_schema_t;

/* Parses and checks `text`. TG_INVALID and TG_TOO_LARGE name the place as a JSON pointer into the
 * schema, what was expected and what is there. */
TG_NODISCARD tg_status_t tg_avro_schema_parse(tg_str_t text, tg_avro_schema_t **out_schema,
                                              tg_error_t *error);

/* As tg_avro_schema_parse; the named types of `refs`, and of what those refer to, are known in
 * `text`. Schemas are shared: the result keeps its refs alive, the caller may destroy them at once.
 * Two refs may both know a type if it reads the same in both. */
TG_NODISCARD tg_status_t tg_avro_schema_parse_refs(tg_str_t text,
                                                   const tg_avro_schema_t *const *refs,
                                                   size_t ref_count, tg_avro_schema_t **out_schema,
                                                   tg_error_t *error);

/* As tg_avro_schema_parse, but takes records that contain themselves without an end ("record R {R
 * r}"): other implementations do, and compare them. For compat.h, canonical.h and print.h only; no
 * value of such a type exists. */
TG_NODISCARD tg_status_t tg_avro_schema_parse_endless(tg_str_t text, tg_avro_schema_t **out_schema,
                                                      tg_error_t *error);

/* Lets go of the schema: it is freed with all of its types as soon as no schema refers to it. NULL
 * is allowed. */
void tg_avro_schema_destroy(tg_avro_schema_t *schema);

/* The outermost type; borrowed like everything that hangs on it. */
const tg_avro_type_t *tg_avro_schema_root(const tg_avro_schema_t *schema);

/* Index of a record's field or an enum's symbol by name, -1 if there is none. */
int tg_avro_type_find(const tg_avro_type_t *type, tg_str_t name);

/* A custom attribute that is text; empty when it is absent or of another type. */
tg_str_t tg_avro_attribute(const struct json_t *json, const char *name);

/* "int", "record", …, for messages. */
const char *tg_avro_kind_name(tg_avro_kind_t kind);

#endif
