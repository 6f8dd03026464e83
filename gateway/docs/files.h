/* What embed.cmake writes at build time: the files of the documentation as constants.
 *
 * Threads: read-only. */
#ifndef TG_DOCS_FILES_H
#define TG_DOCS_FILES_H

#include "gateway/docs/docs.h"

extern const tg_docs_file_t tg_docs_files[];
extern const size_t tg_docs_file_count;

#endif
