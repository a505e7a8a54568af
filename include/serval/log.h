/* Log lines of the program itself. What clients asked for goes to the access log instead. */
#ifndef SVL_LOG_H
#define SVL_LOG_H

enum svl_level { SVL_DEBUG, SVL_INFO, SVL_WARN, SVL_ALERT };

/* Any thread: one line, without a newline, "part: object: reason". */
void svl_log(enum svl_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Where lines go; `line` is NUL-terminated and valid during the call. The sink may be called
 * from any thread. NULL brings back the default, stderr. Set it before a server starts. */
typedef void svl_log_sink(enum svl_level level, const char *line, void *arg);
void svl_log_to(svl_log_sink *sink, void *arg);

/* Lines below `level` are dropped; SVL_INFO at first. */
void svl_log_level(enum svl_level level);

#endif
