/* Avro 1.11 for C programs: schemas, their forms and compatibility, values, and schema resolution.
 *
 * This is the header for a program of its own; it brings in all that is public here. What a schema
 * or a value may look like is bounded everywhere, bytes and texts may come from anybody, and after
 * the schemas are parsed and the plans compiled nothing is allocated per value.
 *
 *     tg_avro_schema_parse      text to schema                          schema.h
 *     tg_avro_print, _canonical the forms of a schema                   print.h, canonical.h
 *     tg_avro_fingerprint       CRC-64-AVRO, MD5, SHA-256               fingerprint.h
 *     tg_avro_compat_check      can a reader read what a writer wrote?  compat.h
 *     tg_json_parse             JSON text to nodes                      common/json/json.h
 *     tg_avro_encode, _decode   nodes to Avro bytes, bytes to JSON      codec.h
 *     tg_avro_plan_create       writer and reader to a plan             resolve.h
 *     tg_avro_resolve           the writer's bytes to the reader's      resolve.h
 *
 * example/convert.c uses most of it in a hundred lines. Link with tg_avro, tg_json and tg_base.
 *
 * Threads: schemas and plans are immutable and shared without locks; parsers and codecs are the
 * scratch memory of one thread. */
#ifndef TG_AVRO_H
#define TG_AVRO_H

#include "common/avro/canonical.h"
#include "common/avro/codec.h"
#include "common/avro/compat.h"
#include "common/avro/fingerprint.h"
#include "common/avro/print.h"
#include "common/avro/resolve.h"
#include "common/avro/schema.h"

#endif
