/* The events that the load tools send: orders and stream events over 60 series, each with an id of
 * its own.
 *
 * Event number n is the same on each call, so that what is posted and what is produced straight
 * into Kafka are alike. The run's number is part of each id: two runs never send the same event.
 *
 * Threads: any; plain functions. */
#ifndef TG_SAMPLE_H
#define TG_SAMPLE_H

#include "common/base/time.h"

#define TG_SAMPLE_SERIES 60  /* 6 kinds with 10 entities each; a stream event has 4 kinds */
#define TG_SAMPLE_MAX    512 /* bytes of an event's JSON */

/* Writes one event as JSON and returns its length; no NUL. */
typedef size_t (*tg_sample_fn)(uint64_t run, uint64_t number, int64_t time_us,
                               char out[TG_SAMPLE_MAX]);

size_t tg_sample_order(uint64_t run, uint64_t number, int64_t time_us, char out[TG_SAMPLE_MAX]);

/* The same order, but of the series that is named: 0..9999999. Below TG_SAMPLE_SERIES its channel
 * is one of the ten, above it a numbered one. */
size_t tg_sample_order_of(uint64_t run, uint64_t number, uint64_t series, int64_t time_us,
                          char out[TG_SAMPLE_MAX]);
size_t tg_sample_stream(uint64_t run, uint64_t number, int64_t time_us, char out[TG_SAMPLE_MAX]);

/* The generator for a type's name; NULL for a type that has none. */
tg_sample_fn tg_sample_of(tg_str_t type);

/* A number of 64 bits that follows from `number` and looks like chance (splitmix64). */
uint64_t tg_sample_mix(uint64_t number);

#endif
