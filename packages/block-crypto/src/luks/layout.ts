/** Sectors of LUKS1 have this length, whatever the disk says. @public */
export const LUKS_SECTOR = 512

/** "LUKS" and two bytes that are no text (specification 1.2.3, figure 1). @internal */
export const LUKS_MAGIC: readonly number[] = [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]

/** Bytes of the header with its eight slots. @public */
export const LUKS_HEADER_BYTES = 592

/** @internal */
export const KEYSLOTS = 8

/** Stripes of a split key; the only number in use. @internal */
export const STRIPES = 4000

/** @internal */
export const SLOT_ENABLED = 0x00ac71f3
/** @internal */
export const SLOT_DISABLED = 0x0000dead

/** @internal */
export const SALT_BYTES = 32
/** @internal */
export const MASTER_DIGEST_BYTES = 20

/** Where the first slot's material may start, and what slots are aligned to. @internal */
export const SLOT_ALIGNMENT = 4096

/** Bytes that a slot's material takes, in whole sectors. @internal */
export function materialBytes(keyBytes: number): number {
  return Math.ceil((keyBytes * STRIPES) / LUKS_SECTOR) * LUKS_SECTOR
}

/** Where slot `index` starts in the volumes that we make. @internal */
export function slotOffset(keyBytes: number, index: number): number {
  const room = Math.ceil(materialBytes(keyBytes) / SLOT_ALIGNMENT) * SLOT_ALIGNMENT
  return SLOT_ALIGNMENT + room * index
}
