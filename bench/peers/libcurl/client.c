/* libcurl's multi interface as micro_client uses ours: URL REQUESTS CALLERS. `callers` transfers are on their way
 * at any time, each begins again when it is done. Prints CPU time per request. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned long done, wrong;

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * n;
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void collect(CURLM *multi, unsigned long *left)
{
    CURLMsg *message;
    int queued;

    while ((message = curl_multi_info_read(multi, &queued))) {
        CURL *easy = message->easy_handle;
        long status = 0;

        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        wrong += message->data.result != CURLE_OK || status != 200;
        done++;
        curl_multi_remove_handle(multi, easy);
        if (*left > 0) {
            --*left;
            curl_multi_add_handle(multi, easy);
        }
    }
}

static void run(CURLM *multi, CURL **easies, unsigned callers, unsigned long n)
{
    unsigned long left = n > callers ? n - callers : 0;
    int running;

    done = 0;
    for (unsigned i = 0; i < callers; i++)
        curl_multi_add_handle(multi, easies[i]);
    while (done < n) {
        curl_multi_perform(multi, &running);
        collect(multi, &left);
        if (done < n)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 3 ? strtoul(argv[2], NULL, 10) : 0;
    unsigned callers = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    CURLM *multi = curl_multi_init();
    CURL **easies = calloc(callers + 1, sizeof *easies);
    double cpu;

    if (n < callers || callers == 0 || !easies)
        return 2;
    for (unsigned i = 0; i < callers; i++) {
        easies[i] = curl_easy_init();
        curl_easy_setopt(easies[i], CURLOPT_URL, argv[1]);
        curl_easy_setopt(easies[i], CURLOPT_WRITEFUNCTION, on_body);
    }
    run(multi, easies, callers, n / 10 + callers);
    cpu = cpu_ns();
    run(multi, easies, callers, n);
    printf("{\"requests\":%lu,\"cpu_ns\":%.1f,\"wrong\":%lu}\n", done,
           (cpu_ns() - cpu) / (double)done, wrong);
    return wrong > 0;
}
