/*
 * Every limit of the format and of its reference implementation, in one place. "Spec" is the qcow2
 * specification; "QEMU" an implementation limit that it documents or that qemu-img 7.2 was seen to enforce.
 */

const MIB = 1024 * 1024

/** `cluster_bits` of the smallest cluster, 512 bytes. Spec, "Header". @internal */
export const MIN_CLUSTER_BITS = 9

/** `cluster_bits` of the largest cluster, 2 MiB. QEMU; noted in the spec, "Header". @internal */
export const MAX_CLUSTER_BITS = 21

/** `cluster_bits` from which extended L2 entries are allowed: subclusters of 512 bytes. Spec, "Header". @internal */
export const MIN_EXTENDED_L2_CLUSTER_BITS = 14

/** Subclusters of a cluster with extended L2 entries. Spec, "Extended L2 Entries". @internal */
export const SUBCLUSTERS_PER_CLUSTER = 32

/** Bytes of a version 2 header. Spec, "Header". @internal */
export const V2_HEADER_LENGTH = 72

/** Least `header_length` of a version 3 header. Spec, "Header". @internal */
export const V3_MIN_HEADER_LENGTH = 104

/** `header_length` that is written for version 3: up to compression_type, padded to 8. @internal */
export const V3_HEADER_LENGTH = 112

/** Largest `refcount_order`: refcounts of 64 bits. Spec, "Header". @internal */
export const MAX_REFCOUNT_ORDER = 6

/** Largest active or snapshot L1 table, in bytes. QEMU; noted in the spec, "Header". @internal */
export const MAX_L1_BYTES = 32 * MIB

/** Largest refcount table, in bytes. QEMU; noted in the spec, "Host cluster management". @internal */
export const MAX_REFCOUNT_TABLE_BYTES = 8 * MIB

/** Longest backing file name, in bytes. Spec, "Header". @internal */
export const MAX_BACKING_NAME_BYTES = 1023

/** Longest backing file format name, in bytes. QEMU. @internal */
export const MAX_BACKING_FORMAT_BYTES = 15

/** Most internal snapshots. QEMU. @internal */
export const MAX_SNAPSHOTS = 65536

/** Largest snapshot table, in bytes. QEMU. @internal */
export const MAX_SNAPSHOT_TABLE_BYTES = 64 * MIB

/** Most extra data of a snapshot table entry, in bytes. QEMU. @internal */
export const MAX_SNAPSHOT_EXTRA_DATA = 1024

/** Most persistent bitmaps. QEMU; noted in the spec, "Bitmaps extension". @internal */
export const MAX_BITMAPS = 65535

/** Largest bitmap directory, in bytes. QEMU. @internal */
export const MAX_BITMAP_DIRECTORY_BYTES = 1024 * MAX_BITMAPS

/** Least `granularity_bits` of a bitmap. QEMU; noted in the spec, "Bitmap directory". @internal */
export const MIN_BITMAP_GRANULARITY_BITS = 9

/** Most `granularity_bits` of a bitmap. QEMU; noted in the spec, "Bitmap directory". @internal */
export const MAX_BITMAP_GRANULARITY_BITS = 31

/** Longest bitmap name, in bytes. QEMU; noted in the spec, "Bitmap directory". @internal */
export const MAX_BITMAP_NAME_BYTES = 1023

/** Most entries of a bitmap table. QEMU. @internal */
export const MAX_BITMAP_TABLE_ENTRIES = 0x8000000

/** Most bitmap data of one bitmap, in bytes. QEMU. @internal */
export const MAX_BITMAP_BYTES = 512 * MIB

/** Host offsets must stay below this, so that every sum of an offset and a length up to 64 MiB is exact. @internal */
export const MAX_HOST_OFFSET = 2 ** 53 - 64 * MIB
