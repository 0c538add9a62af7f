/**
 * Request flags, a bit mask as in the reference's `BDRV_REQ_*`: no allocation per request.
 *
 * A driver sees only flags that it listed in `honours` (see {@link WriteFacet}); the core emulates the rest.
 *
 * @public
 */
export const RequestFlag = {
  /** The bytes are on stable storage before the request returns. */
  FUA: 0x01,
  /** Zeroing may free the space below, as long as it reads as zeroes afterwards. */
  MAY_UNMAP: 0x02,
  /** Zeroing must be fast: `'unsupported'` instead of writing data. */
  NO_FALLBACK: 0x04,
  /** The write stores what is already there (copy-on-read, commit): no change for a reader. */
  WRITE_UNCHANGED: 0x08,
  /** Overlapping requests wait for this one, and it for them. */
  SERIALISING: 0x10,
} as const
