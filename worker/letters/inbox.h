/* Records of the dead-letter topic, read as well as written by the worker: dead letters of
 * ingestion (invalid events of requests with on_invalid=dead_letter) become rows of
 * data.dead_letters. All others are there already, since the worker's own letters go from the table
 * to the topic; those are passed over.
 *
 * A letter of ingestion is told by its first header, tg-dlq-origin: what the worker sends begins
 * with tg-dlq-id, whatever headers the original record had. Its id was fixed by ingestion, so it
 * counts once however often it was sent or read.
 *
 * Threads: plain functions. */
#ifndef TG_WORKER_LETTERS_INBOX_H
#define TG_WORKER_LETTERS_INBOX_H

#include "worker/record/record.h"

#define TG_INBOX_TEXT_MAX  1024 /* bytes of an error's text */
#define TG_INBOX_FIELD_MAX 256

/* Makes the raw record a dead letter, or one to pass over. */
void tg_inbox_read(tg_record_t *record);

#endif
