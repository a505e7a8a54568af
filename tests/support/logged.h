/* What is logged, as text that a test can look at: "line\nline\n". */
#ifndef SVL_TESTS_LOGGED_H
#define SVL_TESTS_LOGGED_H

extern char logged[4096];

/* From here on, beginning with nothing. */
void logged_begin(void);
void logged_end(void);

#endif
