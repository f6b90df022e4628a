#include <gst/gst.h>
#include <string.h>

int main(int argc, char **argv) {
    gst_init(&argc, &argv);

    GstBufferPool *pool = gst_buffer_pool_new();
    GstStructure *config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, NULL, 1500, 32, 32); /* minimum and maximum */
    if (!gst_buffer_pool_set_config(pool, config) || !gst_buffer_pool_set_active(pool, TRUE)) {
        return 1;
    }

    GstBuffer *packet = NULL;
    /* Blocks while all are in use. */
    if (gst_buffer_pool_acquire_buffer(pool, &packet, NULL) != GST_FLOW_OK) {
        return 1;
    }
    gst_buffer_fill(packet, 0, "one packet", 10);
    gst_buffer_set_size(packet, 10);

    GstBuffer *clients[] = {packet, gst_buffer_ref(packet)};
    for (gsize client = 0; client < G_N_ELEMENTS(clients); client++) {
        GstMapInfo map;
        if (!gst_buffer_map(clients[client], &map, GST_MAP_READ)) {
            return 1;
        }
        gboolean right = map.size == 10 && memcmp(map.data, "one packet", 10) == 0;
        gst_buffer_unmap(clients[client], &map);
        gst_buffer_unref(clients[client]); /* the last unref returns the buffer */
        if (!right) {
            return 1;
        }
    }

    gst_buffer_pool_set_active(pool, FALSE); /* waiting acquires return GST_FLOW_FLUSHING */
    gst_object_unref(pool);
    return 0;
}
