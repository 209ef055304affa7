/* The floor: MariaDB's own client library drains statements in the binary protocol, side by side on a connection each,
   with nothing bound, so that it decodes nothing. Declared by hand, so that the library's headers are not needed.
   drain PORT USER DATABASE STATEMENT...; prints rows, seconds, seconds of CPU time. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct st_mysql MYSQL;
typedef struct st_mysql_stmt MYSQL_STMT;
MYSQL *mysql_init(MYSQL *);
int mysql_options(MYSQL *, int, const void *);
MYSQL *mysql_real_connect(MYSQL *, const char *, const char *, const char *, const char *, unsigned int, const char *,
                          unsigned long);
MYSQL_STMT *mysql_stmt_init(MYSQL *);
int mysql_stmt_prepare(MYSQL_STMT *, const char *, unsigned long);
int mysql_stmt_execute(MYSQL_STMT *);
int mysql_stmt_fetch(MYSQL_STMT *);
const char *mysql_error(MYSQL *);
const char *mysql_stmt_error(MYSQL_STMT *);
void mysql_close(MYSQL *);
char mysql_stmt_close(MYSQL_STMT *);

enum { SET_CHARSET_NAME = 7, NO_DATA = 100, MOST = 16 };

static char **arguments;
static MYSQL *handles[MOST];
static unsigned long rows[MOST];

static void die(const char *what, const char *why) {
    fprintf(stderr, "drain: %s: %s\n", what, why);
    exit(1);
}

static void *drain(void *number) {
    long at = (long)number;
    MYSQL *mysql = handles[at];
    const char *statement = arguments[4 + at];
    mysql_options(mysql, SET_CHARSET_NAME, "utf8mb4");
    if (!mysql_real_connect(mysql, "127.0.0.1", arguments[2], getenv("DRAIN_PASSWORD"), arguments[3],
                            (unsigned)atoi(arguments[1]), NULL, 0))
        die("connect", mysql_error(mysql));
    MYSQL_STMT *prepared = mysql_stmt_init(mysql);
    if (mysql_stmt_prepare(prepared, statement, strlen(statement)) || mysql_stmt_execute(prepared))
        die(statement, mysql_stmt_error(prepared));
    int status;
    while ((status = mysql_stmt_fetch(prepared)) == 0) rows[at]++;
    if (status != NO_DATA) die(statement, mysql_stmt_error(prepared));
    mysql_stmt_close(prepared);
    mysql_close(mysql);
    return NULL;
}

static double seconds(struct timespec t) { return (double)t.tv_sec + (double)t.tv_nsec / 1e9; }

int main(int count, char **all) {
    long statements = count - 4;
    if (statements < 1 || statements > MOST) die("arguments", "PORT USER DATABASE STATEMENT...");
    arguments = all;
    pthread_t threads[MOST];
    for (long at = 0; at < statements; at++) handles[at] = mysql_init(NULL);
    struct timespec begun, done, cpu_begun, cpu_done;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_begun);
    for (long at = 0; at < statements; at++) pthread_create(&threads[at], NULL, drain, (void *)at);
    unsigned long total = 0;
    for (long at = 0; at < statements; at++) {
        pthread_join(threads[at], NULL);
        total += rows[at];
    }
    clock_gettime(CLOCK_MONOTONIC, &done);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_done);
    printf("%lu %.6f %.6f\n", total, seconds(done) - seconds(begun), seconds(cpu_done) - seconds(cpu_begun));
    return 0;
}
