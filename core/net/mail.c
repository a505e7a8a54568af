#include "net/mail.h"

#include "net/worker.h"

/* Who finds the box empty wakes the loop; the others know that somebody has. */
void svl_mail_send(struct svl_worker *w, struct svl_mail *mail)
{
    struct svl_mail *last = atomic_load_explicit(&w->mailbox.last, memory_order_relaxed);

    do
        mail->next = last;
    while (!atomic_compare_exchange_weak_explicit(&w->mailbox.last, &last, mail,
                                                  memory_order_release, memory_order_relaxed));
    if (!last)
        svl_worker_wake(w);
}

int svl_mail_run(struct svl_worker *w)
{
    struct svl_mail *newest =
        atomic_exchange_explicit(&w->mailbox.last, NULL, memory_order_acquire);
    struct svl_mail *oldest = NULL;

    while (newest) {
        struct svl_mail *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    for (struct svl_mail *mail = oldest, *next; mail; mail = next) {
        next = mail->next;
        mail->run(mail);
    }
    return oldest != NULL;
}
