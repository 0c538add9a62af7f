import { BlockError } from '@blockloom/block-driver'
import type { LuksHeader, LuksKeyslot } from './header.ts'
import { SLOT_ALIGNMENT, STRIPES, materialBytes } from './layout.ts'

/** Checks what a header says about places and counts; QEMU's rules and words. @internal */
export function checkHeader(header: LuksHeader): void {
  if (header.payloadOffset < SLOT_ALIGNMENT) throw corrupt('LUKS payload is overlapping with the header', { field: 'payload-offset' })
  if (header.masterKeyIterations === 0) throw corrupt('LUKS key iteration count is zero', { field: 'mk-digest-iter' })
  const bytes = materialBytes(header.keyBytes)
  for (const [index, slot] of header.keyslots.entries()) {
    checkSlot(header, slot, index, bytes)
    for (let other = index + 1; other < header.keyslots.length; other++) {
      if (Math.abs(header.keyslots[other]!.keyOffset - slot.keyOffset) >= bytes) continue
      throw corrupt(`Keyslots ${index} and ${other} are overlapping in the header`, { keyslot: index, other })
    }
  }
}

function checkSlot(header: LuksHeader, slot: LuksKeyslot, index: number, bytes: number): void {
  if (slot.stripes !== STRIPES) throw corrupt(`Keyslot ${index} is corrupted (stripes ${slot.stripes} != ${STRIPES})`, { keyslot: index, stripes: slot.stripes })
  if (slot.keyOffset < SLOT_ALIGNMENT) throw corrupt(`Keyslot ${index} is overlapping with the LUKS header`, { keyslot: index })
  if (slot.active && slot.iterations === 0) throw corrupt(`Keyslot ${index} iteration count is zero`, { keyslot: index })
  if (slot.keyOffset + bytes > header.payloadOffset) throw corrupt(`Keyslot ${index} is overlapping with the encrypted payload`, { keyslot: index })
}

function corrupt(message: string, detail: Readonly<Record<string, string | number>>): BlockError {
  return new BlockError('corrupt', message, { detail })
}
