#include "base/handles.h"

#include "base/check.h"

#include <stdlib.h>

uint32_t svl_handles_put(struct svl_handles *handles, void *object)
{
    uint32_t place = handles->free - 1;

    if (handles->free) {
        handles->free = handles->at[place].next_free;
    } else {
        if (handles->n == handles->room) {
            handles->room = handles->room ? 2 * handles->room : 16;
            handles->at = svl_realloc(handles->at, handles->room * sizeof *handles->at);
        }
        place = handles->n++;
        handles->at[place].generation = 0;
    }
    handles->at[place].object = object;
    return place;
}

void *svl_handles_get(const struct svl_handles *handles, uint32_t place, uint32_t generation)
{
    if (place >= handles->n || handles->at[place].generation != generation)
        return NULL;
    return handles->at[place].object;
}

void svl_handles_drop(struct svl_handles *handles, uint32_t place)
{
    struct svl_handle *handle = &handles->at[place];

    SVL_ASSERT(place < handles->n && handle->object);
    handle->object = NULL;
    handle->generation++;
    handle->next_free = handles->free;
    handles->free = place + 1;
}

void svl_handles_finish(struct svl_handles *handles)
{
    free(handles->at);
    *handles = (struct svl_handles){0};
}
